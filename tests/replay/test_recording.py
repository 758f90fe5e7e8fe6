from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.codec import Limits, encode_json
from monitor.event import Event, Reason
from replay.recording import Bad, RecordingError, RecordingWriter, read_raw, read_recording
from tests.monitor.event_strategies import assert_same, events
from tests.monitor.hostile import hostile_records
from tests.monitor.hostile_parts import compact_record, event_json, request_bytes

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".vdt", ".vdt.zst")


def _event(i: int, values: int = 3) -> Event:
    x = np.random.default_rng(i).random((1, values), np.float32)
    return Event(id=f"r-{i}", ts=1763683200.0 + i, model="digits", x=x, shape=(values,), client_id="a")


def _write(path: Path, written: list[Event]) -> Path:
    with RecordingWriter(path) as writer:
        for event in written:
            writer.write(event)
    return path


def _compress(path: Path, plain: bytes) -> Path:
    packed = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix, bytes)(plain)
    path.write_bytes(packed)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=20)
@given(originals=st.lists(events(), max_size=5))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, suffix: str, originals: list[Event]) -> None:
    path = _write(tmp_path_factory.mktemp("r") / f"a{suffix}", originals)
    read = list(read_recording(path))
    assert len(read) == len(originals)
    for event, original in zip(read, originals, strict=True):
        assert isinstance(event, Event)
        assert_same(event, original)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_events_give_the_same_file(tmp_path: Path, suffix: str) -> None:
    originals = [_event(i) for i in range(5)]
    one, other = (_write(tmp_path / f"{name}{suffix}", originals).read_bytes() for name in "ab")
    assert one == other


def test_lines_that_are_no_events_are_reported_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [b"\xef\xbb\xbf" + event_json() + b"\r", b"", b"  ", b"not json", event_json(id=""), event_json(id="last")]
    path.write_bytes(b"\n".join(lines))

    first, second, third, last = read_recording(path)

    assert isinstance(first, Event)
    assert isinstance(second, Bad)
    assert isinstance(third, Bad)
    assert (second.line, second.raw, second.rejection.reason) == (4, b"not json", Reason.MALFORMED)
    assert (third.line, third.rejection.reason) == (5, Reason.BAD_ID)
    assert isinstance(last, Event)
    assert last.id == "last"


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_no_hostile_line_stops_reading(tmp_path: Path, suffix: str) -> None:
    limits = Limits(max_bytes=512 * 1024)
    lines = [(raw, reason) for _, raw, reason in hostile_records(limits) if b"\n" not in raw and raw.strip()]
    good = event_json(id="good")
    path = _compress(tmp_path / f"a{suffix}", b"".join(raw + b"\n" + good + b"\n" for raw, _ in lines))

    read = list(read_recording(path, limits))

    bad = [item for item in read if isinstance(item, Bad)]
    # A line's end is no part of it, and a mark at the file's start is allowed; nothing else differs from Kafka.
    assert [item.rejection.reason for item in bad] == [reason for _, reason in lines]
    assert [item.line for item in bad] == list(range(1, 2 * len(lines), 2))
    assert sum(isinstance(item, Event) for item in read) == len(lines)


def test_long_line_is_bounded_in_memory(tmp_path: Path) -> None:
    limits = Limits(max_bytes=10_000)
    path = tmp_path / "a.jsonl"
    path.write_bytes(event_json() + b"\n" + b"x" * 20_000_000 + b"\n" + event_json(id="last") + b"\n")

    tracemalloc.start()
    first, long, last = read_recording(path, limits)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(first, Event)
    assert isinstance(last, Event)
    assert isinstance(long, Bad)
    assert (long.line, long.rejection.reason, long.raw) == (2, Reason.TOO_LARGE, b"x" * 10_001)
    assert peak < 1_000_000


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_line_of_exactly_the_limit(tmp_path: Path, end: bytes) -> None:
    raw = event_json()
    path = tmp_path / "a.jsonl"
    path.write_bytes(raw + end)
    assert [type(item) for item in read_recording(path, Limits(max_bytes=len(raw)))] == [Event]
    assert [type(item) for item in read_recording(path, Limits(max_bytes=len(raw) - 1))] == [Bad]


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst", ".vdt", ".vdt.zst"])
@pytest.mark.parametrize("cut", [1, 8, 40_000])
def test_cut_file_gives_what_it_holds_and_then_says_so(tmp_path: Path, suffix: str, cut: int) -> None:
    originals = [_event(i, values=1000) for i in range(200)]
    path = _write(tmp_path / f"a{suffix}", originals)
    os.truncate(path, path.stat().st_size - cut)
    reading, read = read_recording(path), 0

    def until_the_cut() -> None:
        nonlocal read
        for item, original in zip(reading, originals, strict=False):
            assert isinstance(item, Event)
            assert item.id == original.id
            read += 1

    with pytest.raises(RecordingError) as caught:
        until_the_cut()
    assert 0 < read < len(originals) or cut <= 8
    assert str(path) in str(caught.value)
    assert "copy the file again" in str(caught.value)
    if "jsonl" in suffix:
        assert f"after line {read}:" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl.gz", b"plain text"),
        ("a.jsonl.zst", b"plain text"),
        ("a.vdt.zst", b"plain text"),
        ("a.jsonl.gz", gzip.compress(b"{}\n" * 1000, mtime=0)[:-10] + b"0123456789"),
        ("a.jsonl.zst", zstandard.ZstdCompressor(write_checksum=True).compress(b"{}\n" * 1000)[:-1] + b"\0"),
        ("a.jsonl.gz", gzip.compress(b"{}\n", mtime=0) + b"trailing"),
        ("a.jsonl.zst", zstandard.compress(b"{}\n") + b"trailing"),
        ("a.vdt", event_json()),
        ("a.vdt", compact_record([request_bytes()], version=9)),
        ("a.vdt", compact_record([request_bytes()]) + b"trailing bytes"),
        ("a.vdt", compact_record([request_bytes()], body_bytes=2**32 - 1)),
    ],
)
def test_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"damaged after (line|record) \d+: .*; copy the file again"):
        list(read_recording(path))


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a", "a.gz", "a.jsonl.bz2", "a.vdt.gz"])
def test_unknown_suffix_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(RecordingError, match=r"must end in one of \.jsonl, "):
        list(read_raw(tmp_path / name))
    with pytest.raises(RecordingError, match=r"must end in one of \.jsonl, "):
        RecordingWriter(tmp_path / name)


def test_absent_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"absent\.jsonl: cannot be read: No such file"):
        list(read_recording(tmp_path / "absent.jsonl"))
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(RecordingError, match="Is a directory"):
        list(read_recording(tmp_path / "folder.jsonl"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_joined_files_read_as_one(tmp_path: Path, suffix: str) -> None:
    one, other = (_write(tmp_path / f"{name}{suffix}", [_event(i)]).read_bytes() for i, name in enumerate("ab"))
    path = tmp_path / f"both{suffix}"
    path.write_bytes(one + other)
    assert [item.id for item in read_recording(path) if isinstance(item, Event)] == ["r-0", "r-1"]


def test_raw_records_are_what_kafka_would_carry(tmp_path: Path) -> None:
    lines = _write(tmp_path / "a.jsonl", [_event(0), _event(1)])
    assert list(read_raw(lines)) == [encode_json(_event(0)), encode_json(_event(1))]
    records = list(read_raw(_write(tmp_path / "a.vdt", [_event(i, values=1000) for i in range(1500)])))
    assert len(records) > 1500 * 4000 / 2**20
    assert max(map(len, records)) <= 512 * 1024 + 100


def test_bad_request_in_a_compact_recording_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.vdt"
    path.write_bytes(compact_record([request_bytes()]) + compact_record([request_bytes(id=""), request_bytes(id="b")]))
    first, second, bad = read_recording(path)
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert isinstance(bad, Bad)
    assert (bad.line, bad.rejection.reason, second.id) == (2, Reason.BAD_ID, "b")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    path = _write(tmp_path / f"a{suffix}", [_event(0)])

    def fail() -> None:
        with RecordingWriter(path) as writer:
            writer.write(_event(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [item.id for item in read_recording(path) if isinstance(item, Event)] == ["r-0"]
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with RecordingWriter(path) as writer:
        writer.write(_event(0))
        assert not path.exists()
    assert path.exists()


def test_reading_stops_early_without_reading_on(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(event_json() + b"\n") + b"damage that is never reached")
    reading = read_recording(path)
    assert isinstance(next(reading), Event)


def test_zstandard_bomb_is_bounded_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    compressor = zstandard.ZstdCompressor().compressobj()
    packed = [compressor.compress(bytes(2**20)) for _ in range(256)]
    path.write_bytes(b"".join(packed) + compressor.flush())
    tracemalloc.start()
    [bad] = read_recording(path, Limits(max_bytes=1000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(bad, Bad)
    assert bad.rejection.reason is Reason.TOO_LARGE
    assert peak < 64 * 2**20
