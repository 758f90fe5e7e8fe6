"""Files that others read while we write them: whole or not at all, one writer at a time, never through a symlink."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

#: Reading stops here: a control file of ours that is larger is not ours.
MAX_BYTES = 64 * 1024 * 1024


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock beside ``path`` (``.NAME.lock``), against threads and processes alike.

    The kernel lets go of it when its holder dies, so a lock never outlives a crash. Local file systems only.

    Raises:
        FileNotFoundError: the folder of ``path`` does not exist.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent))
    lock = path.with_name(f".{path.name}.lock")
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def read(path: Path) -> bytes | None:
    """The file's content, None if there is no such file.

    Raises:
        OSError: not a regular file (a symlink, a folder, a pipe), not readable, or larger than ``MAX_BYTES``.
    """
    try:
        # Non-blocking: opening a pipe somebody put here must not hang us.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > MAX_BYTES:
            raise OSError(errno.EFBIG, "too large to be ours", str(path))
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(fd)


def write(path: Path, data: bytes, mode: int, *, durable: bool = True) -> None:
    """Replace the file in one step: a reader, or a crash, sees the old content or the new, never a mixture.

    Call it under ``locked``. An existing file's permission bits are kept; a new one gets ``mode``. Not ``durable``: the
    disk is not waited for, so a machine that loses power may keep neither content. For what is made anew at a start.

    Raises:
        OSError: as the system says; the old file is untouched then, unless the very last step, making the rename
            durable, failed.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        mode = stat.S_IMODE(status.st_mode)
    temporary = path.with_name(f".{path.name}.new")
    with _durable(path.parent) if durable else nullcontext():
        temporary.unlink(missing_ok=True)  # left by a crash; nobody else writes it while we hold the lock
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(fd, mode)
                if durable:
                    os.fsync(fd)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def point(link: Path, target: str) -> None:
    """Make ``link`` a symlink to ``target`` in one step, whether or not it exists. Call it under ``locked``."""
    temporary = link.with_name(f".{link.name}.new")
    with _durable(link.parent):
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(target)
        temporary.replace(link)


@contextmanager
def _durable(folder: Path) -> Iterator[None]:
    """What is renamed in ``folder`` meanwhile is on disk afterwards.

    The folder is opened first, so that one we may not open fails before anything has changed.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folder(folder: Path) -> None:
    """Make new names in ``folder`` durable."""
    with _durable(folder):
        pass
