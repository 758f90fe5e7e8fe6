"""The shell around the core: what a step says is written down before the state that covers it is saved.

Order is the promise: quarantined requests, then findings and incidents, then decisions (all ignore repeats); state and
offset come last (``monitor.lanes``). A crash between any two replays records; nothing happens twice. ``judge`` works
out, ``write`` writes down: between the two, the next records may be judged.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from detectors.digest import mixed
from detectors.finding import Finding
from detectors.texts import Texts
from monitor.band_watch import BandWatch
from monitor.codec import encode_json
from monitor.codec.limits import Limits
from monitor.columns import origins
from monitor.core import Core
from monitor.incidents import Incident
from monitor.intake import SourceRecord, Taken, take
from monitor.metrics import Metrics
from monitor.models_watch import ModelsWatch
from monitor.pipeline import PartitionPipeline
from monitor.recent import Recent
from monitor.shares import AnyMessage
from monitor.step import StepResult
from responders.decision import Decision

#: Sweeping is cheap but not free: once in this many steps of a partition,
_SWEEP_EVERY = 50
#: or this share of a client's time to live, whichever comes first: a step of a replay may span hours.
_SWEEP_TTL_SHARE = 1 / 8


class FindingSink(Protocol):
    """The store, as far as the runtime knows it."""

    def note(self, findings: Iterable[Finding], incidents: Iterable[Incident], now: float) -> None: ...

    def address(self, pairs: Iterable[tuple[str, str]]) -> None: ...


class DecisionSink(Protocol):
    """The ledger, as far as the runtime knows it."""

    def record(self, decisions: Iterable[Decision], now: float) -> list[str]: ...


class QuarantineSink(Protocol):
    """Where requests of quarantined clients are kept."""

    def store(self, model: str, client: str, events: Sequence[tuple[str, bytes]]) -> object: ...


class Runtime:
    """Runs pipelines and watches, and writes down what they say. Synchronous; the caller owns the loop."""

    def __init__(
        self,
        core: Core,
        store: FindingSink,
        ledger: DecisionSink,
        quarantine: QuarantineSink,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._core = core
        self._store = store
        self._ledger = ledger
        self._quarantine = quarantine
        self._metrics = metrics
        self._clock = clock
        stream = core.settings.stream
        self._limits = Limits(max_bytes=stream.max_event_bytes, max_future_s=stream.max_future_s)
        #: Hashes of (address, client): the pairs themselves would take three times the memory.
        self._addresses = Recent(core.settings.clients.ttl_s, core.settings.clients.max_clients)
        self._steps: Counter[int] = Counter()
        #: Event time by partition.
        self._sweep_due_ts: dict[int, float] = {}

    def pipeline(self, partition: int, state: Mapping[str, bytes], sources: int = 1) -> PartitionPipeline:
        """A partition's pipeline as its last checkpoint left it; ``sources``: partitions of the events topic."""
        return PartitionPipeline(self._core, state, partition, sources)

    def watch(self, state: Mapping[str, bytes], partitions: int, lanes: int = 1) -> ModelsWatch:
        """The models' watch as its last checkpoint left it; ``lanes``: partitions of the bands."""
        return ModelsWatch(self._core, state, partitions, lanes)

    def bands(self, state: Mapping[str, bytes], lane: int, partitions: int) -> BandWatch:
        """A partition of the bands as its last checkpoint left it."""
        return BandWatch(self._core, state, lane, partitions)

    def take(
        self, pipeline: PartitionPipeline, topic: str, partition: int, records: Sequence[SourceRecord], next_offset: int
    ) -> Taken:
        """Decode; the caller must store the dead letters safely before it saves the state."""
        if self._core.settings.stream.rekey:
            after = max(records[-1].offset + 1, next_offset)
            now = self._clock()
            records = pipeline.origins.fresh(records, next_offset, self._limits, now)
            taken = take(topic, partition, records, next_offset, self._limits, now)
            taken.next_offset = after
            return taken
        return take(topic, partition, records, next_offset, self._limits, self._clock())

    def judge(self, pipeline: PartitionPipeline, taken: Taken) -> StepResult:
        """Judge and decide; ``write`` what it says before the state is saved."""
        started = time.perf_counter()
        result = pipeline.process(taken.events, taken.ticks)
        if taken.dead:
            pipeline.reject(len(taken.dead))
        result.addresses = self._new_addresses(taken, pipeline.watermark)
        self._sweep(pipeline, taken.partition)
        self._count(pipeline, taken, result)
        self._metrics.step.observe(time.perf_counter() - started)
        return result

    def judge_windows(self, watch: ModelsWatch, messages: Iterable[AnyMessage]) -> StepResult:
        """The same for what partitions say to the models."""
        result = watch.take(messages)
        self._count_findings(result)
        return result

    def write(self, result: StepResult) -> None:
        """Write down what a step said; repeats change nothing. Knows no event loop: it may run in another thread."""
        kept: dict[tuple[str, str], list[tuple[str, bytes]]] = {}
        for client, event in result.diverted:
            kept.setdefault((event.model, client), []).append((event.id, encode_json(event)))
        for (model, client), requests in kept.items():
            self._quarantine.store(model, client, requests)  # knows them by id, and keeps each once
        now = self._clock()
        if result.findings:
            self._store.note(result.findings, result.incidents.values(), now)
        if result.decisions:
            self._ledger.record(result.decisions, now)
        if result.addresses:
            self._store.address(result.addresses)

    def _sweep(self, pipeline: PartitionPipeline, partition: int) -> None:
        next_ts = pipeline.watermark + _SWEEP_TTL_SHARE * self._core.settings.clients.ttl_s
        self._steps[partition] += 1
        due_ts = self._sweep_due_ts.setdefault(partition, next_ts)
        if self._steps[partition] % _SWEEP_EVERY == 0 or pipeline.watermark >= due_ts:
            pipeline.sweep()
            self._sweep_due_ts[partition] = next_ts

    def _new_addresses(self, taken: Taken, now_ts: float) -> list[tuple[str, str]]:
        """(address, client) pairs new to this process; the responder asks how many clients share an address."""
        ips, clients = origins(taken.events)
        of_ip, of_client = (Texts.of(names).identities().view(np.uint64) for names in (ips, clients))
        new = np.flatnonzero(self._addresses.unseen(of_ip ^ mixed(of_client), now_ts)).tolist()
        return sorted((ips[i], clients[i]) for i in new)

    def _count_findings(self, result: StepResult) -> None:
        for finding in result.findings:
            self._metrics.findings.labels(finding.detector, finding.severity.value).inc()

    def _count(self, pipeline: PartitionPipeline, taken: Taken, result: StepResult) -> None:
        self._count_findings(result)
        for verdict, n in result.verdicts.items():
            self._metrics.events.labels(verdict.value).inc(n)
        for by, n in result.spared.items():
            self._metrics.sampled_rows.labels(by).inc(n)
        if taken.dead:
            self._metrics.events.labels("dead_letter").inc(len(taken.dead))
            for reason, n in Counter(d.rejection.reason.value for d in taken.dead).items():
                self._metrics.rejected.labels(reason).inc(n)
        self._metrics.watermark.labels(str(taken.partition)).set(pipeline.watermark)
        self._metrics.late_rows.labels(str(taken.partition)).set(pipeline.late_rows)
        self._metrics.last_event.set(self._clock())
