"""How far to look less closely when a worker falls behind, and when to look closely again. Pure.

Seconds behind = records waiting / records that a second of work handles, but no more than the age of what is being
handled: what is handled as fresh as it comes is not late, whatever waits. Up when that passes a line, straight to the
level whose line it is; down one level at a time once nearly all is caught up, and not before the level has been held
for a while. Load that only a higher level can carry would make that swing for ever, so each return to a level within
``RELAPSE_S`` doubles how long it is held, up to ``MAX_HOLD_DWELLS`` times ``dwell_s``.

Rows are chosen by a hash of the event id: fair, blind to content, the same on every worker. The hash is no secret, so
who can choose ids could choose to be left out of sums; what sees every row at a level still sees him.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import msgspec
import numpy as np

from detectors.batch import BoolArray
from detectors.finding import Finding
from monitor.settings import Overload as OverloadSettings

#: Caught up: less than this share of the line to level 1.
CALM_SHARE: Final = 0.25
#: A level taken again so soon after it was left was left too early.
RELAPSE_S: Final = 600.0
MAX_HOLD_DWELLS: Final = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """What a level leaves out.

    Attributes:
        window_checks: whether optional costly checks of windows run.
        windows_one_in: window sums take one row in so many, counted so many times.
        rows_one_in: costly row detectors see one row in so many.
    """

    level: int
    window_checks: bool
    windows_one_in: int
    rows_one_in: int

    @property
    def note(self) -> str:
        """For the evidence of findings made meanwhile; "" at level 0."""
        if not self.level:
            return ""
        rows = f", costly row detectors see 1 row in {self.rows_one_in}" if self.rows_one_in > 1 else ""
        return f"overload level {self.level}: windows count 1 row in {self.windows_one_in}{rows}"


PLANS: Final = (
    Plan(0, window_checks=True, windows_one_in=1, rows_one_in=1),
    Plan(1, window_checks=False, windows_one_in=4, rows_one_in=1),
    Plan(2, window_checks=False, windows_one_in=4, rows_one_in=4),
    Plan(3, window_checks=False, windows_one_in=16, rows_one_in=16),
)


def degraded(finding: Finding, plan: Plan) -> Finding:
    """The finding, saying in its evidence how closely was looked when it was made, if less than usual."""
    if not plan.level:
        return finding
    return msgspec.structs.replace(finding, evidence=finding.evidence | {"degraded": plan.note})


@dataclass(frozen=True, slots=True)
class Load:
    """One look at how it goes.

    Attributes:
        now_s: a clock that only goes forward, seconds.
        backlog: records that wait.
        rate: records that a second of work handles, lately (``Pace``); time spent waiting for records is no work.
        age_s: how old the newest handled record was when it was handled, by its Kafka timestamp (not by the event's
            own time, which its client chooses); None if unknown.
    """

    now_s: float
    backlog: int
    rate: float
    age_s: float | None = None

    @property
    def behind_s(self) -> float | None:
        """Seconds behind; None if nothing can be said: records wait, and none has been handled."""
        if self.backlog <= 0:
            return 0.0
        if not self.rate > 0:
            return None
        drain_s = self.backlog / self.rate
        return drain_s if self.age_s is None else min(drain_s, max(self.age_s, 0.0))


class Pace:
    """Records a second of work, newer work counting more: half as much after ``half_life_s`` of work."""

    def __init__(self, half_life_s: float = 5.0) -> None:
        self._half_life_s = half_life_s
        self._records = 0.0
        self._busy_s = 0.0

    def handled(self, records: int, busy_s: float) -> None:
        """So many records took so many seconds, from taken to written down."""
        kept = 0.5 ** (busy_s / self._half_life_s)
        self._records = self._records * kept + records
        self._busy_s = self._busy_s * kept + busy_s

    @property
    def rate(self) -> float:
        """0 before any work."""
        return self._records / self._busy_s if self._busy_s > 0 else 0.0


class Overload:
    """The level of one worker."""

    def __init__(self, settings: OverloadSettings) -> None:
        lines = [settings.behind_s, settings.far_behind_s, settings.lost_s]
        self._lines = lines[: settings.max_level]
        self._dwell_s = settings.dwell_s
        self._level = 0
        self._since_s = float("-inf")
        #: By level: when it was last left, and for how many dwells it is held now.
        self._left_s = [float("-inf")] * len(PLANS)
        self._hold_dwells = [1] * len(PLANS)

    @property
    def plan(self) -> Plan:
        """What to leave out until the next look."""
        return PLANS[self._level]

    def look(self, load: Load) -> Plan:
        """Take a look; once a second will do. Looks must come in the order of their time."""
        behind_s = load.behind_s
        if behind_s is None:
            return self.plan
        held_s = load.now_s - self._since_s
        wanted = sum(behind_s >= line for line in self._lines)
        if wanted > self._level and held_s >= self._dwell_s:
            self._enter(wanted, load.now_s)
        elif self._level and behind_s < CALM_SHARE * self._lines[0] and held_s >= self._hold_s:
            self._left_s[self._level] = load.now_s
            self._level, self._since_s = self._level - 1, load.now_s
        return self.plan

    @property
    def _hold_s(self) -> float:
        return self._dwell_s * self._hold_dwells[self._level]

    def _enter(self, level: int, now_s: float) -> None:
        relapsed = now_s - self._left_s[level] < RELAPSE_S
        self._hold_dwells[level] = min(2 * self._hold_dwells[level], MAX_HOLD_DWELLS) if relapsed else 1
        self._level, self._since_s = level, now_s


def sampled(ids: Sequence[str], one_in: int) -> BoolArray:
    """Which events belong to the sample of one in ``one_in``, ``(n,)``; all if it is 1.

    A smaller sample lies in a larger one. CRC-32 of the id, mixed by MurmurHash3's finalizer (Appleby, public domain):
    CRC alone is linear, so that ids with a pattern could fall into one part of it.

    Raises:
        ValueError: ``one_in`` is less than 1.
    """
    if one_in < 1:
        raise ValueError(f"one_in must be at least 1, got {one_in}")
    if one_in == 1:
        return np.ones(len(ids), dtype=np.bool_)
    raw = (i.encode("utf-8", "surrogatepass") for i in ids)
    h = np.fromiter(map(crc32, raw), dtype=np.uint32, count=len(ids))
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return np.asarray(h < (1 << 32) // one_in)
