"""Events that are not keyed by client: workers pass them on by client, and find the same."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import threading
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from brokers import BrokerHandle
from delivery_kit import producing
from world import World, sorted_findings

from monitor.codec import encode_compact, encode_json
from monitor.codec.dead_letter import decode_dead_letter
from monitor.codec.limits import Limits
from monitor.codec.tick import KIND_HEADER, encode_tick
from monitor.event import Event
from monitor.origins import HEADER
from replay.in_process import Outcome
from tests.monitor.hostile import hostile_records
from tests.stream.conftest import in_process
from tests.stream.test_kill import settled
from tests.stream.test_scale_out import assert_as_undisturbed, until_judged

SOURCES, BY_CLIENT = 3, 4
WINDOWS = {"grace_s": 600.0}
#: Source partition, value, headers.
Unkeyed = tuple[int, bytes, list[tuple[str, bytes]]]


def rekeying(broker: BrokerHandle, folder: Path, baseline: Path, **stream: object) -> World:
    """A world whose events topic and topic by client differ in their numbers of partitions."""
    world = World(broker, folder, baseline, SOURCES, {"stream": {"rekey": True, **stream}, "windows": WINDOWS})
    config = yaml.safe_load(world.config.read_text())
    config["topics"]["by_client"]["partitions"] = BY_CLIENT
    world.config.write_text(yaml.safe_dump(config))
    return world


def source_of(event: Event) -> int:
    """A client stays in one partition, but not in the one Kafka would choose by key."""
    return zlib.crc32(event.client.encode()) % SOURCES


def unkeyed(events: Iterable[Event]) -> list[Unkeyed]:
    """By turns five requests of a partition as JSON, and five in one compact record, of whatever clients."""
    sent: list[Unkeyed] = []
    waiting: dict[int, list[Event]] = {}
    turns: Counter[int] = Counter()

    def pack(source: int) -> None:
        mine = waiting.pop(source)
        turns[source] += 1
        sent.extend((source, v, []) for v in ([encode_compact(mine)] if turns[source] % 2 else map(encode_json, mine)))

    for event in events:
        source = source_of(event)
        waiting.setdefault(source, []).append(event)
        if len(waiting[source]) == 5:
            pack(source)
    for source in sorted(waiting):
        pack(source)
    return sent


def send(world: World, records: Sequence[Unkeyed], pause_s: float = 0.0) -> None:
    """``pause_s`` after every hundred."""
    asyncio.run(_send(world, records, pause_s))


async def _send(world: World, records: Sequence[Unkeyed], pause_s: float) -> None:
    topic = world.settings.topics.events.name
    async with producing(world.broker, max_request_size=1 << 20) as producer:
        under_way = []
        for n, (source, value, headers) in enumerate(records):
            under_way.append(await producer.send(topic, value, partition=source, headers=headers))
            if n % 100 == 0:
                await asyncio.sleep(pause_s)
        await asyncio.gather(*under_way)


def ticks(ts: float) -> list[Unkeyed]:
    value, headers = encode_tick(ts)
    return [(source, value, headers) for source in range(SOURCES)]


def test_two_workers_one_of_them_killed_find_what_one_process_finds(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    """JSON and compact records of several clients; findings on clients and windows, verdicts, and each action once."""
    expected = in_process(baseline, events, WINDOWS)
    world = rekeying(broker, tmp_path, baseline, batch_events=100)
    player = threading.Thread(target=send, args=(world, unkeyed(events), 0.05))
    with contextlib.ExitStack() as running:
        group = [running.enter_context(world.worker(n)) for n in range(2)]
        for worker in group:
            worker.until_ready()
        player.start()
        until_judged(group, len(events) // 3)
        group[0].kill()
        group[0].start()
        player.join()
        verdicts = group[1].until_judged(len(events))
        size_s = world.settings.windows.size_s
        end_ts = (events[-1].ts // size_s + 1) * size_s
        send(world, ticks(end_ts + WINDOWS["grace_s"]))
        group[1].until_closed(end_ts)
        settled(world)
    assert_as_undisturbed(world, verdicts, expected)


def test_what_is_no_event_ends_in_the_dead_letter_topic_once(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    """Undecodable bytes, odd headers, bad ticks, and what is too large to be passed on; good records go on."""
    limit = 400_000
    hostile = hostile_records(Limits(max_bytes=limit))
    part = events[:600]
    _, tick_header = encode_tick(0.0)
    bad = [(raw, [], reason.value) for _, raw, reason in hostile]
    bad += [(raw, tick_header, reason) for raw, reason in ((b"{]", "malformed"), (b'{"tick":4e9}', "bad_time"))]
    odd = [[(KIND_HEADER, b"event")], [(HEADER, b"0:999999999:0")], [(KIND_HEADER, None)], [(HEADER, b"-1:x")]]
    sent: list[Unkeyed] = [(n % SOURCES, raw, headers) for n, (raw, headers, _) in enumerate(bad)]
    sent += [(source, value, odd[n % 4]) for n, (source, value, _) in enumerate(unkeyed(part))]
    huge = b"{" + b"x" * 900_000
    world = rekeying(broker, tmp_path, baseline, max_event_bytes=limit)
    send(world, [(0, huge, []), *sent, (1, huge, [])])
    expected = in_process(baseline, part, WINDOWS)
    with world.worker() as worker:
        verdicts = worker.until_judged(len(part) + len(bad))
        letters = world.topic_records(world.settings.topics.dead_letters.name, verdicts["dead_letter"])
    assert_same_judged(verdicts, expected)
    buried = Counter((x.raw, x.reason.value) for x in (decode_dead_letter(r.value, r.headers) for r in letters))
    assert not [(raw, reason) for raw, _, reason in bad if (raw, reason) not in buried]
    assert set(buried.values()) == {1}
    spool = [json.loads(line) for line in (world.data / "dead-letters.jsonl").read_text().splitlines()]
    assert sorted((base64.b64decode(x["raw"]), x["reason"], x["partition"]) for x in spool) == [
        (huge, "too_large", 0),
        (huge, "too_large", 1),
    ]
    clients = [f for f in expected.findings if f.subject.scope != "model"]
    assert sorted_findings(world.findings()) == sorted_findings(clients)


def assert_same_judged(verdicts: dict[str, int], expected: Outcome) -> None:
    judged = {verdict: n for verdict, n in verdicts.items() if n and verdict != "dead_letter"}
    assert judged == {verdict: n for verdict, n in expected.verdicts.items() if n}
