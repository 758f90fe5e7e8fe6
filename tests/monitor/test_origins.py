"""Records of a re-keyed topic: each once and in order whatever is sent again, and time as far as all sources are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.codec.limits import Limits
from monitor.codec.tick import decode_tick, encode_tick
from monitor.intake import Record, SourceRecord
from monitor.origins import HEADER, Origins, origin_header

LIMITS = Limits(max_future_s=300.0)


@dataclass(frozen=True)
class Sent:
    """What one source record became for the partition: ``parts`` values, or a tick."""

    source: int
    offset: int
    parts: int
    tick: float | None

    def records(self) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
        if self.tick is not None:
            value, headers = encode_tick(self.tick)
            return [(value, [*headers, origin_header(self.source, self.offset, 7)])]
        return [
            (b"%d/%d/%d" % (self.source, self.offset, part), [origin_header(self.source, self.offset, part)])
            for part in range(self.parts)
        ]


@dataclass
class Sender:
    """Passes one source on from where the group has committed; dies between any two records."""

    source: Sequence[Sent]
    at: int = 0
    waiting: list[tuple[bytes, list[tuple[str, bytes]]]] = field(default_factory=list)

    def next(self) -> tuple[bytes, list[tuple[str, bytes]]] | None:
        while not self.waiting and self.at < len(self.source):
            self.waiting = self.source[self.at].records()
            self.at += 1
        return self.waiting.pop(0) if self.waiting else None


@st.composite
def sources(draw: st.DrawFn) -> list[list[Sent]]:
    found: list[list[Sent]] = []
    for source in range(draw(st.integers(1, 3))):
        offset, ts, mine = 0, 1.0, list[Sent]()
        for _ in range(draw(st.integers(0, 10))):
            offset += draw(st.integers(1, 3))
            ts += draw(st.integers(0, 5))
            is_tick = draw(st.booleans())
            mine.append(Sent(source, offset, draw(st.integers(0, 3)), ts if is_tick else None))
        found.append(mine)
    return found


@st.composite
def topics(draw: st.DrawFn) -> tuple[list[list[Sent]], list[Record]]:
    """What sources hold, and a partition of the topic after senders that came, died and did not know of each other."""
    logs = draw(sources())
    topic: list[Record] = []
    committed = [0] * len(logs)

    def take(sender: Sender) -> bool:
        if (found := sender.next()) is None:
            return False
        topic.append(Record("t", 0, len(topic), None, found[0], found[1]))
        return True

    senders = [[Sender(log)] for log in logs]
    for _ in range(draw(st.integers(0, 40))):
        source = draw(st.integers(0, len(logs) - 1))
        at = draw(st.integers(0, len(senders[source]) - 1))
        match draw(st.sampled_from(["send", "send", "send", "commit", "another"])):
            case "send":
                take(senders[source][at])
            case "commit" if not senders[source][at].waiting:  # all that it sent has arrived
                committed[source] = max(committed[source], senders[source][at].at)
            case "another":  # the former one may be dead, or only slow
                senders[source].append(Sender(logs[source], committed[source]))
    for source, log in enumerate(logs):
        last = Sender(log, committed[source])
        while take(last):
            pass
    return logs, topic


def passed(
    topic: Sequence[SourceRecord], sources: int, cuts: Sequence[int] = (), restarts: Sequence[int] = ()
) -> tuple[list[bytes], list[float]]:
    """Values, and times of ticks, in order; the topic cut into batches, some of which begin in a new process."""
    origins, stored = Origins(sources), dict[str, bytes]()
    values, ticks = [], []
    edges = sorted({0, len(topic), *(c for c in cuts if c < len(topic))})
    for n, (begin, end) in enumerate(pairwise(edges)):
        if n in restarts:
            origins = Origins(sources)
            origins.restore(stored)
        # the broker may send again what a checkpoint covers
        for record in origins.fresh(topic[max(begin - 2, 0) : end], begin, LIMITS):
            ts = decode_tick(record.value, record.headers)
            if ts is None:
                values.append(record.value or b"")
            else:
                ticks.append(ts)
        stored |= {key: blob for key, blob in origins.delta().items() if blob is not None}
        assert origins.delta() == {}
    return values, ticks


@settings(max_examples=200)
@given(topics(), st.lists(st.integers(0, 60), max_size=6), st.lists(st.integers(0, 6), max_size=4))
def test_each_record_once_and_in_order_however_often_it_was_sent(
    sent: tuple[list[list[Sent]], list[Record]], cuts: list[int], restarts: list[int]
) -> None:
    logs, topic = sent
    values, ticks = passed(topic, len(logs), cuts, restarts)
    for source, log in enumerate(logs):
        mine = [value for value in values if value.startswith(b"%d/" % source)]
        assert mine == [value for s in log if s.tick is None for value, _ in s.records()]
    assert len(values) == sum(s.parts for log in logs for s in log if s.tick is None)
    assert (values, ticks) == passed(topic, len(logs))


@settings(max_examples=200)
@given(topics())
def test_time_is_what_all_sources_have_promised(sent: tuple[list[list[Sent]], list[Record]]) -> None:
    """Never more than the slowest source has said by then, always growing, and in the end all of it."""
    logs, topic = sent
    origins, told = Origins(len(logs)), float("-inf")
    said: dict[int, float] = {}
    for record in topic:
        source = int(dict(record.headers)[HEADER].split(b":")[0])
        ts = decode_tick(record.value, record.headers)
        if ts is not None:
            said[source] = max(ts, said.get(source, ts))
        for kept in origins.fresh([record], 0, LIMITS):
            common = decode_tick(kept.value, kept.headers)
            if common is not None:
                assert len(said) == len(logs)
                assert told < common <= min(said.values())
                told = common
    promises = [max((s.tick for s in log if s.tick is not None), default=float("-inf")) for log in logs]
    assert told == min(promises)


NOT_OURS = [
    b"",
    b"::",
    b"0:0",
    b"0:0:0:0",
    b"a:b:c",
    b"-1:0:0",
    b"0:-1:0",
    b"0:1:-1",
    b" 0:1:0",
    b"0:1:0\n",
    b"+0:1:0",
    b"0:1_0:0",
    b"0:1.5:0",
    b"0:9223372036854775808:0",
    b"0:" + b"9" * 5000 + b":0",
    b"99999999999:0:0",
    b"\xff\x00",
    "\u0660:\u0661:\u0660".encode(),
    None,
]


@pytest.mark.parametrize("header", NOT_OURS)
def test_a_header_that_we_did_not_write_is_none(header: bytes | None) -> None:
    """Such a record is judged like any other, every time it comes, and holds up nothing."""
    odd = Record("t", 0, 0, None, b"odd", [(HEADER, header)])  # type: ignore[list-item]  # a header may be null
    ours = Record("t", 0, 1, None, b"ours", [origin_header(0, 0, 0)])
    again = Record("t", 0, 2, None, b"odd", odd.headers)
    values, _ = passed([odd, ours, again], 1, cuts=[1, 2], restarts=[1, 2])
    assert values == [b"odd", b"ours", b"odd"]


@given(st.binary(max_size=30))
@example(b"9223372036854775807:9223372036854775807:9223372036854775807")
@example(b"4294967296:9223372036854775807:4294967296")
def test_any_header_is_survived_and_its_record_kept(header: bytes) -> None:
    record = Record("t", 0, 0, None, b"v", [(HEADER, header)])
    assert passed([record], 1)[0] == [b"v"]


def test_of_several_headers_the_last_counts() -> None:
    """A client may have written one of its own; ours is put behind it."""
    forged = origin_header(0, 10**9, 0)
    topic = [Record("t", 0, n, None, b"%d" % n, [forged, origin_header(0, n, 0)]) for n in range(3)]
    assert passed([*topic, *(Record("t", 0, 3 + r.offset, None, r.value, r.headers) for r in topic)], 1)[0] == [
        b"0",
        b"1",
        b"2",
    ]


def test_records_that_were_never_passed_on_are_left_alone() -> None:
    """Somebody may write to the topic himself: events, and ticks, which then speak for all."""
    value, headers = encode_tick(50.0)
    topic = [Record("t", 0, 0, b"k", b"event"), Record("t", 0, 1, None, value, tuple(headers))]
    assert Origins(3).fresh(topic, 0, LIMITS) == topic


@pytest.mark.parametrize("value", [b"", b"no tick", b'{"tick":"soon"}', b'{"tick":1401}', b'{"tick":1e400}'])
def test_a_bad_tick_goes_on_to_be_rejected_and_promises_nothing(value: bytes) -> None:
    """One from the future is bad, too: it must not stand for later ones."""
    _, headers = encode_tick(0.0)
    bad = Record("t", 0, 0, None, value, (*headers, origin_header(0, 0, 0)))
    good = Record("t", 0, 1, None, encode_tick(1100.0)[0], (*headers, origin_header(0, 1, 0)))
    kept = Origins(1).fresh([bad, good], 0, LIMITS, now=1100.0)
    assert kept[0] is bad
    assert [decode_tick(r.value, r.headers) for r in kept[1:]] == [1100.0]
