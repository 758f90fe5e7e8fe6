"""Judges the records of the events topic, and sends on what comes of them: dead letters, and shares of windows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import faust
import structlog
from faust.types import TP

from monitor.bands import BandSlot
from monitor.codec.dead_letter import encode_dead_letter
from monitor.intake import DeadLetter
from monitor.lanes import Lane, Lanes
from monitor.layout import Layout
from monitor.overload import Load, Overload, Pace
from monitor.pipeline import PartitionPipeline
from monitor.reader import Batch
from monitor.service import Service
from monitor.settings import Overload as OverloadSettings
from monitor.shares import AnyMessage, Part, Share, Suspects, encode_message

log = structlog.get_logger("vedette.events")

#: Names of the errors that say so; which library's class it is depends on the driver.
_TOO_LARGE = {"MessageSizeTooLargeError", "RecordListTooLargeError"}
#: Dead letters under way before they are waited for.
_MANY_LETTERS = 2000


def is_too_large(error: BaseException) -> bool:
    """Did the producer or the broker find a record too large?"""
    return bool({type(error).__name__, type(error.__cause__).__name__} & _TOO_LARGE)


async def _sent(topic: Any, messages: Sequence[tuple[int, AnyMessage]], order: asyncio.Lock) -> None:
    under_way = []
    async with order:
        for home, message in messages:
            under_way.append(await topic.send(key=b"", value=encode_message(message), partition=home))
    await asyncio.gather(*under_way)


class Events:
    """``handle`` for the reader of events. Sends begin at once and are awaited by the lane's checkpoint."""

    def __init__(
        self,
        app: faust.App,
        layout: Layout,
        service: Service,
        *,
        dead_letters: str,
        windows: str,
        bands: str,
        idle_s: float,
        overload: OverloadSettings,
    ) -> None:
        self._app = app
        self._layout = layout
        self._service = service
        self._idle_s = idle_s
        self._dead = app.topic(dead_letters, key_serializer="raw", value_serializer="raw")
        self._windows = app.topic(windows, key_serializer="raw", value_serializer="raw")
        self._bands = app.topic(bands, key_serializer="raw", value_serializer="raw")
        self._overload = Overload(overload)
        self._pace = Pace()
        self._age_s: float | None = None
        self._telling: dict[str, asyncio.Lock] = {}
        self._looked_s = self._awake_s = time.monotonic()

    async def handle(self, lane: Lane[PartitionPipeline], batch: Batch) -> None:
        started = time.perf_counter()
        taken = self._service.runtime.take(
            lane.state, self._layout.judged, lane.partition, batch.records, lane.next_offset
        )
        lane.await_before_saving(self._service.said(self._service.runtime.judge(lane.state, taken)))
        letters = self.bury(lane, taken.dead)
        self._announce(lane)
        lane.cover(batch, taken.next_offset)
        self._pace.handled(len(batch.records), time.perf_counter() - started)
        sent_ms = getattr(batch.records[-1], "timestamp", None)  # Faust's own delivery does not tell
        if sent_ms is not None:
            self._age_s = max(time.time() - sent_ms / 1000.0, 0.0)
        if len(letters) > _MANY_LETTERS:
            await asyncio.gather(*letters)

    def bury(self, lane: Lane[Any], letters: Sequence[DeadLetter]) -> list[asyncio.Task[None]]:
        """On their way to the dead-letter topic; the lane's next checkpoint waits for them."""
        under_way = [asyncio.create_task(self._bury(letter)) for letter in letters]
        lane.await_before_saving(under_way)
        return under_way

    async def refuse(self, letter: DeadLetter) -> None:
        """Bury what never reached a partition that is judged: the metrics count it, no verdict does."""
        self._service.metrics.events.labels("dead_letter").inc()
        self._service.metrics.rejected.labels(letter.rejection.reason.value).inc()
        await self._bury(letter)

    async def look_around(self, lanes: Lanes[PartitionPipeline]) -> None:
        """How far behind we are, and what to leave out; who is read to the end and silent holds no windows open."""
        now_s = time.monotonic()
        if now_s - self._looked_s > max(self._idle_s / 2, 1.0):
            self._awake_s = now_s  # we come four times as often, unless we were frozen: the silence was ours
        self._looked_s = now_s
        assigned = self._app.consumer.assignment()
        waiting = 0
        for lane in lanes.loaded():
            tp = TP(self._layout.judged, lane.partition)
            if tp not in assigned:
                continue
            end = self._app.consumer.highwater(tp)
            if end is not None:
                behind = max(end - lane.next_offset, 0)
                waiting += behind
                self._service.metrics.lag_records.labels(str(lane.partition)).set(behind)
            if not lane.quiet or now_s - max(lane.touched_s, self._awake_s) < self._idle_s:
                continue  # a lane that cannot be saved may have records waiting behind it
            position = await self._app.consumer.position(tp)
            if position is not None and (end is None or position >= end) and lanes.owns(lane):
                self._announce(lane, idle=True)
        self._shed(lanes, waiting)

    def _shed(self, lanes: Lanes[PartitionPipeline], waiting: int) -> None:
        before = self._overload.plan
        plan = self._overload.look(Load(time.monotonic(), waiting, self._pace.rate, self._age_s))
        if plan.level != before.level:
            log.warning("overload level changed", level=plan.level, before=before.level, waiting=waiting, now=plan.note)
        for lane in lanes.loaded():
            lane.state.plan = plan
        metrics = self._service.metrics
        metrics.overload_level.set(plan.level)
        metrics.lag_seconds.set((self._age_s or 0.0) if waiting else 0.0)

    def _announce(self, lane: Lane[PartitionPipeline], *, idle: bool = False) -> None:
        self.tell(lane, lane.state.announce(idle=idle))
        lanes, compared = self._layout.bands, list[tuple[int, AnyMessage]]()
        for said in lane.state.announce_bands(idle=idle):
            compared += said.parts(lanes) if isinstance(said, BandSlot) else [(home, said) for home in range(lanes)]
        self._send(lane, self._bands, compared)

    def tell(self, lane: Lane[Any], messages: Sequence[AnyMessage]) -> None:
        """To the models; how far time has come concerns all of them."""
        layout, homes = self._layout, list[tuple[int, AnyMessage]]()
        for message in messages:
            if isinstance(message, Share | Suspects | Part):
                homes.append((layout.windows_partition(message.model), message))
            else:
                homes += [(home, message) for home in range(layout.windows)]
        self._send(lane, self._windows, homes)

    def _send(self, lane: Lane[Any], topic: Any, messages: Sequence[tuple[int, AnyMessage]]) -> None:
        """Each to its partition, in order; the lane's next checkpoint waits for them."""
        if messages:
            order = self._telling.setdefault(f"{lane.scope} {topic}", asyncio.Lock())
            lane.await_before_saving([asyncio.create_task(_sent(topic, messages, order))])

    async def _bury(self, letter: DeadLetter) -> None:
        """Into the dead-letter topic; what the producer or the broker finds too large goes to the spool."""
        record = letter.record
        value, headers = encode_dead_letter(
            letter.raw, letter.rejection, record.topic, record.partition, record.offset, record.key
        )
        try:
            await (await self._dead.send(key=record.key, value=value, headers=headers))
        except Exception as error:
            if not is_too_large(error):
                raise
            self._service.spool(letter)
            log.warning("dead letter too large for its topic, kept in the spool", bytes=len(letter.raw))
