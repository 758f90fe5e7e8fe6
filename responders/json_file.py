"""Small JSON files of ours: read with a type, written in one step."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TypeVar

import msgspec

from responders import atomic_file

T = TypeVar("T")


def read_json(path: Path, form: type[T]) -> T | None:
    """The file's content, None if there is none or it is empty.

    Raises:
        OSError: not readable, or (``EINVAL``) not of this form: it is somebody else's then, or damaged.
    """
    data = atomic_file.read(path)
    if not data:
        return None
    try:
        return msgspec.json.decode(data, type=form)
    except msgspec.MsgspecError as error:
        raise OSError(errno.EINVAL, f"not a file of ours ({error})", str(path)) from error


def write_json(path: Path, content: object, mode: int) -> None:
    """Replace the file, indented for people. Call it under ``atomic_file.locked``."""
    data = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    atomic_file.write(path, data, mode)
