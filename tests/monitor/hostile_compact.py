"""Hostile records of the compact form: lying lengths, bombs, and requests that break the rules."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from monitor.codec.limits import Limits
from monitor.event import Reason
from tests.monitor.hostile_parts import DROP, Hostile, compact_record, event_json, request_bytes


def containers() -> Iterator[Hostile]:
    good = request_bytes()
    record = compact_record([good])
    yield "compact: no request", compact_record([]), Reason.EMPTY
    yield "compact: magic of another case", b"\x89vdt" + record[4:], Reason.UNKNOWN_FORMAT
    yield "compact: half the magic", b"\x89VD", Reason.UNKNOWN_FORMAT
    for version in (0, 2, 255):
        yield f"compact: version {version}", compact_record([good], version=version), Reason.UNKNOWN_FORMAT
    yield "compact: reserved byte set", record[:5] + b"\x01" + record[6:], Reason.UNKNOWN_FORMAT
    for cut in (4, 5, 11, 12, 14, 16, 40, len(record) - 1):
        yield f"compact: cut after {cut} bytes", record[:cut], Reason.MALFORMED
    for label, length in {"0": 0, "one less": len(good) + 3, "one more": len(good) + 5, "4 GiB": 2**32 - 1}.items():
        yield f"compact: body length lies: {label}", compact_record([good], body_bytes=length), Reason.MALFORMED
    yield "compact: two records", record + record, Reason.MALFORMED
    yield "compact: json behind", record + event_json(), Reason.MALFORMED
    for label, length in {"0": 0, "one more": len(good) + 1, "4 GiB": 2**32 - 1, "2 GiB": 2**31}.items():
        frame = struct.pack("<I", length) + good
        lying = b"\x89VDT\x01\0\0\0" + struct.pack("<I", len(frame)) + frame
        yield f"compact: request length lies: {label}", lying, Reason.MALFORMED
    yield "compact: ends inside a length", b"\x89VDT\x01\0\0\0\x02\0\0\0\x05\0", Reason.MALFORMED


def requests(limits: Limits) -> Iterator[Hostile]:
    def float32(*values: float) -> bytes:
        return np.array(values, "<f4").tobytes()

    good = request_bytes()
    frames: dict[str, tuple[bytes, Reason]] = {
        "cut": (good[:-1], Reason.MALFORMED),
        "bytes behind": (good + b"\0", Reason.MALFORMED),
        "reserved opcode": (b"\xc1", Reason.MALFORMED),
        "map of 4 billion": (b"\xdf\xff\xff\xff\xff", Reason.MALFORMED),
        "array of 4 billion": (b"\xdd\xff\xff\xff\xff", Reason.WRONG_TYPE),
        "shape of 4 billion": (b"\x81\xa5shape\xdd\xff\xff\xff\xff", Reason.MALFORMED),
        "tags of 4 billion": (b"\x81\xa4tags\xdf\xff\xff\xff\xff", Reason.MALFORMED),
        "inputs of 4 GiB": (b"\x81\xa6inputs\xc6\xff\xff\xff\xff", Reason.MALFORMED),
        "id of 4 GiB": (b"\x81\xa2id\xdb\xff\xff\xff\xff", Reason.MALFORMED),
        "ext of 4 GiB": (b"\x81\xa2id\xc9\xff\xff\xff\xff\x01", Reason.MALFORMED),
        "nil": (b"\xc0", Reason.WRONG_TYPE),
        "number": (b"\x01", Reason.WRONG_TYPE),
        "arrays bomb": (b"\x91" * 50_000, Reason.WRONG_TYPE),
        "maps bomb": (b"\x81\xa1a" * 20_000, Reason.UNKNOWN_FORMAT),
        "bomb in an unknown field": (b"\x81\xa1a" + b"\x91" * 50_000, Reason.UNKNOWN_FORMAT),
        "bomb in shape": (b"\x81\xa5shape" + b"\x91" * 50_000, Reason.WRONG_TYPE),
        "bomb as a key": (b"\x81" + b"\x91" * 50_000, Reason.WRONG_TYPE),
        "bomb in the client": (b"\x81\xa6client\x81\xa1x" + b"\x91" * 50_000, Reason.UNKNOWN_FORMAT),
        "unknown field": (request_bytes(extra=1), Reason.UNKNOWN_FORMAT),
        "unknown field in outputs": (request_bytes(outputs={"logits": b""}), Reason.UNKNOWN_FORMAT),
        "number as a key": (b"\x81\x01\x01", Reason.WRONG_TYPE),
        "invalid utf-8 in the id": (b"\x81\xa2id\xa2\xc0\xaf", Reason.MALFORMED),
        "surrogate in the id": (b"\x81\xa2id\xa3\xed\xa0\x80", Reason.MALFORMED),
        "invalid utf-8 in a key": (b"\x81\xa2\xc0\xaf\x01", Reason.MALFORMED),
        "empty": (b"\x80", Reason.MISSING_FIELD),
        "no inputs": (request_bytes(inputs=DROP), Reason.MISSING_FIELD),
        "inputs as a list": (request_bytes(inputs=[0.0, 1.0]), Reason.WRONG_TYPE),
        "inputs as text": (request_bytes(inputs="abcd"), Reason.WRONG_TYPE),
        "ts as text": (request_bytes(ts="2025-11-21T08:00:00Z"), Reason.WRONG_TYPE),
        "ts as a timestamp": (b"\x81\xa2ts\xd6\xff\x69\x20\x1c\x80", Reason.WRONG_TYPE),
        "ts NaN": (request_bytes(ts=float("nan")), Reason.BAD_TIME),
        "ts infinite": (request_bytes(ts=float("inf")), Reason.BAD_TIME),
        "ts true": (request_bytes(ts=True), Reason.WRONG_TYPE),
        "seven bytes of inputs": (request_bytes(inputs=bytes(7)), Reason.SHAPE_MISMATCH),
        "no byte of inputs": (request_bytes(inputs=b""), Reason.SHAPE_MISMATCH),
        "three inputs": (request_bytes(inputs=bytes(12)), Reason.SHAPE_MISMATCH),
        "infinite input": (request_bytes(inputs=float32(0, 1, 2, np.inf)), Reason.NON_FINITE),
        "minus infinite input": (request_bytes(inputs=float32(-np.inf, 1, 2, 3)), Reason.NON_FINITE),
        "infinite input beside NaN": (request_bytes(inputs=float32(np.nan, 1, 2, np.inf)), Reason.NON_FINITE),
        "NaN score": (request_bytes(outputs={"scores": float32(np.nan, 1)}), Reason.NON_FINITE),
        "infinite score": (request_bytes(outputs={"scores": float32(np.inf, 1)}), Reason.NON_FINITE),
        "NaN value": (request_bytes(outputs={"value": float32(np.nan)}), Reason.NON_FINITE),
        "NaN in the embedding": (request_bytes(embedding=float32(np.nan)), Reason.NON_FINITE),
        "signalling NaN score": (request_bytes(outputs={"scores": b"\x01\0\x80\x7f" * 2}), Reason.NON_FINITE),
        "rows past the limit": (request_bytes(rows=limits.max_rows + 1), Reason.OUT_OF_RANGE),
        "empty id": (request_bytes(id=""), Reason.BAD_ID),
        "control characters": (request_bytes(model="\x1b[2J"), Reason.BAD_ID),
        "zone in the address": (request_bytes(client={"ip": "fe80::1%1"}), Reason.BAD_ADDRESS),
    }
    for label, (frame, reason) in frames.items():
        yield f"compact request: {label}", compact_record([frame]), reason
