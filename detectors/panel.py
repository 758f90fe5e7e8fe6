"""All row detectors of one model and their alarm, over the clients of one partition."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.alarm import Alarm, Crossing, Hits, threshold
from detectors.baseline import BaselineError, ModelBaseline
from detectors.batch import BoolArray, EventBatch, IntArray
from detectors.client_finding import client_finding
from detectors.contract import RowDetector
from detectors.dossiers import Raised
from detectors.exact import figure
from detectors.finding import Attack, Finding
from detectors.journal import Journal
from detectors.panel_state import PanelState
from detectors.regions import Regions
from detectors.registry import row_detectors
from detectors.rows import Rows
from detectors.stretches import stretches
from detectors.suspicion import suspicion_of

#: Marks of rows: nothing found; a finding was made at it; its client was diverted and nothing looked at it.
CLEAN: Final = 0
FLAGGED: Final = 1
DIVERTED: Final = 2

Marks = npt.NDArray[np.int8]
OnFinding = Callable[[Finding], bool]


class Panel:
    """Scores, judges and learns rows; the way a stream is cut into batches changes no result.

    The false-alarm budget sets one threshold for all detectors (``detectors.alarm.threshold``). Findings of one row
    come in the detectors' order. A row at which a finding was made is never learned. A client whose next event is more
    than ``ttl_s`` of event time after its newest one begins anew, whenever ``sweep`` runs.
    """

    def __init__(
        self,
        model: str,
        baseline: ModelBaseline,
        clients_per_day: float,
        disabled: Collection[str] = (),
        *,
        ttl_s: float = 3600.0,
        max_clients: int = 1_000_000,
        max_state_mb: float = math.inf,
    ) -> None:
        """``max_state_mb``: memory for clients' state, in MiB, that ``sweep`` keeps within.

        Raises BaselineError if the baseline was made with other versions of the detectors."""
        self.model = model
        self._shape = tuple(baseline.shape)
        self._ttl_s = ttl_s
        self._max_clients = max_clients
        self._max_bytes = max_state_mb * 2**20
        kinds = [kind for kind in row_detectors(baseline.versions) if kind.info.name not in disabled]
        for info in (kind.info for kind in kinds):
            made_with = baseline.versions.get(info.name)
            if made_with != info.version:
                raise BaselineError(
                    f"{model}: the baseline has {info.name} {made_with or '(none)'}, this version needs "
                    f"{info.version}; calibrate again"
                )
        names = [kind.info.name for kind in kinds]
        try:
            self.threshold = threshold(clients_per_day, baseline.started_per_client_day(names))
            self._detectors: dict[str, RowDetector] = {k.info.name: k(baseline.params[k.info.name]) for k in kinds}
            accusing = [kind.info.accuses for kind in kinds]
            self._alarm = Alarm([baseline.tails[name] for name in names], self.threshold, accusing)
        except (LookupError, TypeError, ValueError) as error:
            raise BaselineError(f"{model}: the baseline's parameters make no sense ({error!r})") from error
        self._learning = _sharing(self._detectors)
        memories = {name: detector.memory for name, detector in self._learning.items()}
        self._state = PanelState(names, memories, self._alarm.miss)
        self._journal = Journal(self._state.stored, self._state.stored_bytes, self._state.saved)

    def __len__(self) -> int:
        """Clients with state."""
        return len(self._state.clients)

    def step(
        self,
        batch: EventBatch,
        on_finding: OnFinding,
        spare: BoolArray | None = None,
        raised: list[Raised] | None = None,
    ) -> Marks:
        """Look at rows in order; a mark for each, int8 ``(n,)``.

        ``on_finding`` is given each finding as it is made; if it returns True for any finding of a row, the client's
        later rows in this batch are diverted: not scored, not learned, no part of any evidence. Costly detectors have
        no opinion on rows marked in ``spare`` and do not learn them. For evidence to stay what it is, rows must be
        spared whatever they hold, as by a hash of their ids. Wherever a row hit, what detectors of attacks
        then held against its client is added to ``raised``: ``LEAST_E`` or more, and all that led to findings.

        Raises ValueError for rows of another shape than the baseline's.
        """
        if tuple(batch.shape) != self._shape:
            raise ValueError(f"{self.model}: rows have shape {batch.shape}, the baseline was made for {self._shape}")
        marks = np.full(len(batch), CLEAN, dtype=np.int8)
        if not len(batch):
            return marks
        spare = np.zeros(len(batch), dtype=np.bool_) if spare is None else spare
        rows, diverted = self._state.rows(batch), set[int]()
        for begin, end, returning in stretches(rows, self._state.dossiers.last_ts, self._ttl_s, diverted):
            if returning:
                self._state.clear(np.array(returning, dtype=np.int64))
                self._journal.renew(np.array(returning, dtype=np.int64))
            whole = begin == 0 and end == len(rows)
            part = rows if whole else rows.take(np.arange(begin, end))
            mine: list[Raised] = []
            marks[begin:end] = self._look(part, spare[begin:end], diverted, on_finding, mine)
            if raised is not None:
                raised += [(begin + row, suspicion) for row, suspicion in mine]
        self._journal.touch(rows.clients, self._state.clients.slots)
        return marks

    def evidence(self, client: str) -> dict[str, dict[str, float]]:
        """What is held against a client, by detector: e-value, threshold, opinions, hits of the run that goes on."""
        dossiers, slot = self._state.dossiers, int(self._state.clients.find([client])[0])
        if slot < 0:
            return {}
        e = self._alarm.e_values(dossiers.held.of(np.array([slot])), least=0.0)[0].tolist()
        runs = [dossiers.run(slot, d) for d in range(len(e))]
        return {
            name: {
                "e_value": e[d],
                "threshold": self.threshold,
                "opinions": int(dossiers.opinions[slot, d]),
                "tail_rows": run.count if run else 0,
            }
            for d, (name, run) in enumerate(zip(self._detectors, runs, strict=True))
        }

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call, as chunks under names never used before; None: no longer needed.

        See ``detectors.journal``.
        """
        return self._journal.delta()

    def restore(self, chunks: Mapping[str, bytes]) -> None:
        """Take back all chunks that ``delta`` gave and did not drop, once, before anything else.

        Raises ValueError for chunks of another format.
        """
        for name in sorted(chunks):
            self._journal.restored(name, len(chunks[name]), *self._state.restore(chunks[name]))

    def snapshot(self) -> dict[str, bytes]:
        """All that is remembered of each client, by key: two panels that know the same give the same bytes."""
        clients = self._state.clients
        whole = np.ones(1, dtype=np.bool_)
        return {c: self._state.stored(np.array([s]), whole, []) for c, s in zip(clients, clients.all(), strict=True)}

    def nbytes(self) -> int:
        """Memory that all clients take, about."""
        return self._state.total_nbytes()

    def client_nbytes(self) -> dict[str, int]:
        """Memory that each client takes, about."""
        clients = self._state.clients
        return dict(zip(clients, self._state.nbytes(clients.all()).tolist(), strict=True))

    def forget(self, clients: Iterable[str]) -> None:
        """Drop all state of clients."""
        gone = [client for client in dict.fromkeys(clients) if client in self._state.clients]
        self._journal.drop(self._state.forget(gone), gone)

    def sweep(self, watermark: float) -> list[str]:
        """Forget clients away too long, and beyond ``max_clients`` or ``max_state_mb`` those away longest; says who.

        Waits twice ``ttl_s``: an event that comes late must not find out whether the sweep was there first.
        """
        gone = self._state.surplus(watermark - 2.0 * self._ttl_s, self._max_clients, self._max_bytes)
        self.forget(gone)
        self._state.shrink()
        return gone

    def _look(
        self, rows: Rows, spare: BoolArray, diverted: set[int], on_finding: OnFinding, raised: list[Raised]
    ) -> Marks:
        dossiers, n = self._state.dossiers, len(rows)
        marks = np.full(n, CLEAN, dtype=np.int8)
        if diverted:
            marks[np.isin(rows.slots, list(diverted))] = DIVERTED
        hits = self._hits(rows, spare)
        learned = np.zeros(n, dtype=np.bool_)
        changes = np.empty((n * hits.shape[1], 5), dtype=np.int64)
        stale, begin, due = set[int](), 0, n
        while begin < n:
            if begin == due:
                due = self._renew(rows, spare, marks, learned, hits, stale, begin)
            begin, changed, stopped = self._alarm.judge(hits, rows, marks == DIVERTED, begin, due, dossiers, changes)
            raised += dossiers.take_in(rows.batch, rows.slots, changes[:changed], self._alarm.together)
            row = begin - 1
            slot = int(rows.slots[row])
            held = dossiers.held.of(rows.slots[row : row + 1])[0] if stopped else None
            if held is None or (crossing := self._alarm.crossing(held)) is None:
                continue
            mine = np.flatnonzero((rows.slots == slot) & ~learned & (marks == CLEAN))
            history, later = mine[mine <= row], mine[mine > row]
            findings: list[Finding] = []
            if self._report(rows.take(history), spare[history], crossing, on_finding, findings):
                diverted.add(slot)
                marks[later] = DIVERTED
            elif len(later):
                stale.add(slot)
                due = min(due, int(later[0]))
            raised += [(row, suspicion_of(finding)) for finding in findings if finding.attack is not Attack.ABUSE]
            marks[row] = FLAGGED
        # What was worked out holds for all clients but those of whom some rows are not to be learned, or were already.
        rest = (marks == CLEAN) & ~learned
        parted = np.unique(rows.slots[~rest])
        if len(late := np.flatnonzero(rest & np.isin(rows.slots, parted))):
            self._learn(rows.take(late), spare[late])
        self._learn(rows, spare, parted)
        return marks

    def _renew(
        self, rows: Rows, spare: BoolArray, marks: Marks, learned: BoolArray, hits: Hits, stale: set[int], begin: int
    ) -> int:
        """Hits of all later rows of clients found in this batch: they counted the rows of findings as seen.

        One pass for all clients found since the last one, when the first later row of any of them (``begin``) comes.
        """
        theirs = np.isin(rows.slots, list(stale)) & (marks == CLEAN) & ~learned
        stale.clear()
        earlier, later = np.flatnonzero(theirs[:begin]), begin + np.flatnonzero(theirs[begin:])
        if len(earlier):
            self._learn(rows.take(earlier), spare[earlier])
            learned[earlier] = True
        hits[later] = self._hits(rows.take(later), spare[later])
        return len(rows)

    def _hits(self, rows: Rows, spare: BoolArray) -> Hits:
        scores = np.full((len(rows), len(self._detectors)), np.nan)
        some, index = _not_spared(rows, spare)
        for d, detector in enumerate(self._detectors.values()):
            if detector.costly:
                scores[index, d] = detector.score(some)
            else:
                scores[:, d] = detector.score(rows)
        return self._alarm.hits(scores)

    def _learn(self, rows: Rows, spare: BoolArray, without: IntArray | None = None) -> None:
        """All rows, but not those of the clients in the slots ``without``."""
        some, _ = _not_spared(rows, spare)
        for detector in self._learning.values():
            mine = some if detector.costly else rows
            detector.learn(mine, ~np.isin(mine.clients, without) if without is not None and len(without) else None)

    def _report(
        self, rows: Rows, spare: BoolArray, crossing: Crossing, on_finding: OnFinding, findings: list[Finding]
    ) -> bool:
        """Hand on the findings at the last of a client's rows that are not learned yet; True if it is diverted."""
        dossiers, batch, row = self._state.dossiers, rows.batch, len(rows) - 1
        slot, event = int(rows.slots[row]), batch.ids[row]
        some, _ = _not_spared(rows, spare)
        shares = {name: figure(m) for name, m in zip(self._detectors, crossing.shares, strict=True) if m}
        diverted = False
        for d, detector in enumerate(self._detectors.values()):
            if not crossing.e[d]:
                continue
            # One request makes at most one finding a detector, however many rows it has.
            if dossiers.found(slot, d) != event:
                finding = client_finding(
                    detector.info,
                    batch,
                    row,
                    dossiers.run(slot, d),
                    dossiers.run_rows(slot, d),
                    e_value=float(crossing.e[d]),
                    threshold=self.threshold,
                    agreeing=any(
                        dossiers.found(slot, o) and other.info.accuses
                        for o, other in enumerate(self._detectors.values())
                        if other.info.attack is not detector.info.attack or not _alike(other, detector)
                    ),
                    figures=(detector.explain(some, len(some) - 1) if detector.costly else detector.explain(rows, row))
                    | ({"together": shares} if shares else {}),
                )
                findings.append(finding)
                diverted = on_finding(finding) or diverted
            dossiers.restart(slot, d, event)
        for d, name in enumerate(self._detectors):
            if name in shares:
                dossiers.drop(slot, d)
        return diverted


def _alike(one: RowDetector, other: RowDetector) -> bool:
    """Do they look at the same: at one memory, or both at an input's place?"""
    return one.memory is other.memory or (isinstance(one, Regions) and isinstance(other, Regions))


def _sharing(detectors: Mapping[str, RowDetector]) -> dict[str, RowDetector]:
    """Detectors that remember the same get one memory; those that are to learn, the first of each kind."""
    learning: dict[str, RowDetector] = {}
    first: dict[tuple[bytes, bool], RowDetector] = {}
    for name, detector in detectors.items():
        owner = first.setdefault((detector.memory_key, detector.costly), detector)
        if owner is detector:
            learning[name] = detector
        else:
            detector.memory = owner.memory
    return learning


def _not_spared(rows: Rows, spare: BoolArray) -> tuple[Rows, IntArray]:
    """Rows that costly detectors look at, and which they are."""
    index = np.flatnonzero(~spare)
    return (rows if len(index) == len(rows) else rows.take(index)), index
