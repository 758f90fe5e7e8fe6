"""The shell around the engine: what a step says is written down, then its offsets may be acknowledged.

Order is the promise: quarantined requests, then findings and incidents, then decisions (all ignore repeats), and
last state and offsets in one transaction. A crash between any two replays records; nothing happens twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from detectors.finding import Finding
from monitor.codec import encode_json
from monitor.codec.limits import Limits
from monitor.core import Core
from monitor.engine import MODELS_SCOPE, Engine, partition_scope
from monitor.incidents import Incident
from monitor.intake import Record, Taken, take
from monitor.metrics import Metrics
from monitor.step import StepResult
from monitor.store import Store
from responders.decision import Decision

#: Sweeping is cheap but not free: once in this many steps.
_SWEEP_EVERY = 50


class DecisionSink(Protocol):
    """The ledger, as far as the runtime knows it."""

    def record(self, decisions: Iterable[Decision], now: float) -> list[str]: ...


class QuarantineSink(Protocol):
    """Where requests of quarantined clients are kept."""

    def store(self, model: str, client: str, events: Sequence[tuple[str, bytes]]) -> object: ...


class Runtime:
    """One worker's engine with its store, ledger and quarantine. Synchronous; the caller owns the loop."""

    def __init__(
        self,
        core: Core,
        store: Store,
        ledger: DecisionSink,
        quarantine: QuarantineSink,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = core.settings
        self._store = store
        self._ledger = ledger
        self._quarantine = quarantine
        self._metrics = metrics
        self._clock = clock
        self._limits = Limits(
            max_bytes=core.settings.stream.max_event_bytes, max_future_s=core.settings.stream.max_future_s
        )
        self._done: dict[tuple[str, int], int] = {}
        self._addresses: set[tuple[str, str]] = set()
        self._steps = 0
        self.engine = Engine(core, store.state(MODELS_SCOPE))

    def assign(self, topic: str, partitions: Iterable[int]) -> None:
        """Own exactly these partitions; state of new ones comes from the store."""
        wanted = set(partitions)
        for gone in set(self.engine.partitions) - wanted:
            self.engine.revoke(gone)
        for new in sorted(wanted - set(self.engine.partitions)):
            self.engine.assign(new, self._store.state(partition_scope(new)))
            self._done[topic, new] = self._store.next_offset(topic, new)

    def next_offset(self, topic: str, partition: int) -> int:
        """The first offset that no checkpoint covers."""
        return self._done.get((topic, partition), 0)

    def take(self, records: Iterable[Record]) -> list[Taken]:
        """Decode; the caller must have stored the dead letters safely before it calls ``commit``."""
        homes: dict[tuple[str, int], list[Record]] = {}
        for record in records:
            if record.partition in self.engine.partitions:
                homes.setdefault((record.topic, record.partition), []).append(record)
        now = self._clock()
        runs = [
            take(topic, partition, mine, self.next_offset(topic, partition), self._limits, now)
            for (topic, partition), mine in homes.items()
        ]
        return [run for run in runs if run.next_offset > self.next_offset(run.topic, run.partition)]

    def commit(self, runs: Sequence[Taken]) -> list[StepResult]:
        """Judge, decide, and write it all down; when this returns, the runs' offsets may be acknowledged.

        Runs of a partition that was taken from us since ``take`` are left to its new owner.
        """
        started = time.perf_counter()
        runs = [run for run in runs if run.partition in self.engine.partitions]
        results = []
        for run in runs:
            result = self.engine.step(run.partition, run.events, len(run.dead), run.ticks)
            self._count(run, result)
            results.append(result)
        results.append(self.engine.close_windows())
        self._steps += 1
        if self._steps % _SWEEP_EVERY == 0:
            for pipeline in self.engine.partitions.values():
                pipeline.sweep()
        self._write(runs, results)
        self._metrics.step.observe(time.perf_counter() - started)
        return results

    def idle(self, partition: int) -> None:
        """A partition with nothing to read no longer holds windows open."""
        self.engine.idle(partition)

    def release(self, model: str, client: str) -> None:
        """An operator took a quarantine back, or it was refused: look at the client again."""
        self.engine.release(model, client)

    def _write(self, runs: Sequence[Taken], results: Sequence[StepResult]) -> None:
        findings: list[Finding] = []
        incidents: dict[str, Incident] = {}
        decisions: list[Decision] = []
        now = self._clock()
        for result in results:
            findings += result.findings
            incidents |= result.incidents
            decisions += result.decisions
            self._divert(result)
        for finding in findings:
            self._metrics.findings.labels(finding.detector, finding.severity.value).inc()
        if findings:
            self._store.note(findings, incidents.values())
        if decisions:
            self._ledger.record(decisions, now)
        offsets = {(run.topic, run.partition): run.next_offset for run in runs}
        started = time.perf_counter()
        self._store.commit(self.engine.delta(), offsets, self._new_addresses(runs))
        self._metrics.checkpoint.observe(time.perf_counter() - started)
        self._done |= offsets

    def _divert(self, result: StepResult) -> None:
        """Requests of quarantined clients into the quarantine, which knows them by id and keeps each once."""
        kept: dict[tuple[str, str], list[tuple[str, bytes]]] = {}
        for client, event in result.diverted:
            kept.setdefault((event.model, client), []).append((event.id, encode_json(event)))
        for (model, client), requests in kept.items():
            self._quarantine.store(model, client, requests)

    def _new_addresses(self, runs: Sequence[Taken]) -> list[tuple[str, str]]:
        """(address, client) pairs not seen by this process; the responder asks how many clients share an address."""
        pairs = {(e.client_ip, e.client) for run in runs for e in run.events if e.client_ip}
        new = sorted(pairs - self._addresses)
        self._addresses.update(new)
        if len(self._addresses) > self._settings.clients.max_clients:
            self._addresses.clear()
        return new

    def _count(self, run: Taken, result: StepResult) -> None:
        for verdict, n in result.verdicts.items():
            self._metrics.events.labels(verdict.value).inc(n)
        if run.dead:
            self._metrics.events.labels("dead_letter").inc(len(run.dead))
            for reason, n in Counter(d.rejection.reason.value for d in run.dead).items():
                self._metrics.rejected.labels(reason).inc(n)
        self._metrics.watermark.labels(str(run.partition)).set(self.engine.partitions[run.partition].watermark)
        self._metrics.late_rows.set(self.engine.late_rows)
        self._metrics.last_event.set(self._clock())
