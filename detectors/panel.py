"""All row detectors of one model and their alarm, over the clients of one partition."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from detectors.alarm import Alarm, Hits, threshold
from detectors.baseline import BaselineError, ModelBaseline
from detectors.batch import EventBatch, FloatArray
from detectors.client_finding import client_finding
from detectors.contract import RowDetector
from detectors.dossier import take_in
from detectors.dossiers import Dossiers
from detectors.finding import Attack, Finding
from detectors.registry import ROW_DETECTORS

#: Marks of rows: nothing found; a finding was made at it; its client was diverted and nothing looked at it.
CLEAN: Final = 0
FLAGGED: Final = 1
DIVERTED: Final = 2

Marks = npt.NDArray[np.int8]
OnFinding = Callable[[Finding], bool]

#: Rows looked at together; a longer batch is cut.
_MOST_ROWS: Final = 4096


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
    ) -> None:
        """Raises BaselineError if the baseline was made with other versions of the detectors."""
        self.model = model
        self._shape = tuple(baseline.shape)
        self._ttl_s = ttl_s
        self._max_clients = max_clients
        kinds = [kind for kind in ROW_DETECTORS if kind.info.name not in disabled]
        for info in (kind.info for kind in kinds):
            made_with = baseline.versions.get(info.name)
            if made_with != info.version:
                raise BaselineError(
                    f"{model}: the baseline has {info.name} {made_with or '(none)'}, this version needs "
                    f"{info.version}; calibrate again"
                )
        names = [kind.info.name for kind in kinds]
        self.threshold = threshold(clients_per_day, baseline.rows_per_client_day, len(kinds))
        try:
            self._detectors: dict[str, RowDetector] = {k.info.name: k(baseline.params[k.info.name]) for k in kinds}
            self._alarm = Alarm([baseline.tails[name] for name in names], self.threshold)
        except (LookupError, TypeError, ValueError) as error:
            raise BaselineError(f"{model}: the baseline's parameters make no sense ({error!r})") from error
        self._dossiers = Dossiers(names, self._alarm.shape)

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
        diverted: set[str] = set()
        for begin, end, returning in self._stretches(batch, diverted):
            self.forget(returning)
            whole = begin == 0 and end == len(batch)
            part = batch if whole else batch.take(np.arange(begin, end))
            marks[begin:end] = self._look(part, diverted, on_finding)
        return marks

    def evidence(self, client: str) -> dict[str, dict[str, float]]:
        """What is held against a client, by detector: e-value, threshold, opinions, hits of the run that goes on."""
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
            for d, (name, run) in enumerate(zip(self._detectors, dossier.runs, strict=True))
        }

    def snapshot(self, clients: Iterable[str] | None = None) -> dict[str, bytes]:
        """State of clients (all if None) by client key."""
        wanted = list(self._dossiers if clients is None else dict.fromkeys(c for c in clients if c in self._dossiers))
        memories: dict[str, dict[str, bytes]] = {client: {} for client in wanted}
        for name, detector in self._detectors.items():
            for client, memory in detector.snapshot(wanted).items():
                memories[client][name] = memory
        return {client: self._dossiers.encode(client, memories[client]) for client in wanted}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take back what ``snapshot`` gave, at once or in several parts."""
        memories: dict[str, dict[str, bytes]] = {name: {} for name in self._detectors}
        for client, blob in state.items():
            for name, memory in self._dossiers.decode(client, blob).items():
                memories[name][client] = memory
        for name, detector in self._detectors.items():
            detector.restore(memories[name])

    def forget(self, clients: Iterable[str]) -> None:
        """Drop all state of clients."""
        gone = list(clients)
        self._dossiers.forget(gone)
        for detector in self._detectors.values():
            detector.forget(gone)

    def sweep(self, watermark: float) -> list[str]:
        """Forget clients away too long, and beyond ``max_clients`` those away longest; returns who they were.

        Waits twice ``ttl_s``: an event that comes late must not find out whether the sweep was there first.
        """
        gone = self._dossiers.idle(watermark - 2.0 * self._ttl_s, self._max_clients)
        self.forget(gone)
        return gone

    def _stretches(self, batch: EventBatch, diverted: set[str]) -> Iterator[tuple[int, int, list[str]]]:
        """Cuts before rows of clients that were away longer than ``ttl_s``: begin, end, clients to forget before.

        Lazy: ``diverted`` grows while stretches are looked at.
        """
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
            if away and client not in diverted:
                returning.append(client)
            newest[client] = max(last, ts)
        if begin < len(batch):
            yield begin, len(batch), returning

    def _look(self, batch: EventBatch, diverted: set[str], on_finding: OnFinding) -> Marks:
        names = list(dict.fromkeys(batch.clients))
        place = {name: i for i, name in enumerate(names)}
        client = np.array([place[name] for name in batch.clients], dtype=np.int64)
        dossiers = [self._dossiers.open(name) for name in names]
        hits = self._hits(batch)
        marks = np.where([name in diverted for name in batch.clients], DIVERTED, CLEAN).astype(np.int8)
        learned = np.zeros(len(batch), dtype=np.bool_)
        begin = 0
        while len(todo := begin + np.flatnonzero(marks[begin:] != DIVERTED)):
            start = np.stack([dossier.log_e for dossier in dossiers])
            evidence = self._alarm.run(hits[todo], client[todo], start)
            crossed = np.flatnonzero(evidence.e.any(axis=1))
            if not len(crossed):
                take_in(dossiers, batch, todo, client[todo], hits[todo], evidence)
                break
            # All that was worked out for rows after the first crossing may be wrong: it counted them as seen.
            at = int(crossed[0])
            upto, row = todo[: at + 1], int(todo[at])
            take_in(dossiers, batch, upto, client[upto], hits[upto], evidence.first(at + 1))
            mine = np.flatnonzero((client == client[row]) & ~learned)
            history, later = batch.take(mine[mine <= row]), mine[mine > row]
            if self._report(history, evidence.e[at], on_finding):
                diverted.add(batch.clients[row])
            marks[row] = FLAGGED
            self._learn(history.take(np.arange(len(history) - 1)))
            learned[mine[mine <= row]] = True
            if batch.clients[row] in diverted:
                marks[later] = DIVERTED
            elif len(later):
                # They were scored with the row that is now known to be bad among their history.
                hits[later] = self._hits(batch.take(later))
            begin = row + 1
        rest = (marks == CLEAN) & ~learned
        self._learn(batch if rest.all() else batch.take(rest))
        return marks

    def _hits(self, batch: EventBatch) -> Hits:
        scores = np.empty((len(batch), len(self._detectors)))
        for d, detector in enumerate(self._detectors.values()):
            scores[:, d] = detector.score(batch)
        return self._alarm.hits(scores)

    def _learn(self, batch: EventBatch) -> None:
        if len(batch):
            for detector in self._detectors.values():
                detector.learn(batch)

    def _report(self, history: EventBatch, e: FloatArray, on_finding: OnFinding) -> bool:
        """Hand on the findings at the last of a client's rows that are not learned yet; True if it is diverted."""
        row = len(history) - 1
        client, event = history.clients[row], history.ids[row]
        dossier = self._dossiers.open(client)
        accusing = [detector.info.attack is not Attack.ABUSE for detector in self._detectors.values()]
        diverted = False
        for d, detector in enumerate(self._detectors.values()):
            if not e[d]:
                continue
            # One request makes at most one finding a detector, however many rows it has.
            if dossier.found[d] != event:
                finding = client_finding(
                    detector.info,
                    history,
                    row,
                    dossier,
                    d,
                    e_value=float(e[d]),
                    threshold=self.threshold,
                    agreeing=any(dossier.found[other] and accusing[other] for other in range(len(e)) if other != d),
                    figures=detector.explain(history, row),
                )
                diverted = on_finding(finding) or diverted
            dossier.restart(d, event)
        return diverted
