"""One SQLite connection shared by threads, to a file shared by processes."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_AGAIN_S: Final = 0.02


def connect(path: Path, timeout_s: float = 30.0) -> sqlite3.Connection:
    """With a write-ahead log, and a transaction only where one is begun. Others are waited for, ``timeout_s`` at most.

    SQLite waits by itself, except for who turns the log on in a file that another process is writing to, as workers do
    that start together in a new folder: it calls that a deadlock.

    Raises sqlite3.Error.
    """
    end = time.monotonic() + timeout_s
    with contextlib.ExitStack() as undo:
        db = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
        undo.callback(db.close)
        while True:
            try:
                db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(_AGAIN_S)
            else:
                undo.pop_all()
                return db


@contextmanager
def transaction(db: sqlite3.Connection, lock: threading.RLock) -> Iterator[sqlite3.Connection]:
    """All or nothing, one thread at a time. Immediate: a transaction that first reads could be refused half-way."""
    with lock:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction already.
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
