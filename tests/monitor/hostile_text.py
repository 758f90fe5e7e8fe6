"""Hostile records that are not even JSON, or break its parser: garbage, cuts, encodings, depth, size."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from monitor.codec.limits import MAX_DEPTH, Limits
from monitor.event import Reason
from tests.monitor.hostile_parts import GOOD, Hostile, compact_record, event_json, spliced


def empty_and_foreign() -> Iterator[Hostile]:
    yield "empty value", b"", Reason.EMPTY
    yield "only spaces", b"   ", Reason.EMPTY
    yield "only line ends", b"\r\n\n\t", Reason.EMPTY
    foreign = {
        "zero bytes": bytes(64),
        "schema registry frame": b"\x00\x00\x00\x00\x01{}",
        "gzip": b"\x1f\x8b\x08\x00" + bytes(20),
        "zstandard": b"\x28\xb5\x2f\xfd" + bytes(20),
        "pickle": b"\x80\x04\x95\x0a\x00\x00\x00cos\nsystem\n(S'id'\ntR.",
        "numpy file": b"\x93NUMPY\x01\x00v\x00",
        "png": b"\x89PNG\r\n\x1a\n" + bytes(16),
        "html": b"<html><script>alert(1)</script></html>",
        "yaml": b"id: r-1\nmodel: digits\n",
        "python repr": b"'{\"id\": 1}'",
        "utf-16 with mark": "{}".encode("utf-16"),
        "bare word": b"hello",
        "shell": b"$(reboot)",
        "bare messagepack": msgspec.msgpack.encode(GOOD),
        "overlong slash": b"\xc0\xaf",
        "form feed before json": b"\x0c" + event_json(),
        "nul before json": b"\x00" + event_json(),
        "no-break space before json": b"\xc2\xa0" + event_json(),
    }
    for label, raw in foreign.items():
        yield f"foreign: {label}", raw, Reason.UNKNOWN_FORMAT
    for label, raw in {"array": b"[]", "array of events": b"[" + event_json() + b"]", "string": b'"x"', "number": b"1",
                       "negative": b"-1", "true": b"true", "false": b"false", "null": b"null"}.items():  # fmt: skip
        yield f"not an object: {label}", raw, Reason.WRONG_TYPE


def broken_json() -> Iterator[Hostile]:
    good = event_json()
    for cut in (1, 2, 5, 10, 20, 40, 80, len(good) - 1):
        yield f"json cut after {cut} bytes", good[:cut], Reason.MALFORMED
    broken = {
        "second object": good + good,
        "trailing word": good + b" x",
        "trailing nul": good + b"\x00",
        "trailing comma": good[:-1] + b",}",
        "single quotes": good.replace(b'"', b"'"),
        "comment": b"{/* hi */" + good[1:],
        "line comment": b"{// hi\n" + good[1:],
        "unquoted key": good.replace(b'"id"', b"id"),
        "no colon": good.replace(b'"id":', b'"id"'),
        "colon for comma": good.replace(b'"r-1",', b'"r-1":'),
        "doubled comma": good.replace(b"0.5, ", b"0.5,, "),
        "raw newline in a string": good.replace(b"r-1", b"r\n1"),
        "raw nul in a string": good.replace(b"r-1", b"r\x001"),
        "raw escape in a string": good.replace(b"r-1", b"\x1b[2J"),
        "unknown escape": good.replace(b"r-1", rb"\x41"),
        "cut escape": good.replace(b"r-1", rb"\u12"),
        "escape at the end": b'{"id":"\\',
        "misspelt null": good.replace(b"0.5", b"nul"),
        "mark before json": b"\xef\xbb\xbf" + good,
        "utf-16 without mark": good.decode().encode("utf-16-le"),
        "wide null": good.replace(b"0.5", b"Null"),
    }
    for label, raw in broken.items():
        yield f"broken json: {label}", raw, Reason.MALFORMED


def encodings() -> Iterator[Hostile]:
    good = event_json()
    sequences = {
        "lone byte ff": b"\xff",
        "lone continuation": b"\x80",
        "overlong slash": b"\xc0\xaf",
        "overlong nul": b"\xc0\x80",
        "encoded surrogate": b"\xed\xa0\x80",
        "encoded pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
        "past the last plane": b"\xf4\x90\x80\x80",
        "cut sequence": b"\xe2\x82",
        "latin-1": b"caf\xe9",
    }
    for label, raw in sequences.items():
        yield f"utf-8 in the id: {label}", good.replace(b"r-1", raw), Reason.MALFORMED
        yield f"utf-8 in an unknown field: {label}", b'{"extra":"' + raw + b'",' + good[1:], Reason.MALFORMED
    for label, text in {"high": rb"\ud800", "low": rb"\udc00", "swapped": rb"\ude00\ud83d",
                        "high twice": rb"\ud83d\ud83d", "high then text": rb"\ud800xyz12345"}.items():  # fmt: skip
        yield f"lone surrogate: {label}", good.replace(b"r-1", text), Reason.MALFORMED
    yield "lone surrogate in a key", b'{"\\ud800":1,' + good[1:], Reason.MALFORMED


def depth() -> Iterator[Hostile]:
    good = event_json()
    for levels in (MAX_DEPTH + 1, 500, 5_000, 100_000):
        yield f"inputs {levels} deep", spliced("inputs", "[" * levels + "1" + "]" * levels), Reason.TOO_DEEP
    for levels in (9, MAX_DEPTH - 1):
        yield f"inputs {levels} deep", spliced("inputs", "[" * levels + "1" + "]" * levels), Reason.TOO_DEEP
    bombs = {
        "arrays never closed": b'{"inputs":' + b"[" * 200_000,
        "objects never closed": b'{"a":' * 40_000,
        "top-level arrays": b"[" * 200_000,
        "arrays and objects by turns": b'[{"a":' * 30_000,
        "an unknown field": b'{"extra":' + b"[" * 50_000 + b"]" * 50_000 + b"," + good[1:],
        "an unknown field just past the limit": b'{"extra":' + b"[" * 16 + b"]" * 16 + b"," + good[1:],
        "a tag": spliced("tags", '{"a":' * 10_000 + "1" + "}" * 10_000),
        "behind strings full of closing brackets": b'{"a":["]]]]]]]]]]]]",' * 10_000,
        "behind strings with escaped quotes": b'{"a":["\\"]]]]\\\\",' * 10_000,
        "brackets after a cut string": b"[" * 1000 + b'"' + b"]" * 1000,
    }
    for label, raw in bombs.items():
        yield f"depth bomb: {label}", raw, Reason.TOO_DEEP


def sizes(limits: Limits) -> Iterator[Hostile]:
    size = limits.max_bytes + 1
    good = event_json()
    yield "size: a good event padded with spaces", good.ljust(size), Reason.TOO_LARGE
    yield "size: spaces only", b" " * size, Reason.TOO_LARGE
    yield "size: brackets only", b"[" * size, Reason.TOO_LARGE
    yield "size: inputs without end", b'{"inputs":['.ljust(size, b"0"), Reason.TOO_LARGE
    yield "size: random-looking bytes", b"\xa5" * size, Reason.TOO_LARGE
    yield "size: compact", compact_record([b"\x80"]).ljust(size, b"\0"), Reason.TOO_LARGE
    full = limits.max_bytes
    yield "size: just fits, quotes only", b'{"' + b'\\"' * (full // 2 - 1), Reason.MALFORMED
    yield "size: just fits, empty arrays", b'{"inputs":[' + b"[]," * (full // 3 - 8) + b"[]]}", Reason.MISSING_FIELD
