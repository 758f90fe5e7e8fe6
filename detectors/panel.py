"""All row detectors of one model and their alarm, over the clients of one partition."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.alarm import Alarm, Hits, threshold
from detectors.baseline import BaselineError, ModelBaseline
from detectors.batch import BoolArray, EventBatch, FloatArray
from detectors.client_finding import client_finding
from detectors.contract import RowDetector
from detectors.dossier import Dossier, recall, record, take_in
from detectors.finding import Attack, Finding, Severity
from detectors.population import Population
from detectors.registry import ROW_DETECTORS
from detectors.severity import severity

#: Marks of rows: nothing found; a finding was made at it; its client was diverted and nothing looked at it.
CLEAN: Final = 0
FLAGGED: Final = 1
DIVERTED: Final = 2

Marks = npt.NDArray[np.int8]
OnFinding = Callable[[Finding], bool]

#: Key of the part of the state that belongs to no client; client keys begin with "client:" or "ip:".
POPULATION: Final = "population"
#: Rows looked at together; a longer batch is cut.
_MOST_ROWS: Final = 4096


class Panel:
    """Scores, judges and learns rows; the way a stream is cut into batches changes no result.

    The false-alarm budget sets one threshold for all detectors (``threshold``). Findings of one row come in the
    detectors' order. A row that is found is never learned. A client whose next event is more than ``ttl_s`` of event
    time after its last one begins anew, whenever ``sweep`` runs.
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
    ) -> None:
        """Raises BaselineError if the baseline was made with other versions of the detectors."""
        self.model = model
        self._shape = tuple(baseline.shape)
        self._ttl_s = ttl_s
        kinds = [kind for kind in ROW_DETECTORS if kind.info.name not in disabled]
        for kind in kinds:
            made_with = baseline.versions.get(kind.info.name)
            if made_with != kind.info.version:
                raise BaselineError(
                    f"{model}: the baseline has {kind.info.name} {made_with or '(none)'}, this version needs "
                    f"{kind.info.version}; calibrate again"
                )
        self._detectors: list[RowDetector] = [kind(baseline.params[kind.info.name]) for kind in kinds]
        self._names = [kind.info.name for kind in kinds]
        self.threshold = threshold(clients_per_day, baseline.rows_per_client_day, len(kinds))
        self._alarm = Alarm([baseline.tails[name] for name in self._names], self.threshold)
        self._population = Population(self._alarm.bounds)
        self._dossiers: dict[str, Dossier] = {}
        self._found: set[str] = set()
        self._max_clients = max_clients

    def __len__(self) -> int:
        """Clients with state."""
        return len(self._dossiers)

    def step(self, batch: EventBatch, on_finding: OnFinding) -> Marks:
        """Look at rows in order; a mark for each, int8 ``(n,)``.

        ``on_finding`` is given each finding as it is made; if it returns True for any finding of a row, the client's
        later rows in this batch are diverted: not scored, not learned, no part of any evidence.

        Raises ValueError for rows of another shape than the baseline's.
        """
        if tuple(batch.shape) != self._shape:
            raise ValueError(f"{self.model}: rows have shape {batch.shape}, the baseline was made for {self._shape}")
        marks = np.full(len(batch), CLEAN, dtype=np.int8)
        for begin, end, returning in self._stretches(batch):
            self.forget(returning)
            whole = begin == 0 and end == len(batch)
            part = batch if whole else batch.take(np.arange(begin, end))
            marks[begin:end] = self._look(part, on_finding)
        return marks

    def _stretches(self, batch: EventBatch) -> Iterator[tuple[int, int, list[str]]]:
        """Cuts before rows of clients that were away longer than ``ttl_s``: begin, end, clients to forget before."""
        newest: dict[str, float] = {}
        begin = 0
        returning: list[str] = []
        for row, (client, ts) in enumerate(zip(batch.clients, batch.ts.tolist(), strict=True)):
            last = newest.get(client)
            here = last is not None
            if last is None:
                dossier = self._dossiers.get(client)
                last = ts if dossier is None else dossier.last_ts
            away = ts - last > self._ttl_s
            if (away and here) or row - begin == _MOST_ROWS:
                yield begin, row, returning
                begin, returning = row, []
            if away:
                returning.append(client)
            newest[client] = max(last, ts)
        if begin < len(batch):
            yield begin, len(batch), returning

    def _look(self, batch: EventBatch, on_finding: OnFinding) -> Marks:
        names = list(dict.fromkeys(batch.clients))
        place = {name: i for i, name in enumerate(names)}
        client = np.array([place[name] for name in batch.clients], dtype=np.int64)
        dossiers = [self._dossiers.setdefault(name, Dossier(self._alarm.shape)) for name in names]
        hits = self._hits(batch)
        marks = np.full(len(batch), CLEAN, dtype=np.int8)
        learned = np.zeros(len(batch), dtype=np.bool_)
        begin = 0
        while len(todo := begin + np.flatnonzero(marks[begin:] != DIVERTED)):
            preview = self._population.copy()
            bounds = preview.advance(hits[todo], [batch.clients[i] for i in todo.tolist()], self._found)
            start = np.stack([dossier.log_e for dossier in dossiers])
            evidence = self._alarm.run(hits[todo], client[todo], start, bounds)
            crossed = np.flatnonzero(evidence.e.any(axis=1))
            if not len(crossed):
                self._population = preview
                take_in(dossiers, batch, todo, client[todo], hits[todo], evidence)
                break
            upto = todo[: crossed[0] + 1]
            self._population.advance(hits[upto], [batch.clients[i] for i in upto.tolist()], self._found)
            take_in(dossiers, batch, upto, client[upto], hits[upto], evidence.first(len(upto)))
            shared = np.zeros(len(self._detectors), dtype=np.bool_)
            if bounds is not None:
                shared = (bounds[len(upto) - 1] > self._alarm.bounds).any(axis=1)
            row = int(upto[-1])
            mine = np.flatnonzero((client == client[row]) & ~learned)
            later = mine[mine > row]
            history = batch.take(mine[mine <= row])
            diverted = self._report(history, dossiers[int(client[row])], evidence.e[len(upto) - 1], shared, on_finding)
            marks[row] = FLAGGED
            self._learn(history.take(np.arange(len(history) - 1)))
            learned[mine[mine <= row]] = True
            if diverted:
                marks[later] = DIVERTED
            elif len(later):
                # They were scored with the row that is now known to be bad as part of their history.
                hits[later] = self._hits(batch.take(later))
            begin = row + 1
        rest = (marks == CLEAN) & ~learned
        self._learn(batch if rest.all() else batch.take(rest))
        return marks

    def _hits(self, batch: EventBatch) -> Hits:
        scores = np.empty((len(batch), len(self._detectors)))
        for d, detector in enumerate(self._detectors):
            scores[:, d] = detector.score(batch)
        return self._alarm.hits(scores)

    def _learn(self, batch: EventBatch) -> None:
        if len(batch):
            for detector in self._detectors:
                detector.learn(batch)

    def _report(
        self, history: EventBatch, dossier: Dossier, e: FloatArray, shared: BoolArray, on_finding: OnFinding
    ) -> bool:
        """Hand on the findings of the last row of a client's unlearned rows; True if the client is diverted."""
        row = len(history) - 1
        name, event = history.clients[row], history.ids[row]
        diverted = False
        for d in np.flatnonzero(e).tolist():
            # One request makes at most one finding a detector, however many rows it has.
            if dossier.found[d] != event:
                detector = self._detectors[d]
                figures = detector.explain(history, row)
                grade = self._severity(dossier, d, bool(shared[d]))
                finding = client_finding(
                    detector.info,
                    history,
                    row,
                    dossier,
                    d,
                    float(e[d]),
                    self.threshold,
                    grade,
                    bool(shared[d]),
                    figures,
                )
                diverted = on_finding(finding) or diverted
            dossier.restart(d, event)
        self._found.add(name)
        self._population.drop(name)
        return diverted

    def _severity(self, dossier: Dossier, d: int, shared: bool) -> Severity:
        run = dossier.runs[d]
        hits, rows = (1, 1) if run is None else (run.count, dossier.opinions[d] - run.since + 1)
        agreeing = any(
            found and other != d and detector.info.attack is not Attack.ABUSE
            for other, (found, detector) in enumerate(zip(dossier.found, self._detectors, strict=True))
        )
        return severity(self._detectors[d].info.attack, hits, rows, agreeing, shared)

    def evidence(self, client: str) -> dict[str, dict[str, float]]:
        """What is held against a client, by detector: e-value, opinions, and hits of the run that goes on."""
        dossier = self._dossiers.get(client)
        if dossier is None:
            return {}
        e = self._alarm.e_values(dossier.log_e[None], least=0.0)[0].tolist()
        return {
            name: {
                "e_value": e[d],
                "threshold": self.threshold,
                "opinions": dossier.opinions[d],
                "tail_rows": run.count if run else 0,
            }
            for d, (name, run) in enumerate(zip(self._names, dossier.runs, strict=True))
        }

    def snapshot(self, clients: Iterable[str] | None = None) -> dict[str, bytes]:
        """State of clients (all if None) by client key, and under ``POPULATION`` what belongs to none of them."""
        wanted = list(self._dossiers if clients is None else dict.fromkeys(c for c in clients if c in self._dossiers))
        memories: dict[str, dict[str, bytes]] = {client: {} for client in wanted}
        for name, detector in zip(self._names, self._detectors, strict=True):
            for client, memory in detector.snapshot(wanted).items():
                memories[client][name] = memory
        state = {client: record(self._dossiers[client], self._names, memories[client]) for client in wanted}
        return state | {POPULATION: self._population.snapshot()}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take back what ``snapshot`` gave, in one part or several."""
        memories: dict[str, dict[str, bytes]] = {name: {} for name in self._names}
        for client, blob in state.items():
            if client == POPULATION:
                self._population.restore(blob)
                continue
            dossier, parts = recall(blob, self._names, self._alarm.shape)
            self._dossiers[client] = dossier
            if any(dossier.found):
                self._found.add(client)
            for name, memory in parts.items():
                memories[name][client] = memory
        for name, detector in zip(self._names, self._detectors, strict=True):
            detector.restore(memories[name])

    def forget(self, clients: Iterable[str]) -> None:
        """Drop all state of clients."""
        gone = list(clients)
        for client in gone:
            self._dossiers.pop(client, None)
            self._found.discard(client)
        for detector in self._detectors:
            detector.forget(gone)

    def sweep(self, watermark: float) -> list[str]:
        """Forget clients that cannot come back as themselves, and beyond ``max_clients`` those away longest; who it was.

        Waits twice ``ttl_s``: an event that comes late must not find out whether the sweep was there first.
        """
        gone = [c for c, dossier in self._dossiers.items() if dossier.last_ts < watermark - 2.0 * self._ttl_s]
        self.forget(gone)
        if len(self._dossiers) > self._max_clients:
            oldest = sorted(self._dossiers, key=lambda c: (self._dossiers[c].last_ts, c))
            more = oldest[: len(self._dossiers) - self._max_clients]
            self.forget(more)
            gone += more
        return gone
