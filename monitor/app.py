"""The Faust app: takes records from Kafka in batches, hands them to the runtime, acknowledges what is written down.

Only this module knows Faust. Delivery: ``noack_take`` gives up to ``stream.batch_events`` events; dead letters are
produced and awaited, the checkpoint is written, and only then is each event acknowledged, in order. Whatever raises in
between crashes the worker (``CrashingSupervisor``) for an outside supervisor to restart: never past unwritten work.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import faust
import mode
import msgspec
import structlog
from faust.types import TP, EventT, StreamT

from monitor.app_credentials import faust_credentials
from monitor.codec.dead_letter import encode_dead_letter
from monitor.intake import DeadLetter, Record
from monitor.service import Service
from monitor.settings import Settings

log = structlog.get_logger("vedette.app")

#: Room for headers and framing beside the largest event.
_ENVELOPE_BYTES = 64 * 1024
#: Faust takes a bare content type only; the whole of it goes into the header.
_EXPOSITION = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
#: Names of the errors that say so; which library's class it is depends on the driver.
_TOO_LARGE = {"MessageSizeTooLargeError", "RecordListTooLargeError"}


def build(settings: Settings, service: Service) -> faust.App:
    """The app for these settings; ``service`` owns the runtime and the responders."""
    kafka = settings.kafka
    app = faust.App(
        kafka.group,
        broker=[f"kafka://{b}" for b in kafka.brokers],
        broker_credentials=faust_credentials(kafka),
        broker_session_timeout=kafka.session_timeout_s,
        broker_heartbeat_interval=kafka.session_timeout_s / 3,
        broker_commit_interval=1.0,
        broker_max_poll_records=2000,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=settings.stream.max_event_bytes + _ENVELOPE_BYTES,
        producer_max_request_size=settings.stream.max_event_bytes + _ENVELOPE_BYTES,
        store="memory://",
        datadir=settings.data_dir,
        topic_disable_leader=True,
        topic_allow_declare=False,
        agent_supervisor=mode.CrashingSupervisor,
        web_host=settings.web.host,
        web_bind=settings.web.host,  # web_host is only the name it goes by; without this it listens everywhere
        web_port=settings.web.port,
    )
    intake = _Intake(app, settings, service)
    app.agent(intake.source, name="intake")(intake.run)
    app.on_partitions_assigned.connect(intake.assigned)  # type: ignore[arg-type]  # Faust's own signature: (app, assigned)
    app.timer(interval=max(settings.stream.idle_s / 4, 0.5))(intake.notice_idle)
    app.task(intake.publish)
    app.task(service.respond)
    app.task(service.deliver)
    app.on_before_shutdown.connect(intake.stopping)  # type: ignore[arg-type]  # Faust's own signature: (app)
    _pages(app, service)
    return app


class _Intake:
    """The way of records from the source topic into the runtime, and of dead letters and findings out of it."""

    def __init__(self, app: faust.App, settings: Settings, service: Service) -> None:
        self._app = app
        self._service = service
        self._runtime = service.runtime
        self._settings = settings
        self._seen_at: dict[int, float] = {}
        self._sought: dict[int, int] = {}
        raw: dict[str, Any] = {
            "key_serializer": "raw",
            "value_serializer": "raw",
            "key_type": bytes,
            "value_type": bytes,
        }
        self.source = app.topic(settings.topics.events.name, **raw)
        self._dead = app.topic(settings.topics.dead_letters.name, **raw)
        self._findings = app.topic(settings.topics.findings.name, **raw)

    async def run(self, stream: StreamT[bytes]) -> None:
        """The agent: one checkpoint for each batch taken."""
        stream_settings = self._settings.stream
        source: Any = stream  # the type that Faust gives it does not declare ``noack_take``, which yields events
        async for events in source.noack_take(stream_settings.batch_events, within=stream_settings.batch_within_s):
            fresh = await self._contiguous(events)
            runs = self._runtime.take(_record(e) for e in fresh)
            await self._bury([letter for run in runs for letter in run.dead])
            self._service.commit(runs)
            for event in fresh:
                self._seen_at[event.message.partition] = time.monotonic()
                event.ack()

    async def assigned(self, _app: Any, assigned: Iterable[TP], **_: Any) -> None:
        """Partitions changed hands: load the state of new ones, drop what is no longer ours."""
        partitions = {tp.partition for tp in assigned if tp.topic == self._settings.topics.events.name}
        self._runtime.assign(self._settings.topics.events.name, partitions)
        self._sought.clear()
        now = time.monotonic()
        self._seen_at = {p: self._seen_at.get(p, now) for p in partitions}
        self._service.ready(partitions)
        log.info("partitions assigned", partitions=sorted(partitions))

    async def stopping(self, _app: Any, **_: Any) -> None:
        await self._service.stop()

    async def notice_idle(self) -> None:
        """A partition that is read to its end and silent for ``stream.idle_s`` stops holding windows open."""
        topic = self._settings.topics.events.name
        for partition, seen_at in self._seen_at.items():
            tp = TP(topic, partition)
            if time.monotonic() - seen_at < self._settings.stream.idle_s or tp not in self._app.consumer.assignment():
                continue
            position, end = await self._app.consumer.position(tp), self._app.consumer.highwater(tp)
            if position is not None and (end is None or position >= end):
                self._runtime.idle(partition)
        self._service.commit([])

    async def publish(self) -> None:
        """Findings to their topic, at least once, keyed by id; the alerts file besides."""
        async for findings in self._service.unpublished():
            sent = [await self._findings.send(key=f.id.encode(), value=msgspec.json.encode(f)) for f in findings]
            await asyncio.gather(*sent)

    async def _contiguous(self, events: Sequence[EventT[bytes]]) -> list[EventT[bytes]]:
        """Drop what a rebalance made stale, and go back where records seem to have been skipped.

        Faust can clear its buffers in a rebalance after the consumer has moved past them. A record beyond the next
        expected offset makes us seek back once; if the same gap shows again it is real (compaction, transaction
        markers, retention) and is accepted.
        """
        kept: list[EventT[bytes]] = []
        expected: dict[int, int] = {}
        for event in events:
            message = event.message
            partition, offset = message.partition, message.offset
            if message.generation_id not in (None, self._app.consumer_generation_id) or expected.get(partition) == -1:
                continue
            if partition not in expected:
                expected[partition] = self._runtime.next_offset(self._settings.topics.events.name, partition)
            if offset > expected[partition] and self._sought.get(partition) != expected[partition]:
                self._sought[partition] = expected[partition]
                log.info("gap in offsets, reading again", partition=partition, at=expected[partition], found=offset)
                await self._app.consumer.seek(message.tp, expected[partition])
                expected[partition] = -1
                continue
            expected[partition] = max(expected[partition], offset + 1)
            kept.append(event)
        return kept

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        """Dead letters reach their topic, or the spool where the broker will not take them, before we go on."""
        sent = []
        for letter in letters:
            record = letter.record
            value, headers = encode_dead_letter(
                letter.raw, letter.rejection, record.topic, record.partition, record.offset, record.key
            )
            with self._spooling(letter):
                sent.append((letter, await self._dead.send(key=record.key, value=value, headers=headers)))
        for letter, waiting in sent:
            with self._spooling(letter):
                await waiting

    @contextlib.contextmanager
    def _spooling(self, letter: DeadLetter) -> Iterator[None]:
        """What the producer (at once, wrapped by Faust) or the broker (later) finds too large goes to the spool."""
        try:
            yield
        except Exception as error:
            if not {type(error).__name__, type(error.__cause__).__name__} & _TOO_LARGE:
                raise
            self._service.spool(letter)
            log.warning("dead letter too large for its topic, kept in the spool", bytes=len(letter.raw))


def _record(event: EventT[bytes]) -> Record:
    m = event.message
    headers = m.headers.items() if isinstance(m.headers, Mapping) else m.headers or ()
    return Record(m.topic, m.partition, m.offset, m.key, m.value, tuple(headers))


def _pages(app: faust.App, service: Service) -> None:
    @app.page("/healthz")
    async def healthz(self: Any, _request: Any) -> Any:
        return self.json({"status": "ok"})

    @app.page("/readyz")
    async def readyz(self: Any, _request: Any) -> Any:
        report = service.readiness(rebalancing=bool(app.rebalancing))
        return self.json(report, status=200 if report["ready"] else 503)

    @app.page("/metrics")
    async def metrics(self: Any, _request: Any) -> Any:
        return self.bytes(service.metrics(), headers=_EXPOSITION)
