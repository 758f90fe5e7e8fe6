"""When to try again, and which failures are worth it. Pure: the executor keeps the schedule in the ledger."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from responders.decision import Outcome, Why
from responders.text import visible

#: Trying again soon cannot help: a person has to create, move or permit something first.
_NEEDS_A_PERSON = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EFBIG,
    }
)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff without jitter: one process acts at a time, so there is no herd to spread out.

    Attributes:
        attempts: how often an action is tried in all before it counts as failed. Taking back is never given up.
        first_s: seconds from the first failure to the second try; doubles with every failure up to ``max_s``.
    """

    attempts: int = 5
    first_s: float = 1.0
    max_s: float = 300.0

    def delay_s(self, failures: int) -> float:
        """min(max_s, first_s · 2^(failures-1)) seconds after that many failures in a row (at least 1)."""
        return min(self.max_s, self.first_s * 2.0 ** min(failures - 1, 64))


def failure(error: Exception) -> Outcome:
    """The outcome of an action that ran into ``error``: a full disk passes, a missing folder needs a person."""
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        detail = visible(f"{error.strerror or error}{where}", 300)
        if error.errno in _NEEDS_A_PERSON:
            return Outcome(ok=False, why=Why.PERMANENT_ERROR, detail=detail)
        return Outcome(ok=False, why=Why.TRANSIENT_ERROR, detail=detail, retry=True)
    return Outcome(ok=False, why=Why.PERMANENT_ERROR, detail=visible(f"{type(error).__name__}: {error}", 300))
