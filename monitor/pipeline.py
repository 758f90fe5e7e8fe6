"""The pure pipeline of one partition: validated events in, verdicts, findings, incidents and decisions out.

No clock, no I/O. How events are cut into calls never changes the outcome: redeliveries, client state and diversions are
sequential per client, and window sums do not depend on order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.batch import EventBatch, FloatArray, IntArray
from detectors.dossiers import Raised
from detectors.finding import Finding
from detectors.panel import CLEAN, DIVERTED, FLAGGED, Panel
from detectors.run_ranks import runs
from monitor.bands import BandSlot
from monitor.cases import Cases
from monitor.columns import align_scores, marked, names, times, to_batches
from monitor.core import Core
from monitor.counting import Counting
from monitor.dedupe import Dedupe
from monitor.event import Event
from monitor.origins import Origins
from monitor.overload import PLANS, degraded, sampled
from monitor.shares import AnyMessage, Progress
from monitor.step import StepResult, Verdict
from responders.decision import ActionType

Marks = npt.NDArray[np.int8]


class _Meta(msgspec.Struct):
    watermark: float = float("-inf")
    verdicts: dict[str, int] = {}


class PartitionPipeline:
    """Owns everything that is remembered about one partition's clients."""

    def __init__(self, core: Core, state: Mapping[str, bytes], partition: int = 0, sources: int = 1) -> None:
        self._core = core
        #: How closely to look; the worker changes it when it falls behind.
        self.plan = PLANS[0]
        #: Of re-keyed records; without re-keying it stays empty.
        self.origins = Origins(sources)
        self._panels: dict[str, Panel] = {}
        self._widths = {model: found.scores for model, found in core.baseline.models.items()}
        self._dedupe = Dedupe(core.settings.clients.dedupe_s)
        self._cases = Cases(core.policy, core.settings.response.resolve_after_s)
        self._diverted_until: dict[str, float] = {}
        self._counting = Counting(core, partition)
        self._meta = _Meta()
        self._changed: dict[str, bytes | None] = {}
        self._restore(state)

    @property
    def watermark(self) -> float:
        """Newest event time seen, or promised by a tick."""
        return self._meta.watermark

    @property
    def late_rows(self) -> int:
        """Rows whose window was over when they came (``PartitionWindows.late_rows``)."""
        return self._counting.windows.late_rows

    @property
    def verdicts(self) -> Mapping[str, int]:
        """Events by verdict since the partition's first record; survives restarts."""
        return self._meta.verdicts

    def process(self, events: Sequence[Event], ticks: Sequence[tuple[int, float]] = ()) -> StepResult:
        """One verdict per event, in any batch size.

        ``ticks``, in order: (events before it, event time) of records saying that nothing older is to come.
        """
        result = StepResult()
        ts = times(events)
        before, watermarks = self._watermarks(ts, ticks)
        first = self._dedupe.first_of(*names(events), ts, before)
        if not first.all():
            result.verdicts[Verdict.DUPLICATE] += int(np.count_nonzero(~first))
            events, watermarks = marked(events, first), watermarks[first]
        for batch in to_batches(events, self._widths):
            raised: list[Raised] = []
            marks = self._judge(batch, result, raised)
            if marks is None:
                result.verdicts[Verdict.UNSCORED] += len(np.unique(batch.request))
                continue
            clean = np.flatnonzero(marks == CLEAN)
            if self.plan.windows_one_in > 1:
                counted = clean[sampled(batch.ids, self.plan.windows_one_in)[clean]]
                result.spared["windows"] += len(clean) - len(counted)
                clean = counted
            self._counting.add(batch, watermarks[batch.request], clean, raised, self.plan)
            self._count(batch, events, marks, result)
        self._counting.settle(self._meta.watermark)
        for verdict, n in result.verdicts.items():
            self._meta.verdicts[verdict.value] = self._meta.verdicts.get(verdict.value, 0) + n
        return result

    def reject(self, records: int) -> None:
        """Count records that were no events and went to the dead-letter topic."""
        self._meta.verdicts["dead_letter"] = self._meta.verdicts.get("dead_letter", 0) + records

    def announce(self, *, idle: bool = False) -> list[AnyMessage]:
        """What the models must be told since the last call: suspects and shares of windows that are over, then the
        progress.

        ``idle``: there is nothing more to read for now; then the open windows are told of as they stand, and nobody
        need wait for this partition.
        """
        return self._counting.announce(self._meta.watermark, idle=idle)

    def announce_bands(self, *, idle: bool = False) -> list[BandSlot | Progress]:
        """What must be compared across clients since the last ``announce``, which says ``idle`` as well; then how far
        the time has come."""
        return self._counting.announce_bands(self._meta.watermark, idle=idle)

    def release(self, model: str, client: str) -> bool:
        """An operator (or a refused action) ends a diversion: the client's next event is looked at again.

        True if there was one.
        """
        key = _pair(model, client)
        if self._diverted_until.pop(key, None) is None:
            return False
        self._changed[f"divert/{key}"] = None
        return True

    def delta(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None means gone. Together with the offsets it is a checkpoint."""
        changes, self._changed = self._changed, {}
        for model, panel in self._panels.items():
            for chunk, blob in panel.delta().items():
                changes[f"panel/{_pair(model, chunk)}"] = blob
        changes |= self._counting.delta()
        for room, delta in (
            ("dedupe", self._dedupe.delta(self._meta.watermark)),
            ("incident", self._cases.delta()),
            ("origin", self.origins.delta()),
        ):
            changes |= {f"{room}/{name}": value for name, value in delta.items()}
        changes["meta"] = msgspec.msgpack.encode(self._meta)
        return changes

    def sweep(self) -> None:
        """Forget clients idle past their time to live, ended diversions and incidents long quiet."""
        for panel in self._panels.values():
            panel.sweep(self._meta.watermark)
        # Like the panel's clients, ended diversions stay for events that come late: a sweep must not change verdicts.
        ended_ts = self._meta.watermark - self._core.settings.clients.ttl_s
        for key in [k for k, until in self._diverted_until.items() if until < ended_ts]:
            del self._diverted_until[key]
            self._changed[f"divert/{key}"] = None
        self._cases.prune(self._meta.watermark)

    def _watermarks(self, ts: FloatArray, ticks: Sequence[tuple[int, float]]) -> tuple[FloatArray, FloatArray]:
        """The newest time before each event and up to it, ``(n,)`` each, ticks included; moves the watermark on."""
        promised = np.full(len(ts) + 1, -np.inf)  # the last place is for ticks after all events
        if ticks:
            at, until = np.array(ticks, dtype=np.float64).T
            np.maximum.at(promised, np.minimum(np.maximum.accumulate(at), len(ts)).astype(np.int64), until)
        promised[0] = max(promised[0], self._meta.watermark)
        newest = np.maximum.accumulate(np.maximum(promised, np.append(ts, -np.inf)))
        self._meta.watermark = float(newest[-1])
        return np.maximum(promised[:-1], np.append(-np.inf, newest)[: len(ts)]), newest[:-1]

    def _judge(self, batch: EventBatch, result: StepResult, raised: list[Raised]) -> Marks | None:
        """A mark for each row of one model; None if the model has no baseline for such rows. What was ``raised`` of
        rows is added there."""
        panel = self._panel(batch)
        if panel is None:
            return None
        marks = np.full(len(batch), DIVERTED, dtype=np.int8)
        for stretch in self._stretches(batch):
            todo = self._free(batch, stretch)
            if len(todo):
                rows = batch.take(todo)
                spare = None if self.plan.rows_one_in == 1 else ~sampled(rows.ids, self.plan.rows_one_in)
                mine: list[Raised] = []
                marks[todo] = panel.step(rows, partial(self._found, rows, result), spare, mine)
                raised += [(int(todo[row]), suspicion) for row, suspicion in mine]
                result.spared["detectors"] += 0 if spare is None else int(np.count_nonzero(spare))
        return marks

    def _stretches(self, batch: EventBatch) -> Iterator[IntArray]:
        """Row indices, in order, cut so that no diversion decided in a stretch ends within it.

        Who is diverted is looked up between stretches: a client whose diversion has ended is then looked at in its
        place in the order of rows, not after others whose rows came later.
        """
        shortest_s = self._core.policy.shortest_quarantine_s
        begin = 0
        if batch.ts.max() - batch.ts.min() >= shortest_s:
            ts = batch.ts.tolist()
            oldest: dict[str, float] = {}
            for row, client in enumerate(batch.clients):
                if ts[row] - oldest.get(client, ts[row]) >= shortest_s:
                    yield np.arange(begin, row)
                    begin = row
                    oldest.clear()
                oldest[client] = min(ts[row], oldest.get(client, ts[row]))
        yield np.arange(begin, len(batch))

    def _free(self, batch: EventBatch, rows: IntArray) -> IntArray:
        """Those of the rows whose client is not diverted at their time."""
        if not self._diverted_until:
            return rows
        until = {c: self._diverted_until.get(_pair(batch.model, c), float("-inf")) for c in set(batch.clients)}
        if max(until.values()) == float("-inf"):
            return rows
        ends = np.array([until[c] for c in batch.clients])
        return rows[batch.ts[rows] >= ends[rows]]

    def _count(self, batch: EventBatch, events: Sequence[Event], marks: Marks, result: StepResult) -> None:
        """An event's verdict is that of its worst row."""
        starts, _ = runs(batch.request)
        requests, worst = batch.request[starts], np.maximum.reduceat(marks, starts)
        for verdict, mark in ((Verdict.CLEAN, CLEAN), (Verdict.FLAGGED, FLAGGED), (Verdict.DIVERTED, DIVERTED)):
            result.verdicts[verdict] += int(np.count_nonzero(worst == mark))
        width = self._widths[batch.model]
        diverted = [align_scores(events[i], width) for i in requests[worst == DIVERTED].tolist()]
        result.diverted += [(event.client, event) for event in diverted]

    def _found(self, rows: EventBatch, result: StepResult, finding: Finding) -> bool:
        """Finding → incident → decisions; True if the client is diverted from its next row on."""
        finding = degraded(finding, self.plan)
        incident, decisions = self._cases.found(finding, _address(rows, finding))
        result.add(finding, incident, decisions)
        diverts = False
        for decision in decisions:
            if decision.type is not ActionType.QUARANTINE or decision.simulated or decision.ttl_s is None:
                continue
            key = _pair(finding.model, finding.subject.key)
            until = finding.ts + decision.ttl_s
            self._diverted_until[key] = max(until, self._diverted_until.get(key, until))
            self._changed[f"divert/{key}"] = msgspec.msgpack.encode(self._diverted_until[key])
            diverts = True
        return diverts

    def _panel(self, batch: EventBatch) -> Panel | None:
        panel = self._panels.get(batch.model)
        if panel is None:
            panel = self._core.panel(batch.model)
            if panel is None:
                return None
            self._panels[batch.model] = panel
        return panel if self._core.fits(batch) else None

    def _restore(self, state: Mapping[str, bytes]) -> None:
        rooms: dict[str, dict[str, bytes]] = {}
        for path, blob in state.items():
            room, _, key = path.partition("/")
            rooms.setdefault(room, {})[key] = blob
        if "meta" in rooms:
            self._meta = msgspec.msgpack.decode(rooms["meta"][""], type=_Meta)
        self._dedupe.restore(rooms.get("dedupe", {}))
        self._cases.restore(rooms.get("incident", {}))
        self.origins.restore(rooms.get("origin", {}))
        self._counting.restore(rooms)
        for key, blob in rooms.get("divert", {}).items():
            self._diverted_until[key] = msgspec.msgpack.decode(blob, type=float)
        by_model: dict[str, dict[str, bytes]] = {}
        for key, blob in rooms.get("panel", {}).items():
            model, _, chunk = key.partition("\x1f")
            by_model.setdefault(model, {})[chunk] = blob
        for model, chunks in by_model.items():
            panel = self._core.panel(model)
            if panel is not None:
                panel.restore(chunks)
                self._panels[model] = panel


def _address(rows: EventBatch, finding: Finding) -> str:
    """Where the request that crossed came from; its id alone would not do, ids may come again after a while."""
    event, row = finding.evidence["at"], -1
    while True:
        row = rows.ids.index(event, row + 1)
        if rows.clients[row] == finding.subject.key and rows.ts[row] == finding.ts:
            return rows.ips[row]


def _pair(model: str, client: str) -> str:
    return f"{model}\x1f{client}"
