"""What is held against each client: evidence per detector, and the runs of hits behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, EventBatch, FloatArray, IntArray
from detectors.exact import figure
from detectors.growing import grown
from detectors.held import Held, stored_rows
from detectors.kernels.evidence import HIT, MOST_NATS, NOTHING, UNITS
from detectors.records import taken
from detectors.run import Run
from detectors.suspicion import LEAST_E, Suspicion

T = TypeVar("T")

_LEAST_LOG_E: Final = math.ceil(math.log(LEAST_E) * UNITS)

#: Dossiers are packed to about this part: most are alike.
_PACKED: Final = 12

#: A row, and what is held against its client from there on.
Raised = tuple[int, Suspicion]


class Dossiers(msgspec.Struct, array_like=True):
    """Stored dossiers of clients: their records (``_kind``), with marks for ``places``; rows of ``detectors.held``;
    runs and events in their order.
    """

    detectors: list[str]
    records: bytes
    held: bytes
    runs: list[Run]
    found: list[str]


class DossierTable:
    """Dossiers by slot (``detectors.clients``).

    Attributes:
        last_ts: newest event time, float64 ``(slots,)``; -inf if there is none.
        held: evidence.
        opinions: rows on which each detector had one, uint32 ``(slots, d)``.
        running: does a run of hits go on? bool ``(slots, d)``.
        runs_nbytes: memory that all runs take, about.
    """

    def __init__(self, detectors: Sequence[str], miss: IntArray) -> None:
        """``miss``: what a miss adds to a client's evidence, ``(d, l, g)``."""
        self._detectors = list(detectors)
        self._d = len(miss)
        self.held = Held(miss)
        self._table = np.zeros(0, _kind(self._d))
        self._slots = 0
        self.runs_nbytes = 0
        #: By slot * d + detector: the run that goes on, and the event at which the detector last crossed.
        self._runs: dict[int, Run] = {}
        self._found: dict[int, str] = {}
        self._name_columns()

    def reserve(self, slots: int) -> None:
        """Make room for so many clients."""
        if slots > self._slots:
            self._table = grown(self._table, slots)
            self._name_columns()
            self.last_ts[self._slots : slots] = -np.inf
            self.held.places[self._slots : slots] = NOTHING
            self._slots = slots

    def clear(self, slots: IntArray) -> None:
        """Nothing is held against these clients, and nothing known; each comes once."""
        for key in self._keys(slots, self.running[slots]):
            self._end(key)
        for key in self._keys(slots, self._crossed[slots]):
            del self._found[key]
        self.running[slots] = self._crossed[slots] = False
        self.held.clear(slots)
        self.last_ts[slots], self.opinions[slots] = -np.inf, 0

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
        self.held.drop(slot, d)
        if self.running[slot, d]:
            self._end(slot * self._d + d)
        self.running[slot, d] = False

    def nbytes(self, slots: IntArray) -> IntArray:
        """Memory that the clients take, about, ``(k,)``."""
        running = self.running[slots]
        of = np.nonzero(running)[0]
        each = [self._runs[key].nbytes for key in self._keys(slots, running)]
        runs = np.bincount(of, np.array(each, dtype=np.float64), len(slots)).astype(np.int64)
        return np.asarray(self._table.itemsize + self.held.row_bytes * self.held.row_counts(slots) + runs)

    def total_nbytes(self, clients: int) -> int:
        """Memory that all take, about."""
        return self._table.itemsize * clients + self.held.nbytes + self.runs_nbytes

    def stored_bytes(self, clients: int) -> int:
        """Bytes that ``stored`` needs for one of so many clients when they are packed, about: evidence and runs count
        as much as all do on average."""
        held = (self.held.nbytes + self.runs_nbytes) // max(clients, 1)
        return 8 + (self._table.itemsize + held) // _PACKED

    def stored(self, slots: IntArray) -> Dossiers:
        """The clients' dossiers; ``restore`` takes them back."""
        table = taken(self._table, slots)
        held = self.held.stored(table["places"])
        runs = [self._runs[key] for key in self._keys(slots, table["running"])]
        found = [self._found[key] for key in self._keys(slots, table["crossed"])]
        return Dossiers(self._detectors, table.tobytes(), held, runs, found)

    def restore(self, slots: IntArray, stored: Dossiers, wanted: BoolArray) -> None:
        """Take back what ``stored`` gave for some clients: of the ``wanted`` ones, who go into ``slots``.

        Detectors that are not in it begin anew, and all do if detectors had other levels then.
        """
        table = np.frombuffer(stored.records, _kind(len(stored.detectors)))
        self.last_ts[slots] = table["last_ts"][wanted]
        held = stored_rows(table["places"], stored.held, self.held.miss.shape[1:])
        if held is None:
            return
        opinions, running, crossed = table["opinions"], table["running"], table["crossed"]
        #: Where a run or an event of a stored client and detector goes; -1: nowhere.
        keys = np.full(running.shape, -1, dtype=np.int64)
        for d, name in enumerate(self._detectors):
            if name in stored.detectors:
                was = stored.detectors.index(name)
                self.held.restore(slots, d, *held.of(wanted, was))
                self.opinions[slots, d] = opinions[wanted, was]
                self.running[slots, d], self._crossed[slots, d] = running[wanted, was], crossed[wanted, was]
                keys[wanted, was] = slots * self._d + d
        runs = _known(keys[running], stored.runs)
        self._runs |= runs
        self.runs_nbytes += sum(run.nbytes for run in runs.values())
        self._found |= _known(keys[crossed], stored.found)

    def _name_columns(self) -> None:
        table = self._table
        self.last_ts: FloatArray = table["last_ts"]
        self.held.places = table["places"]
        self.opinions: npt.NDArray[np.uint32] = table["opinions"]
        self.running: BoolArray = table["running"]
        self._crossed: BoolArray = table["crossed"]

    def _end(self, key: int) -> None:
        self.runs_nbytes -= self._runs.pop(key).nbytes

    def _keys(self, slots: IntArray, marks: BoolArray) -> list[int]:
        """Of marks of the slots, ``(k, d)``."""
        at, d = np.divmod(np.flatnonzero(np.ascontiguousarray(marks)), self._d)  # in columns, nonzero() is slow
        keys: list[int] = (slots[at] * self._d + d).tolist()
        return keys


def _kind(d: int) -> np.dtype[Any]:
    """A client's record, of so many detectors: what is looked at together is together. One client's is like the next
    one's, and so shorter when packed than column by column."""
    columns = [("last_ts", "<f8"), ("places", "<i4", (d,)), ("opinions", "<u4", (d,)), ("running", "?", (d,))]
    return np.dtype([*columns, ("crossed", "?", (d,))], align=True)


def _known(keys: IntArray, values: list[T]) -> dict[int, T]:
    """Values by key, without those whose key is -1."""
    return {key: value for key, value in zip(keys.tolist(), values, strict=True) if key >= 0}
