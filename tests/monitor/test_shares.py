"""What a partition tells the models, and when: shares of windows that are over, and how far it has come."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.shares import NEVER, Announcer, Message, Progress, Share, decode_message, encode_message
from monitor.windows import PartitionWindows
from tests.monitor.test_windows import GRACE_S, PLAN, SIZE_S, Row, batch_of

numbers = st.integers(-(2**63), 2**63 - 1)
partitions = st.integers(0, 2**20 - 1)
messages = st.builds(
    Share, partition=partitions, index=numbers, model=st.text(), rows=numbers, window=st.binary()
) | st.builds(Progress, partition=partitions, horizon=numbers, idle=st.booleans())


def counted(*times: float) -> PartitionWindows:
    """One row at each time, none of them late."""
    windows = PartitionWindows(PLAN)
    rows = [Row(i, ts, i, "m", "") for i, ts in enumerate(times)]
    windows.absorb(batch_of(rows), np.full(len(rows), min(times)))
    return windows


def told(found: list[Message]) -> list[tuple[int, int] | Progress]:
    """Shares by index and rows, and the progress."""
    return [(m.index, m.rows) if isinstance(m, Share) else m for m in found]


@given(messages)
def test_bytes_and_back(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


@given(st.binary(max_size=40))
@example(encode_message(Share(0, 1, "ab", 2, b"w")).replace(b"ab", b"\xff\xff"))
@example(encode_message(Progress(0, 1, idle=False)).replace(b"\x00\x01", b"\xce\x7f\xff\xff\xff\x01"))
@example(b"\x91" * 100_000)
@example(b"\x94\xa8progress\xff\x01\xc2")
def test_foreign_bytes_are_a_decode_error_or_a_sound_message(raw: bytes) -> None:
    """A partition that is beyond reason would make everybody wait for all below it."""
    try:
        message = decode_message(raw)
    except msgspec.DecodeError:
        return
    assert 0 <= message.partition < 2**20
    assert decode_message(encode_message(message)) == message


def test_a_partition_that_has_seen_nothing_says_so_once() -> None:
    announcer, windows = Announcer(PLAN, 3), PartitionWindows(PLAN)
    assert announcer.announce(windows, float("-inf")) == [Progress(3, NEVER, idle=False)]
    assert announcer.announce(windows, float("-inf")) == []
    assert announcer.announce(windows, float("-inf"), idle=True) == [Progress(3, NEVER, idle=True)]


def test_windows_that_are_over_are_told_before_the_progress_that_says_so() -> None:
    announcer, windows = Announcer(PLAN, 0), counted(1.0, 2.0, 11.0, 21.0)
    assert told(announcer.announce(windows, SIZE_S + GRACE_S - 0.1)) == [Progress(0, 0, idle=False)]
    assert told(announcer.announce(windows, 2 * SIZE_S + GRACE_S)) == [(0, 2), (1, 1), Progress(0, 2, idle=False)]
    assert announcer.announce(windows, 2 * SIZE_S + GRACE_S + 1) == []
    assert [key for key, _ in windows.open()] == [(2, "m")]


def test_an_idle_partition_tells_its_open_windows_and_keeps_them() -> None:
    announcer, windows = Announcer(PLAN, 0), counted(1.0, 11.0)
    assert told(announcer.announce(windows, 11.0, idle=True)) == [(0, 1), (1, 1), Progress(0, 0, idle=True)]
    assert announcer.announce(windows, 11.0, idle=True) == []
    windows.absorb(batch_of([Row(9, 12.0, 9, "m", "")]), np.array([12.0]))
    assert told(announcer.announce(windows, 12.0)) == [Progress(0, 0, idle=False)]
    assert told(announcer.announce(windows, 12.0, idle=True)) == [(0, 1), (1, 2), Progress(0, 0, idle=True)]


def test_after_a_restart_the_progress_is_told_again_and_no_share_that_is_out() -> None:
    """Shares that were told and not checkpointed are told again, as they were."""
    announcer, windows = Announcer(PLAN, 0), counted(1.0, 11.0)
    before = {key: blob for key, blob in windows.delta().items() if blob is not None}
    first = announcer.announce(windows, SIZE_S + GRACE_S)
    after = before | windows.delta()
    unsaved, saved = PartitionWindows(PLAN), PartitionWindows(PLAN)
    unsaved.restore(before)
    saved.restore({key: blob for key, blob in after.items() if blob is not None})
    assert Announcer(PLAN, 0).announce(unsaved, SIZE_S + GRACE_S) == first
    assert told(first) == [(0, 1), Progress(0, 1, idle=False)]
    assert told(Announcer(PLAN, 0).announce(saved, SIZE_S + GRACE_S)) == [Progress(0, 1, idle=False)]


@pytest.mark.parametrize("size_s", [0.1, 0.3, 7.0, 60.0, 86400.0])
@given(st.floats(0.0, 4e9), st.integers(-5, 5))
def test_the_progress_is_the_first_window_that_is_not_over(size_s: float, watermark: float, ulps: int) -> None:
    """To the last bit, whatever the division rounds to."""
    plan = PLAN.__class__(PLAN.detectors, size_s, GRACE_S, 4, {}, "b1")
    for _ in range(abs(ulps)):
        watermark = float(np.nextafter(watermark, np.inf * ulps))
    (progress,) = Announcer(plan, 0).announce(PartitionWindows(plan), watermark)
    assert isinstance(progress, Progress)
    assert not plan.passed(progress.horizon, watermark)
    assert plan.passed(progress.horizon - 1, watermark)
