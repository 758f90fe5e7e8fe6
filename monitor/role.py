"""What one process at a time may be: the worker of a data folder that responds, or the one that goes by a name."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Role:
    """A lock file that the kernel releases when its holder dies, so that another worker can take over at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def try_take(self) -> bool:
        """True if this process has the role, or could take it. Raises OSError if the file cannot be made."""
        if self._file is not None:
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
