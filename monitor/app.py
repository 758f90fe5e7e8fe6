"""The Faust app: which topics are read by what, and what happens at start, rebalance and stop.

Only the app's modules know Faust. Whatever raises crashes the worker (``CrashingSupervisor``) for an outside
supervisor to restart: never past unwritten work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import faust
import mode
import msgspec
import structlog
from faust.types import TP, StreamT

from detectors.finding import Finding
from monitor.app_credentials import faust_credentials
from monitor.app_events import Events
from monitor.app_rekey import Rekey
from monitor.band_watch import BandWatch
from monitor.changelog import Changelog
from monitor.codec.limits import Limits
from monitor.delivery import BatchApp, batches
from monitor.event import Reason, Rejection
from monitor.group_offsets import GroupOffsets
from monitor.intake import DeadLetter, Record
from monitor.lanes import Lane, Lanes
from monitor.layout import Layout
from monitor.local_state import LocalState
from monitor.models_watch import ModelsWatch
from monitor.pipeline import PartitionPipeline
from monitor.reader import Batch, Reader
from monitor.service import Service
from monitor.settings import Settings
from monitor.shares import AnyMessage, decode_message
from monitor.state import StateStore
from monitor.stock_delivery import stock_batches

log = structlog.get_logger("vedette.app")

#: Room for headers and framing beside the largest event.
_ENVELOPE_BYTES = 64 * 1024
#: Faust takes a bare content type only; the whole of it goes into the header.
_EXPOSITION = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
#: Lag, overload and silent partitions are looked at this often.
_LOOK_S = 1.0
_RAW: dict[str, Any] = {
    "key_serializer": "raw",
    "value_serializer": "raw",
    "key_type": bytes,
    "value_type": bytes,
}


def build(settings: Settings, layout: Layout, service: Service, client_id: str) -> faust.App:
    """The app for these settings; ``service`` owns the runtime and the responders. ``client_id``: to brokers."""
    kafka, stream = settings.kafka, settings.stream
    app = BatchApp(
        kafka.group,
        broker=[f"kafka://{b}" for b in kafka.brokers],
        broker_client_id=client_id,
        broker_credentials=faust_credentials(kafka),
        broker_session_timeout=kafka.session_timeout_s,
        broker_heartbeat_interval=kafka.session_timeout_s / 3,
        broker_commit_interval=1.0,
        broker_max_poll_records=stream.batch_events,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=stream.max_event_bytes + _ENVELOPE_BYTES,
        producer_max_request_size=stream.max_event_bytes + _ENVELOPE_BYTES,
        store="memory://",
        # two workers of a machine share data_dir, but not this
        datadir=str(Path(settings.data_dir) / f"faust-{settings.web.port}"),
        # records are acknowledged by checkpoints, which come when Faust asks for them (revoked, stopping)
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        agent_supervisor=mode.CrashingSupervisor,
        web_host=settings.web.host,
        web_bind=settings.web.host,  # web_host is only the name it goes by; without this it listens everywhere
        web_port=settings.web.port,
    )
    worker = _Worker(app, settings, layout, service)
    app.on_partitions_revoked.connect(worker.revoked)  # type: ignore[arg-type]  # Faust's own signature: (app, revoked)
    app.on_partitions_assigned.connect(worker.assigned)  # type: ignore[arg-type]  # Faust's own: (app, assigned)
    app.on_before_shutdown.connect(worker.stopping)  # type: ignore[arg-type]  # Faust's own signature: (app)
    app.timer(interval=stream.checkpoint_s)(worker.checkpoint)
    app.timer(interval=_LOOK_S)(worker.look_around)
    app.task(worker.publish)
    app.task(worker.respond)
    app.task(service.deliver)
    _pages(app, worker)
    return app


class _Worker:
    """Three readers with their lanes: events by partition, fingerprints by band, and shares of windows by model."""

    def __init__(self, app: BatchApp, settings: Settings, layout: Layout, service: Service) -> None:
        self._app = app
        self._settings = settings
        self._layout = layout
        self.service = service
        self._states = _states(settings, layout, service)
        self._offsets = GroupOffsets(settings.kafka)
        self._started = False
        self._generation = -1
        stream, topics = settings.stream, settings.topics
        self._events = Events(
            app,
            layout,
            service,
            dead_letters=topics.dead_letters.name,
            windows=topics.windows.name,
            bands=topics.bands.name,
            idle_s=stream.idle_s,
            overload=stream.overload,
        )
        self.lanes: Lanes[PartitionPipeline] = Lanes(
            "events",
            self._states,
            service.metrics,
            lambda partition, saved: service.runtime.pipeline(partition, saved.values, layout.sources),
            begin=partial(self._offsets.of, layout.judged),
            checkpoint_s=stream.checkpoint_s,
            saved=service.saved,
        )
        self.bands: Lanes[BandWatch] = Lanes(
            "bands",
            self._states,
            service.metrics,
            lambda lane, saved: service.runtime.bands(saved.values, lane, layout.partitions),
            begin=partial(self._offsets.of, topics.bands.name),
            checkpoint_s=stream.checkpoint_s,
            saved=service.saved_closed,
        )
        self.windows: Lanes[ModelsWatch] = Lanes(
            "windows",
            self._states,
            service.metrics,
            lambda _, saved: service.runtime.watch(saved.values, layout.partitions, layout.bands),
            begin=partial(self._offsets.of, topics.windows.name),
            checkpoint_s=stream.checkpoint_s,
            saved=service.saved_closed,
        )
        self._readers = {
            layout.judged: self._read(layout.judged, self.lanes, self._events.handle),
            topics.bands.name: self._read(topics.bands.name, self.bands, self._compare_bands),
            topics.windows.name: self._read(topics.windows.name, self.windows, self._judge_windows),
        }
        if stream.rekey:
            limits = Limits(max_bytes=stream.max_event_bytes, max_future_s=stream.max_future_s)
            rekey = Rekey(app, layout.judged, layout.partitions, limits, self._events.refuse)
            self._agent(topics.events.name, rekey.run)
        self._findings = app.topic(topics.findings.name, **_RAW)

    def _read(self, topic: str, lanes: Any, handle: Any) -> Reader[Any]:
        async def seek(partition: int, offset: int) -> None:
            await self._app.consumer.seek(TP(topic, partition), offset)

        reader: Reader[Any] = Reader(lanes, handle, seek)
        self._agent(topic, reader.run)
        return reader

    def _agent(self, topic: str, read: Callable[[AsyncIterator[Batch]], Awaitable[None]]) -> None:
        """An agent that gives ``read`` the topic's batches, in whichever way they are delivered."""
        stream = self._settings.stream
        batched = stream.delivery == "batch"
        source = self._app.batch_topic(topic, **_RAW) if batched else self._app.topic(topic, **_RAW)

        async def run(records: StreamT[Any]) -> None:
            if batched:
                await read(batches(records))
            else:
                await read(stock_batches(records, stream.batch_events, stream.batch_within_s))

        self._app.agent(source, name=topic)(run)

    async def _judge_windows(self, lane: Lane[ModelsWatch], batch: Batch) -> None:
        result = self.service.runtime.judge_windows(lane.state, self._messages(lane, batch))
        lane.await_before_saving(self.service.said(result))
        lane.cover(batch, max(batch.records[-1].offset + 1, lane.next_offset))

    async def _compare_bands(self, lane: Lane[BandWatch], batch: Batch) -> None:
        self._events.tell(lane, lane.state.take(self._messages(lane, batch)))
        lane.cover(batch, max(batch.records[-1].offset + 1, lane.next_offset))

    def _messages(self, lane: Lane[Any], batch: Batch) -> list[AnyMessage]:
        """What is new in the batch; what cannot be read goes to the dead letters."""
        messages: list[AnyMessage] = []
        unreadable: list[DeadLetter] = []
        for r in batch.records:
            if r.offset < lane.next_offset:
                continue
            try:
                messages.append(decode_message(r.value or b""))
            except msgspec.DecodeError as error:
                record = Record(batch.tp.topic, lane.partition, r.offset, r.key, r.value)
                unreadable.append(DeadLetter(record, r.value or b"", Rejection(Reason.MALFORMED, str(error))))
        self._events.bury(lane, unreadable)
        return messages

    async def assigned(self, _app: Any, assigned: Iterable[TP], **_: Any) -> None:
        """Partitions changed hands: load the state of new ones, drop what is no longer ours."""
        if not self._started:
            await self._states.start()
            self._started = True
        # A member of two generations in a row has owned its partitions without a break. One that was thought dead
        # has not: while it slept, somebody else may have gone on with them.
        generation = self._app.consumer_generation_id
        keep, self._generation = generation == self._generation + 1, generation
        held = set(assigned)
        mine = {tp.partition for tp in held if tp.topic == self._layout.judged}
        self._offsets.forget()
        for reader in self._readers.values():
            reader.reassigned()
        self.lanes.assign(mine, keep=keep)
        topics = self._settings.topics
        for lanes, topic in ((self.bands, topics.bands.name), (self.windows, topics.windows.name)):
            lanes.assign({tp.partition for tp in held if tp.topic == topic}, keep=keep)
        self.service.ready(mine)
        self.service.metrics.rebalances.inc()
        log.info("partitions assigned", partitions=sorted(mine), generation=generation, kept=keep)

    async def revoked(self, _app: Any, _revoked: Iterable[TP], **_: Any) -> None:
        """Save while it is ours, so that the next owner has little to do again."""
        await self._checkpoint_all(now=True)

    async def checkpoint(self) -> None:
        """Where one is due. (Faust gives the app to timers that take any argument.)"""
        await self._checkpoint_all(now=False)

    async def _checkpoint_all(self, *, now: bool) -> None:
        await asyncio.gather(*(lanes.checkpoint_all(now=now) for lanes in (self.lanes, self.bands, self.windows)))

    async def look_around(self) -> None:
        for topic, reader in self._readers.items():
            await reader.look_back(partial(self._handed_out, topic))
        await self._events.look_around(self.lanes)

    async def _handed_out(self, topic: str, partition: int) -> int | None:
        """The end of a partition, if the consumer's position is there."""
        consumer, tp = self._app.consumer, TP(topic, partition)
        if tp not in consumer.assignment():
            return None
        end, position = consumer.highwater(tp), await consumer.position(tp)
        return end if end is not None and position is not None and position >= end else None

    async def publish(self) -> None:
        """Findings to their topic, at least once, keyed by id."""
        await self.service.publisher.run(self._send_findings)

    async def _send_findings(self, findings: Sequence[Finding]) -> Awaitable[object]:
        sent = [await self._findings.send(key=f.id.encode(), value=msgspec.json.encode(f)) for f in findings]
        return asyncio.gather(*sent)

    async def respond(self) -> None:
        await self.service.respond(self._release)

    async def stopping(self, _app: Any, **_: Any) -> None:
        await self._checkpoint_all(now=True)
        await self.service.stop(self._release)

    def _release(self, model: str, client: str) -> None:
        for lane in self.lanes.loaded():
            if lane.state.release(model, client):
                lane.dirty = True


def _states(settings: Settings, layout: Layout, service: Service) -> StateStore:
    if settings.stream.state == "local":
        return LocalState(service.store)
    settle_s = 2 * settings.kafka.session_timeout_s
    return Changelog(settings.kafka, settings.topics.state.name, layout.state, settle_s=settle_s)


def _pages(app: faust.App, worker: _Worker) -> None:
    @app.page("/healthz")
    async def healthz(self: Any, _request: Any) -> Any:
        return self.json({"status": "ok"})

    @app.page("/readyz")
    async def readyz(self: Any, _request: Any) -> Any:
        loading = worker.lanes.loading + worker.bands.loading + worker.windows.loading
        rebalancing = bool(app.rebalancing)
        report = await asyncio.to_thread(worker.service.readiness, rebalancing=rebalancing, loading=loading)
        return self.json(report, status=200 if report["ready"] else 503)

    @app.page("/metrics")
    async def metrics(self: Any, _request: Any) -> Any:
        return self.bytes(worker.service.metrics.render(), headers=_EXPOSITION)
