"""The merger by its messages alone: what comes again, what comes late, and a topic that gets more partitions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.shares import Message, Progress, Share
from monitor.window_merger import WindowMerger
from monitor.window_state import OpenWindow, encode
from tests.monitor.test_windows import PLAN


def share(partition: int, index: int, rows: int, model: str = "m") -> Share:
    return Share(partition, index, model, rows, encode(OpenWindow(rows=rows), PLAN.baseline))


def here(partition: int, horizon: int, *, idle: bool = False) -> Progress:
    return Progress(partition, horizon, idle)


class Merging:
    """A merger that is made anew from what was stored before every message."""

    def __init__(self, partitions: int) -> None:
        self.stored: dict[str, bytes] = {}
        self.partitions = partitions
        self.late_rows = 0

    def take(self, *messages: Message) -> list[tuple[int, int]]:
        """Closed windows as (index, rows)."""
        closed = []
        for message in messages:
            merger = WindowMerger(PLAN, self.partitions)
            merger.restore(self.stored)
            closed += [(round(w.start_ts / PLAN.size_s), w.rows) for w in merger.take(message)]
            for key, blob in merger.delta().items():
                if blob is None:
                    self.stored.pop(key, None)
                else:
                    self.stored[key] = blob
            assert merger.delta() == {}
            self.late_rows = merger.late_rows
        return closed


def test_the_newest_share_of_a_partition_replaces_the_others() -> None:
    merging = Merging(2)
    assert merging.take(share(0, 0, 3), share(0, 0, 5), share(1, 0, 1), share(1, 0, 1), here(0, 1)) == []
    assert merging.take(here(1, 1)) == [(0, 6)]
    assert merging.take(share(0, 0, 5), share(1, 0, 9), here(0, 1), here(1, 1)) == []
    assert merging.late_rows == 0


def test_rows_that_come_late_are_counted_once_however_often_they_come() -> None:
    """The partition was idle when the window was closed: of its share, only what was not in it is late."""
    merging = Merging(2)
    merging.take(share(1, 0, 2), here(1, 0, idle=True), share(0, 0, 3))
    assert merging.take(here(0, 1)) == [(0, 5)]
    late = [share(1, 0, 2), share(1, 0, 6), share(1, 0, 6), share(1, 0, 6, "n")]
    assert merging.take(*late) == []
    assert merging.late_rows == 4 + 6
    merging.take(*late[1:], here(1, 0), *late[1:])
    assert merging.late_rows == 10
    merging.take(here(1, 1), *late, here(1, 1))
    assert merging.late_rows == 10
    assert set(merging.stored) == {"progress"}


def test_new_partitions_are_waited_for() -> None:
    """The topic has more than when the state was saved: none of its windows closes before they have spoken."""
    merging = Merging(1)
    assert merging.take(share(0, 0, 1), here(0, 1)) == [(0, 1)]
    merging.partitions = 3
    assert merging.take(share(0, 1, 1), here(0, 2), share(2, 1, 4), here(2, 2)) == []
    assert merging.take(here(1, 5)) == [(1, 5)]
    assert merging.late_rows == 0


def test_partitions_that_this_worker_has_not_heard_of_are_waited_for_as_well() -> None:
    """Another worker started after the topic grew; and a worker that counts fewer must not close without them."""
    merging = Merging(1)
    assert merging.take(share(0, 0, 1), share(2, 0, 2), here(2, 0), here(0, 1)) == []
    assert merging.take(here(2, 1)) == []
    assert merging.take(here(1, 0, idle=True)) == [(0, 3)]


@given(st.data())
def test_messages_that_are_sent_again_change_nothing(data: st.DataObject) -> None:
    """Each partition's topic is in order, and any of its senders may begin again anywhere behind."""
    partitions = data.draw(st.integers(1, 3))
    logs: list[list[Message]] = []
    for partition in range(partitions):
        log: list[Message] = []
        for index in range(data.draw(st.integers(0, 4))):
            if rows := data.draw(st.integers(0, 5)):
                log.append(share(partition, index, rows))
            log.append(here(partition, index + 1))
        logs.append([*log, here(partition, 10)])
    once, again = Merging(partitions), Merging(partitions)
    plain = once.take(*(message for log in logs for message in log))
    at, disturbed = [0] * partitions, list[tuple[int, int]]()
    while waiting := [p for p in range(partitions) if at[p] < len(logs[p])]:
        partition = data.draw(st.sampled_from(waiting))
        begin = max(at[partition] - data.draw(st.integers(0, 3)), 0)
        at[partition] += 1
        disturbed += again.take(*logs[partition][begin : at[partition]])
    assert disturbed == plain
    assert again.late_rows == once.late_rows == 0
