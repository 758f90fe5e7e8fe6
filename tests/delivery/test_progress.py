"""The book of one partition, against a plain model of it."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from monitor.delivery.progress import Progress


@dataclass(eq=False)
class Run:
    """A delivery of the offsets from first to next, which may have holes."""

    first_offset: int
    next_offset: int
    acked: bool = False
    dropped: bool = False
    taken: bool = True

    def lost(self) -> bool:
        return not self.taken


def runs(*sizes: tuple[int, int]) -> list[Run]:
    """Runs of (gap before it, length)."""
    found, at = [], 0
    for gap, length in sizes:
        found.append(Run(at + gap, at + gap + length))
        at += gap + length
    return found


SIZES = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50)), min_size=1, max_size=30)


@given(SIZES, st.data())
def test_safe_offset_is_never_past_what_is_not_acknowledged(sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    progress, delivered, waiting, last = Progress(1), [], runs(*sizes), None
    while waiting or not all(r.acked for r in delivered):
        open_runs = [r for r in delivered if not r.acked]
        if waiting and (not open_runs or data.draw(st.booleans())):
            delivered.append(waiting.pop(0))
            progress.deliver(delivered[-1])
        else:
            data.draw(st.sampled_from(open_runs)).acked = True
        head = []
        for run in delivered:
            if not run.acked:
                break
            head.append(run)
        safe = progress.safe_offset()
        assert safe == (head[-1].next_offset if head else None)
        assert last is None or (safe is not None and safe >= last)
        last = safe
    assert progress.safe_offset() == delivered[-1].next_offset
    assert len(progress) == 0


@given(SIZES, st.data())
def test_lost_runs_are_taken_back_with_all_after_them(sizes: list[tuple[int, int]], data: st.DataObject) -> None:
    progress, delivered = Progress(1), runs(*sizes)
    for run in delivered:
        progress.deliver(run)
        run.taken, run.acked = data.draw(st.booleans()), data.draw(st.booleans())
    first = next((i for i, r in enumerate(delivered) if not r.acked and not r.taken), None)
    epoch = progress.epoch
    position = progress.take_back_lost()
    if first is None:
        assert (position, progress.epoch, progress.position) == (None, epoch, delivered[-1].next_offset)
        assert not any(r.dropped for r in delivered)
        return
    assert position == progress.position == delivered[first].first_offset
    assert progress.epoch > epoch
    assert [r.dropped for r in delivered] == [i >= first for i in range(len(delivered))]
    for run in delivered:
        run.acked = True  # a late acknowledgement of what was taken back counts for nothing
    assert progress.safe_offset() == (delivered[first - 1].next_offset if first else None)


def test_moving_gives_up_what_was_delivered() -> None:
    progress, (a, b, c) = Progress(1), runs((0, 10), (0, 10), (0, 10))
    progress.deliver(a)
    progress.deliver(b)
    a.acked = True
    progress.move(5)
    assert (a.dropped, b.dropped) == (False, True) or (a.dropped and b.dropped)
    b.acked = True
    assert (progress.safe_offset(), progress.position, len(progress)) == (None, 5, 0)
    progress.deliver(c)
    c.acked = True
    assert progress.safe_offset() == 30


def test_coming_back_after_the_position_was_moved_by_others() -> None:
    progress, (a,) = Progress(1), runs((3, 10))
    assert (progress.again(), progress.epoch) == (None, 0)
    progress.deliver(a)
    assert (progress.again(), progress.epoch) == (13, 1)
    a.acked = True
    assert progress.safe_offset() == 13
