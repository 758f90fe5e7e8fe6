"""What a worker needs of its own machine: a baseline that fits, a folder to write in, room, a free port."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from monitor.core import load_core
from monitor.errors import UserError
from monitor.problem import Problem
from monitor.settings import Settings

_DAY_S = 86400.0
#: Models and their users change; by then a baseline ought to be looked at.
OLD_BASELINE_DAYS = 90.0
#: Below the first the database may stop working at any moment.
NO_SPACE_BYTES = 64 * 1024 * 1024
LITTLE_SPACE_BYTES = 1024 * 1024 * 1024


def check_host(settings: Settings, now: float, *, load: bool = True) -> Iterator[Problem]:
    """Looks only; creates nothing.

    Args:
        now: wall clock, epoch seconds.
        load: False where the baseline has been loaded already.
    """
    yield from _baseline(settings, now, load)
    yield from _folder(Path(settings.data_dir))
    yield from _port(settings.web.host, settings.web.port)


def _baseline(settings: Settings, now: float, load: bool) -> Iterator[Problem]:
    where = "detection.baseline"
    if load:
        try:
            load_core(settings)
        except UserError as error:
            yield Problem("error", where, str(error), "see `vedette calibrate`")
            return
    try:
        age_days = (now - Path(settings.detection.baseline).stat().st_mtime) / _DAY_S
    except OSError:
        return  # it was there a moment ago, and has been read
    if age_days > OLD_BASELINE_DAYS:
        yield Problem(
            "warning", where, f"made {age_days:.0f} days ago", "calibrate again on clean traffic of these days"
        )


def _folder(data: Path) -> Iterator[Problem]:
    where = "data_dir"
    nearest = next(p for p in (data.absolute(), *data.absolute().parents) if p.exists())
    if not nearest.is_dir():
        yield Problem("error", where, f"{nearest} is a file", "name a folder")
        return
    try:
        if nearest == data.absolute():
            tempfile.TemporaryFile(dir=nearest).close()
        elif not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        yield Problem("error", where, f"nothing can be written in {nearest}: {error.strerror}", "see its permissions")
    free = shutil.disk_usage(nearest).free
    if free < LITTLE_SPACE_BYTES:
        what = f"{free >> 20} MiB are free below {nearest}"
        yield Problem("error" if free < NO_SPACE_BYTES else "warning", where, what, "make room")


def _port(host: str, port: int) -> Iterator[Problem]:
    where = "web.port" if port else "web.host"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        yield Problem("error", "web.host", f"{host!r} is no address: {error.strerror}", "use one of this machine")
    except OSError as error:
        cure = "each worker on a machine needs a port of its own"
        if error.errno != errno.EADDRINUSE:
            cure = "use an address of this machine and a port above 1023"
        yield Problem("error", where, f"cannot listen on {host}, port {port}: {error.strerror}", cure)
