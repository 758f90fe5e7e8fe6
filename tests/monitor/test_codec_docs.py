"""The examples of docs/event-format.md are what the code reads and writes."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from detectors.finding import Finding
from monitor.codec import Limits, decode_record, encode_compact
from monitor.codec.tick import decode_tick
from monitor.event import Reason
from replay.labels import decode_labels
from tests.monitor.event_strategies import assert_same

DOCUMENT = (Path(__file__).parents[2] / "docs" / "event-format.md").read_text(encoding="utf-8")


def _example(start: str) -> bytes:
    """The indented block that starts so, on one line."""
    block = re.search(rf"^    {re.escape(start)}.*\n(?:    .*\n)*", DOCUMENT, re.MULTILINE)
    assert block, start
    return " ".join(block.group().split()).encode()


def test_json_event() -> None:
    [event] = decode_record(_example('{"id":"r-81"'), Limits()).events
    assert event.shape == (2, 2)


def test_compact_record_is_the_json_event_beside_it() -> None:
    text = re.search(r"^The event `(\{.*\})` is$", DOCUMENT, re.MULTILINE)
    assert text
    [from_json] = decode_record(text.group(1).encode(), Limits()).events
    raw = bytes.fromhex(_example("89 56").decode())
    [from_compact] = decode_record(raw, Limits()).events
    assert_same(from_compact, from_json)
    assert encode_compact([from_json]) == raw


def test_tick() -> None:
    assert decode_tick(_example('{"tick"'), [("vedette-kind", b"tick")]) == 1763683200.5


def test_finding() -> None:
    raw = _example('{"id":"f-')
    finding = msgspec.json.decode(raw, type=Finding)
    assert msgspec.json.decode(raw).keys() == set(Finding.__struct_fields__)
    assert finding.subject.key == "client:acct-7"


def test_labels() -> None:
    assert decode_labels(_example('{"clients"')).attackers().keys() == {"acct-31"}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained(reason: Reason) -> None:
    assert re.search(rf"^\| `{reason.value}` \| \S", DOCUMENT, re.MULTILINE)
