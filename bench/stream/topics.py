"""Topics filled with traffic before anybody reads them, and the baselines that fit it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

from aiokafka import AIOKafkaProducer

from bench.traffic import encoded, tabular_events
from detectors.calibration import calibrate
from monitor.codec.tick import encode_tick
from monitor.columns import to_batches
from monitor.kafka_admin import ensure_topics
from monitor.settings import Kafka, Topic
from replay.schedule import Record, Tick, schedule
from replay.sender import partition_of

PARTITIONS = 4
#: Each client asks this often on the average, event time, in clean traffic and in what is judged.
ASKS_EVERY_S = 3.0
#: Event time of a topic's traffic, however many events it holds.
DURATION_S = 600.0
#: Far enough to close all windows.
CLOSE_AFTER_S = 100.0
_CHUNK = 4000
_BATCH_BYTES = 256 * 1024


@cache
def baseline(folder: Path, d: int) -> Path:
    """Calibrated on traffic like the one that is judged."""
    path = folder / f"baseline-{d}.vdb"
    [clean] = to_batches(tabular_events(12_000, d, clients=60, seed=1, duration_s=60 * ASKS_EVERY_S * 200 / 60))
    calibrate({clean.model: clean})[0].save(path)
    return path


@dataclass(frozen=True)
class Filled:
    """A topic with ``events`` requests of ``d`` features in one form."""

    bootstrap: str
    d: int
    form: str
    events: int
    clients: int
    #: When its traffic begins, seconds after the traffic's epoch; another time needs other events, by ``seed``.
    start_s: float = 0.0
    seed: int = 1000
    name: str = field(default_factory=lambda: f"bench-{uuid.uuid4().hex[:8]}")

    def records(self) -> Iterator[Record]:
        """In chunks, so that they never are in memory together."""
        chunks = -(-self.events // _CHUNK)
        for i in range(chunks):
            n = min(_CHUNK, self.events - i * _CHUNK)
            part_s = DURATION_S / chunks
            start_s = self.start_s + i * part_s
            events = tabular_events(n, self.d, self.clients, self.seed + i, part_s, start_s=start_s)
            yield from encoded(events, self.form)


def filled(bootstrap: str, d: int, form: str, events: int, clients: int = 0) -> Filled:
    """Make a topic and fill it. ``clients``: as many as ask once in ``ASKS_EVERY_S`` unless told otherwise."""
    topic = Filled(bootstrap, d, form, events, clients or max(int(events * ASKS_EVERY_S / DURATION_S), 1))
    make(topic)
    send(topic, topic.records())
    return topic


def make(topic: Filled) -> None:
    """As it is before anything is sent."""
    ensure_topics(Kafka(brokers=(topic.bootstrap,)), [Topic(name=topic.name, partitions=PARTITIONS)])


def send(topic: Filled, records: Iterable[Record]) -> None:
    """With ticks, of which the last one is ``CLOSE_AFTER_S`` past the newest record."""
    asyncio.run(_send(topic, schedule(records, close_after_s=CLOSE_AFTER_S)))


async def _send(topic: Filled, items: Iterable[Record | Tick]) -> None:
    """As a busy producer would: batches of many records, a key's always to the same partition, ticks to all."""
    producer = AIOKafkaProducer(bootstrap_servers=topic.bootstrap, max_batch_size=_BATCH_BYTES)
    await producer.start()
    home = lru_cache(maxsize=None)(lambda key: partition_of(key, PARTITIONS))
    batches = [producer.create_batch() for _ in range(PARTITIONS)]

    async def append(partition: int, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        if batches[partition].append(key=key, value=value, timestamp=None, headers=headers) is None:
            await (await producer.send_batch(batches[partition], topic.name, partition=partition))
            batches[partition] = producer.create_batch()
            batches[partition].append(key=key, value=value, timestamp=None, headers=headers)

    for item in items:
        if isinstance(item, Tick):
            value, headers = encode_tick(item.ts)
            for partition in range(PARTITIONS):
                await append(partition, None, value, headers)
        else:
            await append(home(item.key), item.key, item.value, [])
    for partition, batch in enumerate(batches):
        await (await producer.send_batch(batch, topic.name, partition=partition))
    await producer.stop()
