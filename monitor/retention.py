"""Removes from ``vedette.db`` what is over: findings that have long been published.

Incidents and the ledger stay: they are the record of what was done to whom, and grow with attacks, not with traffic.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

DAY_S: Final = 86400.0
_BUSY_TIMEOUT_S: Final = 30.0


def prune(path: Path, before_ts: float, batch: int = 1000) -> int:
    """Remove published findings older than ``before_ts`` (event time, epoch seconds); how many there were.

    Safe beside the worker's own connection: each batch is a transaction of its own, so that a checkpoint waits for one
    batch at most. Findings that have not reached their topic stay, however old.

    Raises:
        sqlite3.Error: the file cannot be written.
    """
    removed = 0
    # autocommit: each statement is one transaction
    with closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)) as db:
        while True:
            found = db.execute(
                "DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE published = 1 AND ts < ? LIMIT ?)",
                (before_ts, batch),
            ).rowcount
            removed += found
            if found < batch:
                return removed
