"""Everything a worker owns besides Kafka: runtime, executor, outbox, reports. The app drives it; it knows no Faust."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import msgspec
import structlog

from detectors.finding import Finding
from monitor.alerts import AlertsFile
from monitor.core import Core
from monitor.intake import DeadLetter, Taken
from monitor.metrics import Metrics
from monitor.reporting import Reporting
from monitor.response import Response
from monitor.runtime import Runtime
from monitor.step import StepResult
from monitor.store import Store

log = structlog.get_logger("vedette.service")

#: The responder looks at the ledger at least this often: due expiries, retries, an operator's undo.
_LOOK_S = 0.5
#: Metrics that need the database are refreshed this often.
_GAUGES_S = 5.0


class Service:
    """One worker's rooms, wired. All state is in ``data_dir``; a second worker needs a data_dir of its own."""

    def __init__(self, core: Core, clock: Callable[[], float] = time.time) -> None:
        settings = core.settings
        data = Path(settings.data_dir)
        self._settings = settings
        self._data = data
        self._clock = clock
        self._metrics = Metrics()
        self._store = Store(data / "vedette.db")
        self._store.pin("baseline", core.baseline.checksum)
        self._response = Response(settings, data, self._store, clock)
        self._reporting = Reporting(settings, data, self._store, self._response)
        self._response.notice_for = self._reporting.notice_for
        self.runtime = Runtime(
            core, self._store, self._response.ledger, self._response.quarantine, self._metrics, clock
        )
        self._alerts = AlertsFile(Path(settings.alerts_file)) if settings.alerts_file else None
        self._acting = asyncio.Event()
        self._publishing = asyncio.Event()
        self._partitions: frozenset[int] = frozenset()
        self._stopping = False
        self._gauges_at = 0.0

    def commit(self, runs: list[Taken]) -> list[StepResult]:
        """``Runtime.commit``, and what follows from it is set going."""
        results = self.runtime.commit(runs)
        changed = {incident_id for result in results for incident_id in result.incidents}
        if changed:
            self._reporting.changed(changed)
            self._acting.set()
            self._publishing.set()
        return results

    async def respond(self) -> None:
        """Carry out decisions, take back what is due, keep messages and reports up to date; until ``stop``."""
        await asyncio.to_thread(self._response.recover)
        self._reporting.changed(incident.id for incident, _ in self._store.incidents())
        self._publishing.set()
        while not self._stopping:
            self._acting.clear()
            await self._try_to_respond()
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._acting.wait()
            except TimeoutError:
                pass

    async def _try_to_respond(self) -> None:
        try:
            await self._respond_once()
        except Exception:
            # Detection goes on and decisions stay in the ledger, to be tried again; the metric says so.
            self._metrics.response_failures.inc()
            log.exception("response failed; will try again")

    async def _respond_once(self) -> None:
        changed, released = await asyncio.to_thread(self._response.step)
        for model, client in released:
            log.info("client released", model=model, client=client)
            self.runtime.release(model, client)
        self._reporting.changed(changed)
        await asyncio.to_thread(self._reporting.update, self.runtime.engine.watermark)
        self._response.deliverer.wake()
        if time.monotonic() - self._gauges_at > _GAUGES_S:
            self._gauges_at = time.monotonic()
            await asyncio.to_thread(self._response.measure, self._metrics)

    async def deliver(self) -> None:
        """Messages out of the outbox; until ``stop``."""
        await self._response.deliverer.run()

    async def unpublished(self) -> AsyncIterator[list[Finding]]:
        """Batches of findings that are not on their topic yet; asking for the next says the last has arrived."""
        while not self._stopping:
            self._publishing.clear()
            while batch := self._store.unpublished():
                if self._alerts is not None:
                    self._alerts.append(batch)
                yield batch
                self._store.published(f.id for f in batch)
            await self._publishing.wait()

    async def stop(self) -> None:
        """Finish what is pending as far as it goes quickly; what is left is in the database for the next start."""
        if self._stopping:
            return
        self._stopping = True
        self._acting.set()
        self._publishing.set()
        await self._try_to_respond()
        await self._response.deliverer.stop()

    def spool(self, letter: DeadLetter) -> None:
        """A dead letter that its topic will not take: kept in ``dead-letters.jsonl``, bytes in base64."""
        line = msgspec.json.encode(
            {
                "reason": letter.rejection.reason.value,
                "detail": letter.rejection.detail,
                "topic": letter.record.topic,
                "partition": letter.record.partition,
                "offset": letter.record.offset,
                "raw": base64.b64encode(letter.raw).decode(),
            }
        )
        with (self._data / "dead-letters.jsonl").open("ab") as file:
            file.write(line + b"\n")

    def ready(self, partitions: Collection[int]) -> None:
        """The broker has given us these partitions."""
        self._partitions = frozenset(partitions)

    def readiness(self, rebalancing: bool) -> dict[str, object]:
        """What ``/readyz`` answers: ready once partitions are assigned and no rebalance is going on."""
        return {
            "ready": bool(self._partitions) and not rebalancing and not self._stopping,
            "partitions": sorted(self._partitions),
            "rebalancing": rebalancing,
            "mode": self._settings.response.mode,
            "verdicts": self._store.verdicts(),
        }

    def metrics(self) -> bytes:
        return self._metrics.render()
