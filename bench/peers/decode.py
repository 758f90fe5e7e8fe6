"""Consume a topic of events with aiokafka ``getmany`` and msgspec, and keep nothing.

Prints {"events", "seconds", "cpu_s"}.

    python -m bench.peers.decode typed|untyped BOOTSTRAP TOPIC EVENTS

``typed``: each request into a struct with the fields that any detector needs, its inputs into a float32 array.
``untyped``: into whatever msgspec makes of it without being told, dicts and lists. The clock starts when the first
records are handed over, which are not counted, and ends with the last.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer


class Client(msgspec.Struct):
    id: str = ""
    ip: str = ""


class Outputs(msgspec.Struct):
    scores: list[float]
    label: int = -1


class Request(msgspec.Struct):
    id: str
    ts: float
    model: str
    inputs: list[float]
    client: Client
    outputs: Outputs


class CompactOutputs(msgspec.Struct):
    scores: bytes
    label: int = -1


class CompactRequest(msgspec.Struct):
    id: str
    ts: float
    model: str
    inputs: bytes
    client: Client
    outputs: CompactOutputs


def frames(raw: bytes) -> list[memoryview]:
    """The requests of a compact record: a header of 12 bytes, then each with its length before it."""
    view, found, at = memoryview(raw), [], 12
    while at < len(raw):
        end = at + 4 + int.from_bytes(view[at : at + 4], "little")
        found.append(view[at + 4 : end])
        at = end
    return found


def decoder(way: str) -> Callable[[bytes], int]:
    """Decodes a record; how many requests it held."""
    if way == "untyped":
        json_any, pack_any = msgspec.json.Decoder(), msgspec.msgpack.Decoder()

        def untyped(raw: bytes) -> int:
            if raw.startswith(b"{"):
                json_any.decode(raw)
                return 1
            return len([pack_any.decode(frame) for frame in frames(raw)])

        return untyped
    as_json, as_pack = msgspec.json.Decoder(Request), msgspec.msgpack.Decoder(CompactRequest)

    def typed(raw: bytes) -> int:
        if raw.startswith(b"{"):
            np.array(as_json.decode(raw).inputs, dtype=np.float32)
            return 1
        return len([np.frombuffer(as_pack.decode(frame).inputs, dtype="<f4") for frame in frames(raw)])

    return typed


async def consume(way: str, bootstrap: str, topic: str, wanted: int) -> dict[str, float]:
    decode, seen, first = decoder(way), 0, 0
    started = cpu = 0.0
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        while seen < wanted:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                seen += sum(decode(r.value) for r in records if r.value and not r.headers)
            if not first and seen:
                first, started, cpu = seen, time.perf_counter(), time.process_time()
        elapsed, used = time.perf_counter() - started, time.process_time() - cpu
    finally:
        await consumer.stop()
    return {"events": seen - first, "seconds": elapsed, "cpu_s": used}


if __name__ == "__main__":
    asked, address, name, count = sys.argv[1:]
    print(json.dumps(asyncio.run(consume(asked, address, name, int(count)))))
