"""Pieces of windows from several sources: what comes again, what comes late, and who is waited for."""

from __future__ import annotations

from monitor.shares import Part
from monitor.slot_merger import SlotMerger


def part(source: int, index: int, data: bytes = b"x", number: int = 0) -> Part:
    return Part(source, index, "m", number, 1, data)


def restored(merger: SlotMerger, sources: int) -> SlotMerger:
    made = SlotMerger(sources)
    made.restore({name: blob for name, blob in merger.delta().items() if blob is not None})
    return made


def test_a_window_is_handed_on_when_all_have_passed_it() -> None:
    merger = SlotMerger(2)
    for piece in (part(1, 0), part(0, 0, b"old"), part(0, 0, b"new"), part(0, 0, b"more", 1)):
        merger.add(piece)
    assert merger.reach(0, 1) == []
    merger = restored(merger, 2)
    ((index, model, parts),) = merger.reach(1, 1)
    assert (index, model, [p.data for p in parts]) == (0, "m", [b"new", b"more", b"x"])
    merger.add(part(0, 0))
    assert merger.reach(0, 1) == []
    assert merger.closed == 1


def test_who_is_idle_is_not_waited_for_and_too_late_when_it_comes_back() -> None:
    merger = SlotMerger(2)
    merger.add(part(0, 0))
    merger.reach(1, -5, idle=True)
    assert len(merger.reach(0, 1)) == 1
    merger.add(part(1, 0))
    assert merger.reach(1, 1) == []


def test_what_was_handed_on_is_no_longer_saved() -> None:
    merger = SlotMerger(1)
    merger.add(part(0, 3))
    assert [name for name, blob in merger.delta().items() if blob] == ["part/3/0/0/m"]
    merger.reach(0, 4)
    assert merger.delta()["part/3/0/0/m"] is None
