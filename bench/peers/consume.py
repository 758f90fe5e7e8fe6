"""Consume a topic in one of three ways and count; prints {"records", "seconds"}.

    python -m bench.peers.consume getmany|batch|stock BOOTSTRAP TOPIC COUNT

The clock starts when the first records are handed over, which are not counted, and ends with the last.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
import uuid
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer

from monitor.delivery import BatchApp, batches


class Count:
    """Records after the first hand-over, and the time they took."""

    def __init__(self, wanted: int) -> None:
        self.all, self._wanted, self._first = 0, wanted, 0
        self._started = self._ended = 0.0
        self.done = asyncio.Event()

    def add(self, records: int) -> None:
        if not self.all:
            self._started, self._first = time.perf_counter(), records
        self.all += records
        if self.all >= self._wanted and not self.done.is_set():
            self._ended = time.perf_counter()
            self.done.set()

    def report(self) -> str:
        return json.dumps({"records": self.all - self._first, "seconds": self._ended - self._started})


async def getmany(bootstrap: str, topic: str, count: Count) -> None:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=f"getmany-{uuid.uuid4().hex}",
        auto_offset_reset="earliest",
        enable_auto_commit=True,
    )
    await consumer.start()
    while not count.done.is_set():
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            count.add(len(records))
    await consumer.stop()


def options(bootstrap: str) -> dict[str, Any]:
    return {
        "broker": f"kafka://{bootstrap}",
        "consumer_auto_offset_reset": "earliest",
        "broker_commit_interval": 1.0,
        "broker_session_timeout": 6.0,
        "broker_heartbeat_interval": 2.0,
        "store": "memory://",
        "datadir": tempfile.gettempdir(),
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "web_enabled": False,
    }


async def batch(bootstrap: str, topic: str, count: Count) -> None:
    app = BatchApp(f"batch-{uuid.uuid4().hex}", **options(bootstrap))

    @app.agent(app.batch_topic(topic))
    async def intake(stream: Any) -> None:
        async for found in batches(stream):
            count.add(len(found.records))
            found.ack()

    await _until_done(app, count)


async def stock(bootstrap: str, topic: str, count: Count) -> None:
    app = faust.App(f"stock-{uuid.uuid4().hex}", **options(bootstrap))
    raw = app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    @app.agent(raw)
    async def intake(stream: Any) -> None:
        async for _ in stream:
            count.add(1)

    await _until_done(app, count)


async def _until_done(app: faust.App, count: Count) -> None:
    await app.start()
    await count.done.wait()
    await app.stop()


async def main() -> None:
    way, bootstrap, topic, wanted = sys.argv[1:]
    count = Count(int(wanted))
    await {"getmany": getmany, "batch": batch, "stock": stock}[way](bootstrap, topic, count)
    print(count.report())


if __name__ == "__main__":
    asyncio.run(main())
