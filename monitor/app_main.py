"""Runs the Faust worker to its end; the only other module, beside the app, that knows Faust."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
from collections.abc import Iterable
from pathlib import Path

import faust
import structlog
from threadpoolctl import threadpool_limits

from monitor.app import build
from monitor.core import Core
from monitor.layout import Layout
from monitor.service import Service
from monitor.settings import Settings
from monitor.succession import Succession
from monitor.warm_up import warm_up

#: Allocations between two looks for garbage in cycles. A batch makes thousands of objects and drops them all again: by
#: Python's own setting the collector walks through each batch several times.
_COLLECT_EVERY = 50_000
#: Arrays as large as those of many clients' state get pages of their own, which go back to the system when they are
#: outgrown. By the C library's own setting their holes would stay: a tenth of the memory of a million clients.
_OWN_PAGES_BYTES = 2 << 20
_M_MMAP_THRESHOLD = -3
#: What a batch lets go of, the next one takes again. By the C library's own setting it goes back to the system each
#: time, which clears each page anew: about a microsecond an event, in large batches.
_KEEP_BYTES = 32 << 20
_M_TRIM_THRESHOLD = -1
#: What one thread has let go of, another may use: one of them at a time runs anyway.
_M_ARENA_MAX = -8


def work(settings: Settings, core: Core, layout: Layout, warnings: Iterable[str]) -> None:
    """Run until a signal or a failure. Exits the process with Faust's exit code."""
    log = structlog.get_logger("vedette")
    for warning in warnings:
        log.warning(warning)
    # The products are small: a second thread would mostly wait for them, and it waits without letting go of its core.
    threadpool_limits(1, user_api="blas")
    with contextlib.suppress(OSError, AttributeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
        libc.mallopt(_M_ARENA_MAX, 1)
    service = Service(core)
    log.info("vedette starts", mode=settings.response.mode, brokers=list(settings.kafka.brokers))
    warm_up(core)
    # two workers of a machine share data_dir, but not this
    succession = Succession(Path(settings.data_dir) / f"worker-{settings.web.port}", settings.kafka)
    client_id = succession.take_over()
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    app = build(settings, layout, service, client_id)
    worker = faust.Worker(
        app, loglevel=settings.logging.level.upper(), override_logging=False, redirect_stdouts=False, quiet=True
    )
    worker.spinner = None  # it writes terminal codes into the log
    gc.collect()
    gc.freeze()  # what is imported and loaded by now stays: nobody need look at it again
    gc.set_threshold(_COLLECT_EVERY, 20, 20)
    worker.execute_from_commandline()
