"""Everything a worker owns besides Kafka: runtime, executor, outbox, reports. The app drives it; it knows no Faust.

The event loop, which judges, never waits for the database: another worker, or the responder, may hold its lock while
the disk writes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path

import structlog

from monitor import dead_letter_spool
from monitor.alerts import AlertsFile
from monitor.band_watch import BandWatch
from monitor.core import Core
from monitor.intake import DeadLetter
from monitor.lanes import Lane
from monitor.metrics import Metrics
from monitor.models_watch import ModelsWatch
from monitor.pipeline import PartitionPipeline
from monitor.publisher import Publisher
from monitor.reporting import Reporting
from monitor.response import Response
from monitor.role import Role
from monitor.runtime import Runtime
from monitor.step import StepResult
from monitor.store import Store
from monitor.writer import Writer

log = structlog.get_logger("vedette.service")

#: The responder looks at the ledger at least this often: due expiries, retries, an operator's undo.
_LOOK_S = 0.5
#: And no sooner again: a look costs as much as judging a batch. What is found meanwhile is acted on together.
_APART_S = 0.1
#: Reports and messages of incidents under way change with every batch; nobody reads them faster than this.
_REPORT_S = 1.0
#: Metrics that need the database are refreshed this often.
_GAUGES_S = 5.0
#: Old findings are removed this often.
_PRUNE_S = 3600.0
_DAY_S = 86400.0


class Service:
    """One worker's rooms, wired. Workers of one machine share ``data_dir``; one of them responds for all."""

    def __init__(self, core: Core, clock: Callable[[], float] = time.time) -> None:
        settings = core.settings
        data = Path(settings.data_dir)
        self._settings = settings
        self._data = data
        self._clock = clock
        self.metrics = Metrics()
        self.store = Store(data / "vedette.db")
        self.store.pin("baseline", core.baseline.checksum)
        self._role = Role(data / "responder.lock")
        self._response = Response(settings, data, self.store, clock)
        self._reporting = Reporting(settings, data, self.store, self._response)
        self._response.notice_for = self._reporting.notice_for
        self.runtime = Runtime(core, self.store, self._response.ledger, self._response.quarantine, self.metrics, clock)
        self._alerts: AlertsFile | None = None
        self._alerted = 0
        self._recovered = False
        self._responds = asyncio.Event()
        self._acting = asyncio.Event()
        self._writer = Writer()
        self.publisher = Publisher(self.store, self._writer, clock)
        self._partitions: frozenset[int] = frozenset()
        self._change = 0
        self._stopping = False
        self._gauges_at = self._reported_at = 0.0
        self._pruned_at = time.monotonic()

    def said(self, result: StepResult) -> Iterable[Awaitable[None]]:
        """Write down what a step said, and then publish it and act on it.

        Returns what must be done before the state that covers it is saved.
        """
        if not result.to_write:
            return ()
        return (asyncio.create_task(self._tell(self._writer.put(self.runtime.write, result), result)),)

    async def _tell(self, written: Awaitable[None], result: StepResult) -> None:
        await written
        if result.findings:
            self.publisher.found(result.findings)
        if result.incidents:
            self._acting.set()

    async def saved(self, lane: Lane[PartitionPipeline], loaded: bool) -> None:
        """A partition's checkpoint, made now or ``loaded``: its figures for people."""
        state = lane.state
        await self._writer.put(self.store.reach, lane.scope, dict(state.verdicts), state.watermark, loaded=loaded)

    async def saved_closed(self, lane: Lane[ModelsWatch] | Lane[BandWatch], loaded: bool) -> None:
        """The same for the models, and for a partition of the bands."""
        await self._writer.put(self.store.reach, lane.scope, {}, lane.state.closed_ts, loaded=loaded)

    async def respond(self, release: Callable[[str, str], None]) -> None:
        """Carry out decisions, take back what is due, keep messages and reports up to date; until ``stop``.

        Only one worker of the data folder does so; the others wait for its place. ``release(model, client)`` is
        called for clients to be looked at again, in every worker.
        """
        while not self._stopping:
            self._acting.clear()
            await self._try_to_respond(release)
            await asyncio.sleep(_APART_S)
            try:
                async with asyncio.timeout(_LOOK_S - _APART_S):
                    await self._acting.wait()
            except TimeoutError:
                pass

    async def _try_to_respond(self, release: Callable[[str, str], None]) -> None:
        try:
            if self._role.try_take():
                if not self._recovered:
                    await self._recover()
                await self._respond_once()
            for model, client in await asyncio.to_thread(self._response.released):
                log.info("client released", model=model, client=client)
                release(model, client)
        except Exception:
            # Detection goes on and decisions stay in the ledger, to be tried again; the metric says so.
            self.metrics.response_failures.inc()
            log.exception("response failed; will try again")

    async def _recover(self) -> None:
        log.info("this worker responds")
        await asyncio.to_thread(self._response.recover)
        if self._settings.alerts_file:
            self._alerts = AlertsFile(Path(self._settings.alerts_file))
        self._recovered = True
        self._responds.set()

    async def _respond_once(self) -> None:
        acted = await asyncio.to_thread(self._response.step)
        await self._writer.put(self._took_place, acted)
        if self._stopping or time.monotonic() - self._reported_at > _REPORT_S:
            self._reported_at = time.monotonic()
            await asyncio.to_thread(self._report)
        self._response.deliverer.wake()
        await self.publisher.look()
        if time.monotonic() - self._gauges_at > _GAUGES_S:
            self._gauges_at = time.monotonic()
            await asyncio.to_thread(self._response.measure, self.metrics)
        if time.monotonic() - self._pruned_at > _PRUNE_S:
            self._pruned_at = time.monotonic()
            await asyncio.to_thread(self._prune)

    def _took_place(self, acted: list[str]) -> None:
        """Actions of these incidents, and what has been noted since the last call. In the writer's thread: one at a
        time, though a worker that is told to stop does not wait for what it does just then."""
        changed, self._change = self.store.changed(self._change)
        self._reporting.changed([*acted, *changed])
        if self._alerts is not None:
            findings, reached = self.store.found(self._alerted)
            self._alerts.append(findings)
            self._alerted = reached

    def _report(self) -> None:
        self._reporting.update(self.store.newest_event_ts())

    def _prune(self) -> None:
        self.store.prune(self.store.newest_event_ts() - self._settings.retention.days * _DAY_S)

    async def deliver(self) -> None:
        """Messages out of the outbox, while this worker responds; until ``stop``."""
        await self._responds.wait()
        if not self._stopping:
            await self._response.deliverer.run()

    async def stop(self, release: Callable[[str, str], None]) -> None:
        """Finish what is pending as far as it goes quickly; what is left is in the database for the next start."""
        if self._stopping:
            return
        self._stopping = True
        self._responds.set()
        self._acting.set()
        self.publisher.stop()
        await self._try_to_respond(release)
        if self._role.held:
            await self._response.deliverer.stop()

    def spool(self, letter: DeadLetter) -> None:
        """A dead letter that its topic will not take: kept in the data folder."""
        dead_letter_spool.append(self._data / dead_letter_spool.SPOOL, letter, self._clock())

    def ready(self, partitions: Collection[int]) -> None:
        """The broker has given us these partitions."""
        self._partitions = frozenset(partitions)

    def readiness(self, *, rebalancing: bool, loading: int) -> dict[str, object]:
        """What ``/readyz`` answers: ready once partitions are assigned, loaded, and no rebalance is going on.

        Verdicts and times are those of all workers of the data folder, as of their last checkpoints.
        """
        reached = self.store.reached()
        windows = [ts for scope, ts in reached.items() if scope.startswith("windows/")]
        return {
            "ready": bool(self._partitions) and not rebalancing and not loading and not self._stopping,
            "partitions": sorted(self._partitions),
            "rebalancing": rebalancing,
            "mode": self._settings.response.mode,
            "loading": loading,
            "responds": self._role.held,
            "verdicts": self.store.verdicts(),
            "windows_closed_ts": min(windows, default=0.0),
        }

    def close(self) -> None:
        self._writer.close()
        self._role.release()
        self.store.close()
