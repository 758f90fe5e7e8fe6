"""Dead letters named, chosen and judged again; the spool's file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.codec import Limits
from monitor.codec.dead_letter import DeadLetter, encode_dead_letter
from monitor.dead_letter_spool import append, read_spool
from monitor.dead_letters import Letter, Replayed, Wanted, judge_again, note_of, read_letter, survey
from monitor.event import Reason, Rejection
from monitor.intake import DeadLetter as Buried
from monitor.intake import Record

NOW = 1763683300.0
LIMITS = Limits(max_future_s=300.0)
GOOD = b'{"id":"r-%d","ts":1763683200,"model":"digits","inputs":[0,1]}'
BAD = b'{"id":"r-1","ts":1763683200}'


def letter(place: int = 0, raw: bytes = BAD, **changed: object) -> Letter:
    fields = {"reason": Reason.MISSING_FIELD, "detail": "why", "topic": "events", "partition": 1, "offset": place}
    fields |= {"key": b"acct-1", "time_ms": None} | changed
    return Letter(f"dead/0/{place}", DeadLetter(raw=raw, **fields), time_ms=1000 + place)


def read_back(found: Letter) -> Letter | Replayed:
    c = found.content
    value, headers = encode_dead_letter(c.raw, Rejection(c.reason, c.detail), c.topic, c.partition, c.offset, c.key)
    return read_letter("dead", 0, int(found.id.split("/")[2]), value, headers, found.time_ms)


def test_a_letter_and_its_note_read_back() -> None:
    one = letter(7)
    assert read_back(one) == one
    value, headers = note_of(one)
    assert read_letter("dead", 0, 8, value, headers, 5) == Replayed(one.identity)
    with pytest.raises(ValueError, match="not a dead letter"):
        read_letter("dead", 0, 9, b"", [("other", b"x")], 5)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (Wanted(), True),
        (Wanted(reason=Reason.MISSING_FIELD, topic="events", since_ms=1007, ids=frozenset({"dead/0/7"})), True),
        (Wanted(reason=Reason.EMPTY), False),
        (Wanted(topic="event"), False),
        (Wanted(since_ms=1008), False),
        (Wanted(ids=frozenset({"dead/0/8"})), False),
    ],
)
def test_what_is_wanted(wanted: Wanted, fits: bool) -> None:
    assert (letter(7) in wanted) is fits


def test_letters_are_judged_by_the_present_limits() -> None:
    long = letter(raw=GOOD % 1)
    assert judge_again(long, LIMITS, NOW) is None
    refused = judge_again(long, Limits(max_bytes=20), NOW)
    assert refused is not None
    assert refused.reason is Reason.TOO_LARGE
    assert judge_again(long, LIMITS, NOW - 1e6).reason is Reason.BAD_TIME  # type: ignore[union-attr] # None fails too


def test_a_survey_says_what_is_ready_and_what_is_left() -> None:
    items = [letter(i, GOOD % i if i % 2 else BAD) for i in range(6)]
    found = survey(items, Wanted(), LIMITS, NOW)
    assert found.ready == ["dead/0/1", "dead/0/3", "dead/0/5"]
    assert [(i, r.reason) for i, r in found.left] == [(f"dead/0/{i}", Reason.MISSING_FIELD) for i in (0, 2, 4)]
    assert survey(items, Wanted(), LIMITS, NOW, limit=2).ready == ["dead/0/1", "dead/0/3"]


def test_what_was_sent_before_is_not_sent_again() -> None:
    """The note may come after its letter or, from another partition, before it."""
    one, two = letter(1, GOOD % 1), letter(2, GOOD % 2)
    for items in ([one, two, Replayed(one.identity)], [Replayed(one.identity), one, two]):
        found = survey(items, Wanted(), LIMITS, NOW)
        assert (found.ready, found.done) == (["dead/0/2"], 1)


def test_bytes_buried_twice_are_ready_once() -> None:
    """A crash after burying, before the checkpoint, buries a record again; two bad requests of one record differ."""
    first, again = letter(1, GOOD % 1, offset=9), letter(2, GOOD % 1, offset=9)
    beside = letter(3, GOOD % 2, offset=9)
    found = survey([first, again, beside], Wanted(), LIMITS, NOW)
    assert (found.ready, found.repeats) == (["dead/0/1", "dead/0/3"], 1)


@given(
    raws=st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), max_size=12),
    limit=st.none() | st.integers(1, 5),
)
def test_every_letter_is_counted_once(raws: list[tuple[int, bool, bool]], limit: int | None) -> None:
    items: list[Letter | Replayed] = [
        letter(place, GOOD % n if good else BAD, offset=n) for place, (n, good, _) in enumerate(raws)
    ]
    items += [Replayed(i.identity) for i, (_, _, noted) in zip(list(items), raws, strict=True) if noted]  # type: ignore[union-attr] # letters only so far
    found = survey(items, Wanted(), LIMITS, NOW, limit)
    counted = len(found.ready) + len(found.left) + found.done + found.repeats
    assert counted == len(raws) if limit is None else len(found.ready) <= limit
    assert len(set(found.ready)) == len(found.ready)


def test_the_spool_gives_each_letter_once_with_all_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "dead-letters.jsonl"
    assert list(read_spool(path)) == []
    huge = bytes(range(256)) * 4
    buried = Buried(Record("events", 3, 42, b"\xff", huge), huge, Rejection(Reason.TOO_LARGE, "why"))
    append(path, buried, now=1.5)
    append(path, buried, now=2.5)  # a crash came before the checkpoint
    with path.open("ab") as file:
        file.write(b'{"reason":"too_large"\n')
        # as versions before wrote it
        file.write(b'{"reason":"empty","detail":"d","topic":"events","partition":0,"offset":1,"raw":"eA=="}\n')
    unreadable: list[int] = []
    one, old = read_spool(path, unreadable.append)
    assert one.content == DeadLetter(huge, Reason.TOO_LARGE, "why", "events", 3, 42, b"\xff", 1500)
    assert (one.spooled, one.id, one.time_ms) == (True, f"spool/{one.identity}", 1500)
    assert (old.content.raw, old.content.key, old.time_ms) == (b"x", None, None)
    assert unreadable == [3]
    assert path.stat().st_mode & 0o077 == 0, "payloads are private"
