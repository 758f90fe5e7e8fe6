"""stream-throughput: events a second through Vedette, next to a plain aiokafka consume-and-decode loop in the same run.

    python -m bench.throughput            prints the table and updates bench/RESULTS.md

Rows: 30 and 784 features, JSON and compact (20 requests a record), in process and through the embedded broker with a
real worker. The peer consumes the same topic with aiokafka ``getmany`` and decodes with msgspec into plain values.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer
from rich.console import Console
from rich.progress import track

from bench.results import Table, publish
from bench.traffic import tabular_events
from detectors.calibration import calibrate
from monitor.codec import encode_compact, encode_json
from monitor.codec.limits import Limits
from monitor.columns import to_batches
from monitor.config import parse
from monitor.core import load_core
from monitor.engine import Engine
from monitor.event import Event
from monitor.intake import Record as Taken
from monitor.intake import take
from monitor.kafka_admin import ensure_topics
from replay.demo.worker import WorkerProcess
from replay.embedded_broker import EmbeddedBroker, free_port
from replay.player import play_to_kafka
from replay.schedule import Record

ID = "stream-throughput"
_PER_COMPACT_RECORD = 20


def encoded(events: Sequence[Event], form: str) -> list[Record]:
    """Kafka records of the events: one each in JSON, up to 20 of one client in compact form."""
    if form == "json":
        return [Record(e.ts, e.client.encode(), encode_json(e)) for e in events]
    waiting: dict[str, list[Event]] = {}
    records = []
    for e in events:
        mine = waiting.setdefault(e.client, [])
        mine.append(e)
        if len(mine) == _PER_COMPACT_RECORD:
            records.append(Record(e.ts, e.client.encode(), encode_compact(mine)))
            mine.clear()
    records += [Record(m[-1].ts, c.encode(), encode_compact(m)) for c, m in waiting.items() if m]
    return records


def in_process(settings: Any, records: Sequence[Record], events: int) -> float:
    """Events a second: bytes to verdicts and checkpoint deltas in this process."""
    engine = Engine(load_core(settings))
    engine.assign(0, {})
    limits = Limits()
    started = time.perf_counter()
    for first in range(0, len(records), 1000):
        chunk = [Taken("t", 0, first + i, r.key, r.value) for i, r in enumerate(records[first : first + 1000])]
        engine.step(0, take("t", 0, chunk, 0, limits, None).events)
        engine.close_windows()
        engine.delta()
    return events / (time.perf_counter() - started)


def through_worker(
    folder: Path, bootstrap: str, config: dict[str, Any], records: Sequence[Record], events: int
) -> tuple[float, float]:
    """Events a second of a worker, from the first one sent to the last verdict, and of the peer on the same topic."""
    port = free_port()
    topic = f"bench-{time.monotonic_ns()}"
    config = config | {
        "data_dir": str(folder),
        "kafka": {"brokers": [bootstrap], "group": topic, "session_timeout_s": 6.0},
        "topics": {
            "events": {"name": topic},
            "dead_letters": {"name": f"{topic}-dead"},
            "findings": {"name": f"{topic}-findings"},
        },
        "web": {"port": port},
    }
    path = folder / "vedette.yaml"
    path.write_bytes(msgspec.yaml.encode(config))
    settings = parse(config)
    topics = settings.topics
    ensure_topics(settings.kafka, [topics.events, topics.dead_letters, topics.findings])
    with WorkerProcess(path, port, folder / "worker.log") as worker:
        worker.until_ready()
        begun = time.perf_counter()
        play_to_kafka(records, settings.kafka, topic, close_after_s=100.0)
        worker.until_judged(events, timeout_s=600.0)
        ours = events / (time.perf_counter() - begun)
    peer = asyncio.run(_peer(bootstrap, topic, events))
    return ours, peer


async def _peer(bootstrap: str, topic: str, events: int) -> float:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    json, pack = msgspec.json.Decoder(), msgspec.msgpack.Decoder()
    seen, started = 0, 0.0
    while seen < events:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=2000)).values():
            started = started or time.perf_counter()
            for record in records:
                if record.headers:
                    continue
                if record.value[:1] == b"{":
                    json.decode(record.value)
                    seen += 1
                else:
                    at = 12
                    while at < len(record.value):
                        length = int.from_bytes(record.value[at : at + 4], "little")
                        np.frombuffer(pack.decode(record.value[at + 4 : at + 4 + length])["inputs"], "<f4")
                        at += 4 + length
                        seen += 1
    elapsed = time.perf_counter() - started
    await consumer.stop()
    return seen / elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000, help="events per row of the table (default 20000)")
    args = parser.parse_args()
    table = Table(
        ID,
        "Events a second, all default detectors on, one worker",
        ("features", "form", "in process", "through broker", "aiokafka + decode", "worker / peer"),
        notes="Through the broker: from the first event sent to the last verdict, with the producer on the same cores, "
        "by stock Faust delivery. The peer only consumes and decodes.",
    )
    cases = [(d, form) for d in (30, 784) for form in ("json", "compact")]
    with tempfile.TemporaryDirectory() as scratch, EmbeddedBroker() as broker:
        baselines: dict[int, Path] = {}
        for d, form in track(cases, "measuring", console=Console(stderr=True)):
            if d not in baselines:
                baselines[d] = Path(scratch) / f"baseline-{d}.vdb"
                [clean] = to_batches(tabular_events(6000, d, clients=60, seed=1))
                calibrate({clean.model: clean})[0].save(baselines[d])
            events = tabular_events(args.events, d, clients=200, seed=2)
            records = encoded(events, form)
            config = {"detection": {"baseline": str(baselines[d])}}
            alone = in_process(parse(config), records, len(events))
            folder = Path(scratch) / f"{d}-{form}"
            folder.mkdir()
            ours, peer = through_worker(folder, broker.bootstrap, config, records, len(events))
            table.row(str(d), form, f"{alone:,.0f}", f"{ours:,.0f}", f"{peer:,.0f}", f"{ours / peer:.2f}")
    publish(table, f"python -m bench.throughput --events {args.events}")


if __name__ == "__main__":
    main()
