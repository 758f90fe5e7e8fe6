"""The contracts every detector keeps. Score and threshold are different objects: thresholds live in the alarm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, EventBatch, FloatArray
from detectors.finding import Attack
from detectors.history import History
from detectors.rows import Rows

#: Parameters fitted on clean traffic: plain arrays by name, what the baseline file stores. No objects, no pickle.
Params = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """Who a detector is: name, version (raise it when scores change), attack kind, MITRE ATLAS technique, one line.

    Attributes:
        lasting_cause: what makes a clean client hit may go on for as long as it is a client: the scene that its camera
            watches, the noise of its sensor, its habit. Calibration then takes less for innocent.
        circumstantial: its evidence is what a client's requests are like as a whole, which an unusual but honest one
            may share; no severity above medium unless another detector agrees.
    """

    name: str
    version: str
    attack: Attack
    technique: str
    title: str
    lasting_cause: bool = False
    circumstantial: bool = False

    @property
    def accuses(self) -> bool:
        """Does its evidence count with that of others? What speaks of abuse alone says little of an attack."""
        return self.attack is not Attack.ABUSE


class RowDetector(Protocol):
    """Suspicion per row, with bounded per-client history. Pure: no clock, no I/O, no randomness but a seed.

    ``score`` never mutates and treats the earlier rows of a client as that client's history, exactly as if they had
    been learned one by one; so splitting rows anywhere gives the same scores. What it works out of single rows it asks
    ``Rows.measured`` for, so that ``learn``, and other detectors that need the same, find it there.

    Attributes:
        costly: may be left out for some rows under load: whoever runs it may give it a fair sample of a client's rows.
        memory: the per-client histories; whoever runs the detector stores, restores and forgets them.
        memory_key: detectors with the same key remember the same, so that whoever runs them may give them one memory
            and let one of them learn.
    """

    info: ClassVar[DetectorInfo]
    costly: ClassVar[bool]
    memory: History
    memory_key: bytes

    def __init__(self, params: Params) -> None: ...

    def score(self, rows: Rows) -> FloatArray:
        """Suspicion, float64 ``(n,)``; larger is worse; NaN = no opinion (warm-up, missing outputs)."""
        ...

    def explain(self, rows: Rows, row: int) -> dict[str, Any]:
        """Figures for a person about one row, given the history before the rows and the earlier rows.

        May name event ids under ``"events"`` (at most 20).
        """
        ...

    def learn(self, rows: Rows, of: BoolArray | None = None) -> None:
        """Add rows to their clients' histories, or only those of the clients of a mask over ``rows.clients``.

        Never called for clients of whom one of the rows was flagged or diverted.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What a window holds: integer counts, which add, and a bottom-k sample by hash, which merges.

    Attributes:
        count: rows summarised.
        counts: named int64 arrays that add element-wise.
        sample_hash: uint64 ``(m,)`` ascending, hash of each sampled row's event id; empty if unused.
        sample_x: float32 ``(m, d)`` the sampled rows.
        excess: sum of w^2 - w over rows that stand for w rows each (a fair sample, counted so many times); else 0.
    """

    count: int
    counts: dict[str, npt.NDArray[np.int64]]
    sample_hash: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    sample_x: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    excess: int = 0

    @property
    def spread(self) -> float:
        """sum(w^2) / sum(w): by how much weights widen the sampling error (Kish 1965); 1 without weights."""
        return (self.count + self.excess) / self.count if self.count else 1.0

    def times(self, weight: int) -> Summary:
        """Every row so many times; a sample stays what it is."""
        if weight == 1:
            return self
        counts = {name: values * weight for name, values in self.counts.items()}
        excess = self.count * (weight * weight - weight)
        return Summary(self.count * weight, counts, self.sample_hash, self.sample_x, excess)


class WindowDetector(Protocol):
    """A statistic over a window of one model's traffic. Stateless after construction: the window holds the state.

    Attributes:
        costly: may be left out under load.
    """

    info: ClassVar[DetectorInfo]
    costly: ClassVar[bool]

    def __init__(self, params: Params) -> None: ...

    @classmethod
    def fit(cls, clean: EventBatch) -> Params: ...

    def summarise(self, batch: EventBatch) -> Summary:
        """The batch's contribution to its window."""
        ...

    def score(self, summary: Summary) -> float:
        """Suspicion of the merged window; NaN = too few rows to say."""
        ...

    def explain(self, summary: Summary) -> dict[str, Any]:
        """Figures for a person: which features moved and by how much."""
        ...


def merge(a: Summary, b: Summary, sample_rows: int) -> Summary:
    """Sum of two summaries; commutative and associative to the bit. Keeps the ``sample_rows`` smallest hashes."""
    hashes = np.concatenate([a.sample_hash, b.sample_hash])
    keep = np.argsort(hashes, kind="stable")[:sample_rows]
    samples = [s.sample_x for s in (a, b) if len(s.sample_x)]
    x = np.concatenate(samples) if samples else a.sample_x
    return Summary(
        count=a.count + b.count,
        counts={name: a.counts[name] + b.counts[name] for name in a.counts} if a.counts else dict(b.counts),
        sample_hash=hashes[keep],
        sample_x=x[keep] if len(hashes) else x,
        excess=a.excess + b.excess,
    )
