"""Runs the Faust worker to its end; the only other module, beside the app, that knows Faust."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import faust
import structlog

from monitor.app import build
from monitor.core import Core
from monitor.layout import Layout
from monitor.service import Service
from monitor.settings import Settings


def work(settings: Settings, core: Core, layout: Layout, warnings: Iterable[str]) -> None:
    """Run until a signal or a failure. Exits the process with Faust's exit code."""
    log = structlog.get_logger("vedette")
    for warning in warnings:
        log.warning(warning)
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    service = Service(core)
    app = build(settings, layout, service)
    log.info("vedette starts", mode=settings.response.mode, brokers=list(settings.kafka.brokers))
    worker = faust.Worker(
        app, loglevel=settings.logging.level.upper(), override_logging=False, redirect_stdouts=False, quiet=True
    )
    worker.spinner = None  # it writes terminal codes into the log
    worker.execute_from_commandline()
