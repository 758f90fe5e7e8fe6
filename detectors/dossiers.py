"""What is held against each client: evidence per detector, and the runs of hits behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, EventBatch, IntArray
from detectors.exact import figure
from detectors.growing import grown
from detectors.kernels.evidence import HIT, MOST_NATS, UNITS
from detectors.run import Run
from detectors.suspicion import LEAST_E, Suspicion

T = TypeVar("T")

_LEAST_LOG_E: Final = math.ceil(math.log(LEAST_E) * UNITS)

#: A row, and what is held against its client from there on.
Raised = tuple[int, Suspicion]


class Dossiers(msgspec.Struct, array_like=True):
    """Stored dossiers of k clients: arrays ``(k, d, ...)`` as little-endian bytes; runs and events in their order."""

    detectors: list[str]
    last_ts: bytes
    log_e: bytes
    opinions: bytes
    running: bytes
    runs: list[Run]
    crossed: bytes
    found: list[str]


class DossierTable:
    """Dossiers by slot (``detectors.clients``).

    Attributes:
        last_ts: newest event time, float64 ``(slots,)``; -inf if there is none.
        log_e: log M in units, int32 ``(slots, d, l, g)``.
        opinions: rows on which each detector had one, int64 ``(slots, d)``.
        running: does a run of hits go on? bool ``(slots, d)``.
        runs_nbytes: memory that all runs take, about.
    """

    def __init__(self, detectors: Sequence[str], shape: tuple[int, ...]) -> None:
        """``shape`` of a client's evidence, ``(d, l, g)``."""
        self._detectors = list(detectors)
        self._d = shape[0]
        self.last_ts = np.empty(0)
        self.log_e: npt.NDArray[np.int32] = np.zeros((0, *shape), dtype=np.int32)
        self.opinions: IntArray = np.zeros((0, shape[0]), dtype=np.int64)
        self.running: BoolArray = np.zeros((0, shape[0]), dtype=np.bool_)
        self.runs_nbytes = 0
        #: By slot * d + detector: the run that goes on, and the event at which the detector last crossed.
        self._runs: dict[int, Run] = {}
        self._found: dict[int, str] = {}
        self._crossed: BoolArray = np.zeros((0, shape[0]), dtype=np.bool_)

    @property
    def slot_bytes(self) -> int:
        """Bytes of a slot in the arrays."""
        arrays = (self.last_ts, self.log_e, self.opinions, self.running, self._crossed)
        return sum(array.itemsize * int(np.prod(array.shape[1:])) for array in arrays)

    def reserve(self, slots: int) -> None:
        """Make room for so many clients."""
        have = len(self.last_ts)
        self.last_ts = grown(self.last_ts, slots)
        self.last_ts[have:] = -np.inf
        self.log_e, self.opinions = grown(self.log_e, slots), grown(self.opinions, slots)
        self.running, self._crossed = grown(self.running, slots), grown(self._crossed, slots)

    def clear(self, slots: IntArray) -> None:
        """Nothing is held against these clients, and nothing known."""
        for key in self._keys(slots, self.running):
            self._end(key)
        for key in self._keys(slots, self._crossed):
            del self._found[key]
        self.running[slots] = self._crossed[slots] = False
        self.last_ts[slots], self.log_e[slots], self.opinions[slots] = -np.inf, 0, 0

    def take_in(self, batch: EventBatch, slots: IntArray, changes: IntArray, told: BoolArray) -> list[Raised]:
        """Continue runs of hits by ``changes`` (``detectors.kernels.evidence.judge``), in order.

        Returns suspicions of ``LEAST_E`` or more by detectors that are ``told`` of, ``(d,)``, each with its row.
        """
        raised: list[Raised] = []
        for row, d, kind, opinions, log_e in changes.tolist():
            key = int(slots[row]) * self._d + d
            if kind != HIT:
                self._end(key)
                continue
            run = self._runs.get(key)
            if run is None:
                run = self._runs[key] = Run(opinions, float(batch.ts[row]))
                self.runs_nbytes += run.nbytes
            self.runs_nbytes += run.add(batch.ids[row])
            if log_e >= _LEAST_LOG_E and told[d]:
                e_value = figure(math.exp(min(log_e / UNITS, MOST_NATS)))
                at = (float(batch.ts[row]), batch.ids[row], run.since_ts)
                rows = opinions - run.since + 1
                client, detector = batch.clients[row], self._detectors[d]
                raised.append((row, Suspicion(client, detector, e_value, *at, run.count, rows)))
        return raised

    def run(self, slot: int, d: int) -> Run | None:
        """The run that goes on, if any."""
        return self._runs.get(slot * self._d + d)

    def run_rows(self, slot: int, d: int) -> int:
        """Opinions since the first hit of the run that goes on, with it."""
        run = self.run(slot, d)
        return 1 if run is None else int(self.opinions[slot, d]) - run.since + 1

    def found(self, slot: int, d: int) -> str:
        """Id of the event at which the detector last crossed, "" if never."""
        return self._found.get(slot * self._d + d, "")

    def restart(self, slot: int, d: int, event: str) -> None:
        """After a crossing at ``event``: the detector begins anew."""
        self.drop(slot, d)
        self._crossed[slot, d] = True
        self._found[slot * self._d + d] = event

    def drop(self, slot: int, d: int) -> None:
        """What the detector held has been spoken of; it holds nothing any more."""
        self.log_e[slot, d] = 0
        if self.running[slot, d]:
            self._end(slot * self._d + d)
        self.running[slot, d] = False

    def stored_bytes(self, slots: IntArray) -> IntArray:
        """Bytes that ``stored`` needs for each client, about, ``(k,)``: runs count as much as all do on average."""
        run = self.runs_nbytes // max(len(self._runs), 1)
        return np.asarray(self.slot_bytes + run * np.count_nonzero(self.running[slots], axis=1), dtype=np.int64)

    def run_bytes(self, slots: IntArray) -> IntArray:
        """Bytes that the clients' runs take, about, ``(k,)``."""
        of = np.nonzero(self.running[slots])[0]
        each = [self._runs[key].nbytes for key in self._keys(slots, self.running)]
        return np.bincount(of, np.array(each, dtype=np.float64), len(slots)).astype(np.int64)

    def stored(self, slots: IntArray) -> Dossiers:
        """The clients' dossiers; ``restore`` takes them back."""
        return Dossiers(
            self._detectors,
            self.last_ts[slots].astype("<f8", copy=False).tobytes(),
            self.log_e[slots].astype("<i4", copy=False).tobytes(),
            self.opinions[slots].astype("<i8", copy=False).tobytes(),
            self.running[slots].tobytes(),
            [self._runs[key] for key in self._keys(slots, self.running)],
            self._crossed[slots].tobytes(),
            [self._found[key] for key in self._keys(slots, self._crossed)],
        )

    def restore(self, slots: IntArray, stored: Dossiers, wanted: BoolArray) -> None:
        """Take back what ``stored`` gave for some clients: of the ``wanted`` ones, who go into ``slots``.

        Detectors that are not in it begin anew, and all do if detectors had other levels then.
        """
        self.last_ts[slots] = np.frombuffer(stored.last_ts, "<f8")[wanted]
        shape = (len(wanted), len(stored.detectors), *self.log_e.shape[2:])
        if len(stored.log_e) != 4 * int(np.prod(shape)):
            return
        log_e = np.frombuffer(stored.log_e, "<i4").reshape(shape)
        opinions = np.frombuffer(stored.opinions, "<i8").reshape(shape[:2])
        running = np.frombuffer(stored.running, np.bool_).reshape(shape[:2])
        crossed = np.frombuffer(stored.crossed, np.bool_).reshape(shape[:2])
        #: Where a run or an event of a stored client and detector goes; -1: nowhere.
        keys = np.full(shape[:2], -1, dtype=np.int64)
        for d, name in enumerate(self._detectors):
            if name in stored.detectors:
                was = stored.detectors.index(name)
                self.log_e[slots, d], self.opinions[slots, d] = log_e[wanted, was], opinions[wanted, was]
                self.running[slots, d], self._crossed[slots, d] = running[wanted, was], crossed[wanted, was]
                keys[wanted, was] = slots * self._d + d
        runs = _known(keys[running], stored.runs)
        self._runs |= runs
        self.runs_nbytes += sum(run.nbytes for run in runs.values())
        self._found |= _known(keys[crossed], stored.found)

    def _end(self, key: int) -> None:
        self.runs_nbytes -= self._runs.pop(key).nbytes

    def _keys(self, slots: IntArray, marks: BoolArray) -> list[int]:
        at, d = np.nonzero(marks[slots])
        keys: list[int] = (slots[at] * self._d + d).tolist()
        return keys


def _known(keys: IntArray, values: list[T]) -> dict[int, T]:
    """Values by key, without those whose key is -1."""
    return {key: value for key, value in zip(keys.tolist(), values, strict=True) if key >= 0}
