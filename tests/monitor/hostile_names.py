"""Hostile records whose texts are wrong: names, times, addresses, tags."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.event import Reason
from tests.monitor.hostile_parts import Hostile, event_json, spliced


def names() -> Iterator[Hostile]:
    texts = {
        "empty": "",
        "nul": "a\0b",
        "escape sequence": "\x1b[31mred",
        "newline": "a\nlevel=info msg=fine",
        "carriage return": "a\rb",
        "backspace": "a\b\b",
        "delete": "a\x7f",
        "next line": "a\x85b",
        "one-byte escape introducer": "\x9b31m",
        "line separator": "a\u2028b",
        "paragraph separator": "a\u2029b",
    }
    for label, text in texts.items():
        yield f"id: {label}", event_json(id=text), Reason.BAD_ID
        yield f"model: {label}", event_json(model=text), Reason.BAD_ID
        yield f"label: {label}", event_json(outputs={"label": text}), Reason.BAD_ID
        if text:
            yield f"client.id: {label}", event_json(client={"id": text}), Reason.BAD_ID
            yield f"version: {label}", event_json(version=text), Reason.BAD_ID
    for field, limit in {"id": 256, "model": 128, "version": 128}.items():
        yield f"{field}: one character too long", event_json(**{field: "x" * (limit + 1)}), Reason.BAD_ID
        yield f"{field}: 100,000 characters", event_json(**{field: "x" * 100_000}), Reason.BAD_ID
        yield f"{field}: one wide character too long", event_json(**{field: "\U0001d535" * (limit + 1)}), Reason.BAD_ID
    yield "client.id: one character too long", event_json(client={"id": "x" * 257}), Reason.BAD_ID
    yield "label: one character too long", event_json(outputs={"label": "x" * 257}), Reason.BAD_ID


def times() -> Iterator[Hostile]:
    for ts in (0, -1, -0.0, 1e-400, -1e300, 1e300, 4102444800, 4102444801.5, 1763683200250, 1763683200250000000, 2**70):
        yield f"ts: {ts!r}", event_json(ts=ts), Reason.BAD_TIME
    for text in ("", "now", "2025", "2025-11-21", "20251121T080000Z", "2025-11-21T08:00:00", "2025-11-21T08:00Z",
                 "2025-11-21T24:00:00Z", "2025-11-21T08:00:60Z", "2025-13-01T00:00:00Z", "2025-02-30T00:00:00Z",
                 "2025-11-21T08:00:00+24:00", "2025-11-21T08:00:00 Z", " 2025-11-21T08:00:00Z", "2025-11-21T08:00:00.Z",
                 "1763683200", "1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
                 "9999-12-31T23:59:59-14:00", "٢٠٢٥-11-21T08:00:00Z", "Fri, 21 Nov 2025 08:00:00 GMT",
                 "2025-11-21T08:00:00\x00Z", "2" * 100_000, "2025-11-21T08:00:00." + "1" * 100_000 + "Z"):  # fmt: skip
        yield f"ts: {text[:40]!r} of {len(text)}", event_json(ts=text), Reason.BAD_TIME
    yield "ts: 1e400", spliced("ts", "1e400"), Reason.OUT_OF_RANGE


def addresses() -> Iterator[Hostile]:
    for text in ("", " ", "localhost", "203.0.113", "203.0.113.256", "203.0.113.09", "203.0.113.9:443",
                 "203.0.113.0/24", "203.0.113.9 ", "203.0.113.9\n", "203.0.113.9, 198.51.100.1", "0x7f.0.0.1",
                 "2130706433", "127.1", "٢٠٣.0.113.9", "\uff11.2.3.4", "fe80::1%eth0", "fe80::1%", "::ffff:1.2.3.4%1",
                 "[::1]", ":::", "1::2::3", "::1/128", "12345::", "::ffff:1.2.3.400", "example.com", "<script>",
                 "' OR 1=1 --", "1.2.3.4;reboot", "9" * 100_000, "::" * 50_000):  # fmt: skip
        yield f"client.ip: {text[:30]!r} of {len(text)}", event_json(client={"ip": text}), Reason.BAD_ADDRESS


def tags() -> Iterator[Hostile]:
    tags: dict[str, dict[str, str]] = {
        "65 of them": {f"t{i}": "x" for i in range(65)},
        "10,000 of them": {f"t{i}": "x" for i in range(10_000)},
        "empty key": {"": "x"},
        "key too long": {"k" * 129: "x"},
        "value too long": {"k": "v" * 1025},
        "value of 100,000 characters": {"k": "v" * 100_000},
    }
    for label, value in tags.items():
        yield f"tags: {label}", event_json(tags=value), Reason.OUT_OF_RANGE
