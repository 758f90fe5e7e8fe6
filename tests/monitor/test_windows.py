"""Event-time windows: the same closed windows however the stream is divided, interleaved, batched or restarted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_traffic import traffic

from detectors.batch import EventBatch
from detectors.contract import DetectorInfo, Params, Summary
from detectors.finding import Attack
from detectors.shift import ShiftDetector
from monitor.overload import PLANS, Plan
from monitor.shares import Announcer, Message, decode_message, encode_message
from monitor.window_merger import WindowMerger
from monitor.window_state import decode, encode
from monitor.windows import MAX_VERSIONS, ClosedWindow, PartitionWindows, WindowPlan

SIZE_S, GRACE_S, SAMPLE_ROWS, QUOTA = 10.0, 5.0, 4, 3
SHIFT = ShiftDetector(ShiftDetector.fit(traffic(0, rows=400)))
POOL = traffic(1, rows=100)


class Sampler:
    """A window detector that keeps rows, as adapters of other libraries do."""

    info: ClassVar[DetectorInfo] = DetectorInfo("sampler", "1", Attack.SHIFT, "", "t")
    costly: ClassVar[bool] = True

    def __init__(self, params: Params) -> None:
        pass

    @classmethod
    def fit(cls, clean: EventBatch) -> Params:
        return {}

    def summarise(self, batch: EventBatch) -> Summary:
        hashes = [int.from_bytes(hashlib.blake2b(i.encode(), digest_size=8).digest(), "little") for i in batch.ids]
        order = np.argsort(np.array(hashes, dtype=np.uint64), kind="stable")
        return Summary(len(batch), {}, np.array(hashes, dtype=np.uint64)[order], batch.x[order])

    def score(self, summary: Summary) -> float:
        return float("nan")

    def explain(self, summary: Summary) -> dict[str, Any]:
        return {}


PLAN = WindowPlan(
    detectors={"m": {"shift": SHIFT, "sampler": Sampler({})}, "n": {"shift": SHIFT}},
    size_s=SIZE_S,
    grace_s=GRACE_S,
    sample_rows=SAMPLE_ROWS,
    quotas={"m": QUOTA},
    baseline="b1",
)


@dataclass(frozen=True)
class Row:
    number: int
    ts: float
    client: int
    model: str
    version: str


def batch_of(rows: Sequence[Row]) -> EventBatch:
    """Rows of one model; what a row holds depends on its number alone."""
    picked = POOL.take(np.array([row.number % len(POOL) for row in rows]))
    return replace(
        picked,
        model=rows[0].model,
        ids=tuple(f"e{row.number}" for row in rows),
        ts=np.array([row.ts for row in rows]),
        clients=tuple(f"client:{row.client}" for row in rows),
        versions=tuple(row.version for row in rows),
        request=np.arange(len(rows)),
    )


def one_in(weight: int) -> Plan:
    return Plan(level=0, window_checks=True, windows_one_in=weight, rows_one_in=1)


class Reader:
    """Workers in small: partitions with their watermarks, a topic to one merger, checkpoints after every step.

    ``sent`` is the topic. A restart sends again what was sent since the ``again`` last messages: as after a crash
    between sending and the checkpoint.
    """

    def __init__(self, partitions: int, plan: WindowPlan = PLAN) -> None:
        self.plan = plan
        self.shares = [PartitionWindows(plan) for _ in range(partitions)]
        self.announcers = [Announcer(plan, p) for p in range(partitions)]
        self.marks = [float("-inf")] * partitions
        self.merger = WindowMerger(plan, partitions)
        self.stored: list[dict[str, bytes]] = [{} for _ in range(partitions)]
        self.stored_merger: dict[str, bytes] = {}
        self.sent: list[Message] = []
        self.closed: list[ClosedWindow] = []

    def read(self, partition: int, rows: Sequence[Row]) -> None:
        running = np.maximum.accumulate([self.marks[partition], *(row.ts for row in rows)])[1:]
        for model in sorted({row.model for row in rows}):
            mine = [i for i, row in enumerate(rows) if row.model == model]
            self.shares[partition].absorb(batch_of([rows[i] for i in mine]), running[mine])
        self.tick(partition, float(running[-1]))

    def tick(self, partition: int, ts: float, *, idle: bool = False) -> None:
        self.marks[partition] = max(self.marks[partition], ts)
        announced = self.announcers[partition].announce(self.shares[partition], self.marks[partition], idle=idle)
        self.sent += announced
        self.merge(announced)
        apply(self.stored[partition], self.shares[partition].delta())

    def merge(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.closed += self.merger.take(decode_message(encode_message(message)))
        apply(self.stored_merger, self.merger.delta())

    def restart(self, again: int = 0) -> None:
        """As after SIGKILL: nothing is left but what was stored; the last ``again`` messages arrive once more."""
        self.shares = [PartitionWindows(self.plan) for _ in self.shares]
        self.announcers = [Announcer(self.plan, p) for p in range(len(self.shares))]
        for share, stored in zip(self.shares, self.stored, strict=True):
            share.restore(stored)
        self.merger = WindowMerger(self.plan, len(self.shares))
        self.merger.restore(self.stored_merger)
        self.merge(self.sent[len(self.sent) - again :] if again else [])

    @property
    def late_rows(self) -> int:
        return sum(share.late_rows for share in self.shares) + self.merger.late_rows

    def finish(self) -> list[tuple[object, ...]]:
        for partition in range(len(self.shares)):
            self.tick(partition, 1e6)
        assert all(not stored.keys() - {"late"} for stored in self.stored)
        assert not self.stored_merger.keys() - {"progress"}
        return [exact(window) for window in self.closed]


def apply(stored: dict[str, bytes], delta: dict[str, bytes | None]) -> None:
    for key, blob in delta.items():
        if blob is None:
            stored.pop(key, None)  # opened and closed between two checkpoints
        else:
            stored[key] = blob


def exact(w: ClosedWindow) -> tuple[object, ...]:
    summaries = {
        name: (
            s.count,
            {k: (v.dtype.str, v.shape, v.tobytes()) for k, v in sorted(s.counts.items())},
            s.sample_hash.tobytes(),
            s.sample_x.tobytes(),
        )
        for name, s in sorted(w.summaries.items())
    }
    return w.end_ts, w.model, w.start_ts, w.rows, w.version, summaries


def _rows(draw: st.DrawFn, disorder_s: float) -> list[Row]:
    n = draw(st.integers(1, 40))
    step = st.floats(0.0, 6.0, allow_nan=False)
    times = np.cumsum([draw(step) for _ in range(n)])
    return [
        Row(
            i,
            float(t) - draw(st.floats(0.0, disorder_s, allow_nan=False)),
            draw(st.integers(0, 4)),
            draw(st.sampled_from(["m", "m", "n", "unknown"])),
            draw(st.sampled_from(["", "1", "2"])),
        )
        for i, t in enumerate(times)
    ]


@st.composite
def streams(draw: st.DrawFn, disorder_s: float) -> list[Row]:
    return _rows(draw, disorder_s)


def replayed(parts: list[list[Row]], order: Sequence[int], sizes: Sequence[int], restarts: Sequence[int]) -> Reader:
    """Reads the partitions in the given order of turns, so many rows a turn, restarting before the given turns."""
    reader, at, turn = Reader(len(parts)), [0] * len(parts), 0
    while any(a < len(p) for a, p in zip(at, parts, strict=True)):
        wanted = order[turn % len(order)] % len(parts)
        waiting = [p for p in range(len(parts)) if at[p] < len(parts[p])]
        partition = wanted if wanted in waiting else waiting[0]
        if turn in restarts:
            reader.restart(again=turn % 4)
        size = sizes[turn % len(sizes)]
        reader.read(partition, parts[partition][at[partition] : at[partition] + size])
        at[partition] += size
        turn += 1
    return reader


def divided(rows: list[Row], places: Sequence[int], partitions: int) -> list[list[Row]]:
    """A client's rows stay together: records are keyed by client."""
    parts: list[list[Row]] = [[] for _ in range(partitions)]
    for row in rows:
        parts[places[row.client] % partitions].append(row)
    return parts


places = st.lists(st.integers(0, 3), min_size=5, max_size=5)
turns = st.lists(st.integers(0, 3), min_size=1, max_size=8)
sizes = st.lists(st.integers(1, 12), min_size=1, max_size=5)
restarts = st.sets(st.integers(0, 40), max_size=6)


@settings(max_examples=60)
@given(streams(GRACE_S), places, st.integers(1, 4), turns, sizes, restarts)
def test_any_division_interleaving_batching_and_restarts_close_the_same_windows(
    rows: list[Row], place: list[int], partitions: int, order: list[int], size: list[int], again: set[int]
) -> None:
    """Disorder within the grace: nothing is late, and one partition read row by row says the same as any other way."""
    plain = replayed([rows], [0], [1], [])
    other = replayed(divided(rows, place, partitions), order, size, sorted(again))
    expected = plain.finish()
    assert other.finish() == expected
    assert plain.late_rows == other.late_rows == 0
    assert sum(w.rows for w in plain.closed) == sum(row.model != "unknown" for row in rows)


@settings(max_examples=60)
@given(streams(60.0), places, turns, turns, sizes, sizes, restarts)
def test_late_rows_depend_on_each_partitions_own_order_alone(
    rows: list[Row], place: list[int], o1: list[int], o2: list[int], s1: list[int], s2: list[int], again: set[int]
) -> None:
    """Disorder beyond the grace: reading order, batches and restarts change neither windows nor the count of lates."""
    parts = divided(rows, place, 3)
    first, second = replayed(parts, o1, s1, []), replayed(parts, o2, s2, sorted(again))
    assert first.finish() == second.finish()
    assert first.late_rows == second.late_rows
    kept = sum(w.rows for w in first.closed)
    assert kept + first.late_rows == sum(row.model != "unknown" for row in rows)


@settings(max_examples=60)
@given(streams(60.0), places, turns, sizes)
def test_windows_close_once_and_in_order(rows: list[Row], place: list[int], order: list[int], size: list[int]) -> None:
    reader = replayed(divided(rows, place, 3), order, size, [])
    reader.finish()
    keys = [(w.end_ts, w.model) for w in reader.closed]
    assert keys == sorted(set(keys))


def row(number: int, ts: float, client: int = 0, model: str = "m", version: str = "1") -> Row:
    return Row(number, ts, client, model, version)


def test_a_window_closes_when_every_partition_is_past_its_end_and_grace() -> None:
    reader = Reader(2)
    reader.read(0, [row(1, 3.0), row(2, 100.0)])
    reader.read(1, [row(3, 14.999, client=1)])
    assert reader.closed == []
    reader.tick(1, 15.0)
    assert [(w.start_ts, w.end_ts, w.rows) for w in reader.closed] == [(0.0, 10.0, 1)]


def test_an_empty_window_is_not_made() -> None:
    reader = Reader(1)
    reader.read(0, [row(1, 1.0), row(2, 1000.0)])
    assert len(reader.closed) == 1


def test_late_rows_are_counted_also_after_a_restart() -> None:
    reader = Reader(1)
    reader.read(0, [row(1, 1.0), row(2, 30.0), row(3, 2.0), row(4, 14.0), row(5, 29.0)])
    assert reader.late_rows == 2
    reader.restart()
    assert reader.late_rows == 2


def test_rows_of_a_partition_that_was_idle_are_counted_when_their_window_is_gone() -> None:
    """The worker left partition 1 out of the watermark; its old rows come back too late."""
    reader = Reader(2)
    reader.read(0, [row(1, 3.0), row(2, 50.0)])
    reader.tick(1, float("-inf"), idle=True)
    assert len(reader.closed) == 1
    reader.read(1, [row(3, 4.0, client=1), row(4, 41.0, client=1)])
    reader.finish()
    assert reader.late_rows == 1
    assert [(w.start_ts, w.rows) for w in reader.closed] == [(0.0, 1), (40.0, 1), (50.0, 1)]
    reader.restart()
    assert reader.late_rows == 1


def test_rows_that_an_idle_partition_had_counted_are_in_the_window() -> None:
    """It is closed without waiting; what the partition adds afterwards is late, what it had told of is not."""
    reader = Reader(2)
    reader.read(1, [row(1, 3.0, client=1), row(2, 4.0, client=1)])
    reader.tick(1, float("-inf"), idle=True)
    reader.read(0, [row(3, 50.0)])
    assert [(w.start_ts, w.rows) for w in reader.closed] == [(0.0, 2)]
    reader.restart()
    reader.read(1, [row(4, 5.0, client=1)])
    reader.finish()
    assert reader.late_rows == 1
    assert [(w.start_ts, w.rows) for w in reader.closed] == [(0.0, 2), (50.0, 1)]


def test_no_client_has_more_than_its_quota_and_all_rows_are_counted() -> None:
    reader = Reader(2)
    reader.read(0, [row(i, 1.0, client=1) for i in range(10)] + [row(10, 2.0, client=2)])
    reader.read(1, [row(i, 3.0, client=3) for i in range(11, 20)])
    reader.finish()
    window = reader.closed[0]
    assert (window.rows, window.summaries["shift"].count) == (20, QUOTA + 1 + QUOTA)
    assert len(window.summaries["sampler"].sample_x) == SAMPLE_ROWS


def test_a_sampled_row_counts_for_as_many_as_it_stands_for() -> None:
    """One row of weight 3 is what three such rows would be, in every count."""
    rows = [row(1, 1.0, 1, "n", "7"), row(2, 1.0, 2, "n", "8"), row(3, 2.0, 2, "n", "8"), row(4, 11.0, 3, "n", "8")]
    sample, whole = PartitionWindows(PLAN), PartitionWindows(PLAN)
    sample.absorb(batch_of(rows), np.array([1.0, 1.0, 100.0, 100.0]), one_in(3))
    whole.absorb(batch_of([r for r in rows for _ in range(3)]), np.repeat([1.0, 1.0, 100.0, 100.0], 3))
    (((_, _), mine), *_), (((_, _), all_rows), *_) = sample.open(), whole.open()
    assert (mine.rows, mine.versions, mine.clients) == (all_rows.rows, all_rows.versions, all_rows.clients)
    for name, summary in mine.summaries.items():
        counts = all_rows.summaries[name].counts
        assert summary.count == all_rows.summaries[name].count
        assert all(np.array_equal(values, counts[key]) for key, values in summary.counts.items())
    assert sample.late_rows == whole.late_rows
    assert sample.late_rows == 6


def test_a_quota_takes_weighted_rows_in_while_there_is_room() -> None:
    share = PartitionWindows(PLAN)
    share.absorb(batch_of([row(i, 1.0, client=1) for i in range(4)]), np.full(4, 1.0), one_in(2))
    window = dict(share.passed(1e9))[0, "m"]
    assert window is not None
    taken = -(-QUOTA // 2) * 2
    assert (window.rows, window.summaries["shift"].count, window.clients) == (8, taken, {"client:1": taken})
    assert window.summaries["shift"].counts["above"].max() == taken


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=12), min_size=1, max_size=4),
    st.integers(1, 6),
    st.integers(1, 3),
)
def test_quotas_take_each_clients_first_rows(batches: list[list[int]], quota: int, weight: int) -> None:
    """As counted row by row."""
    plan = replace(PLAN, detectors={"m": {"sampler": Sampler({})}}, sample_rows=1000, quotas={"m": quota})
    share = PartitionWindows(plan)
    taken: dict[int, int] = {}
    kept, number = [], 0
    for clients in batches:
        rows = [row(number + i, 1.0, client=c) for i, c in enumerate(clients)]
        number += len(rows)
        share.absorb(batch_of(rows), np.full(len(rows), 1.0), one_in(weight))
        for r in rows:
            if taken.get(r.client, 0) < quota:
                taken[r.client] = taken.get(r.client, 0) + weight
                kept.append(r)
    window = dict(share.passed(1e9))[0, "m"]
    assert window is not None
    assert window.clients == {f"client:{client}": n for client, n in taken.items()}
    assert window.summaries["sampler"].count == len(kept) * weight
    expected = Sampler({}).summarise(batch_of(kept))
    assert np.array_equal(window.summaries["sampler"].sample_hash, expected.sample_hash)


def test_the_quota_begins_anew_in_each_window() -> None:
    reader = Reader(1)
    reader.read(0, [row(i, 1.0) for i in range(5)] + [row(i, 11.0) for i in range(5, 10)])
    reader.finish()
    assert [w.summaries["shift"].count for w in reader.closed] == [QUOTA, QUOTA]


def test_the_commonest_version_is_named_ties_by_name() -> None:
    reader = Reader(2)
    reader.read(0, [row(1, 1.0, 0, "n", "7"), row(2, 1.0, 0, "n", "8")])
    reader.read(1, [row(3, 1.0, 1, "n", "8"), row(4, 12.0, 1, "n", "8"), row(5, 12.0, 1, "n", "7")])
    reader.finish()
    assert [w.version for w in reader.closed] == ["8", "7"]


def test_versions_without_end_do_not_fill_the_state() -> None:
    share = PartitionWindows(PLAN)
    rows = [row(i, 1.0, i, "n", f"v{i:04}") for i in range(300)]
    share.absorb(batch_of(rows), np.full(300, 1.0))
    blob = share.delta()["0/n"]
    assert blob is not None
    stored = decode(blob, "b1")
    assert stored is not None
    assert sorted(stored.versions) == [f"v{i:04}" for i in range(MAX_VERSIONS)]


def test_only_what_changed_is_stored() -> None:
    share = PartitionWindows(PLAN)
    share.absorb(batch_of([row(1, 1.0), row(2, 11.0)]), np.array([1.0, 11.0]))
    assert sorted(share.delta()) == ["0/m", "1/m"]
    assert share.delta() == {}
    share.absorb(batch_of([row(3, 12.0)]), np.array([12.0]))
    assert sorted(share.delta()) == ["1/m"]
    assert [key for key, _ in share.passed(15.0)] == [(0, "m")]
    assert share.delta() == {"0/m": None}


def test_model_names_may_hold_any_character() -> None:
    name = "1/2\x1f\udcff"
    plan = replace(PLAN, detectors={name: {"shift": SHIFT}}, quotas={})
    share = PartitionWindows(plan)
    share.absorb(batch_of([row(1, 1.0, model=name)]), np.array([1.0]))
    again = PartitionWindows(plan)
    again.restore({key: blob for key, blob in share.delta().items() if blob is not None})
    assert [key for key, _ in again.open()] == [(0, name)]


def test_windows_counted_with_another_baseline_are_dropped() -> None:
    share = PartitionWindows(PLAN)
    share.absorb(batch_of([row(1, 1.0)]), np.array([1.0]))
    other = PartitionWindows(replace(PLAN, baseline="b2"))
    other.restore({key: blob for key, blob in share.delta().items() if blob is not None})
    assert list(other.open()) == []


@pytest.mark.parametrize("damage", [b"", b"x", b"\x28\xb5\x2f\xfd" + bytes(20)])
def test_damaged_state_is_an_error(damage: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        PartitionWindows(PLAN).restore({"0/m": damage})


def test_a_wide_models_window_is_stored_small() -> None:
    """784 features by 32 edges of counts: well below the 200 KB they take in memory."""
    rng = np.random.default_rng(1)
    wide = replace(traffic(1, rows=400), x=rng.random((400, 784)).astype(np.float32), shape=(784,))
    plan = replace(PLAN, detectors={"m": {"shift": ShiftDetector(ShiftDetector.fit(wide))}})
    share = PartitionWindows(plan)
    share.absorb(replace(wide, ts=np.ones(400)), np.ones(400))
    blob = share.delta()["0/m"]
    assert blob is not None
    assert len(blob) < 50_000
    stored = decode(blob, "b1")
    assert stored is not None
    assert encode(stored, "b1") == blob


def test_a_sample_counts_for_all_and_says_how_wide_its_error_is() -> None:
    """Whole rows and a sample of one in four add up to unbiased counts; the error is that of the rows really seen."""
    share = PartitionWindows(PLAN)
    share.absorb(batch_of([row(i, 1.0, i) for i in range(40)]), np.full(40, 1.0))
    share.absorb(batch_of([row(i, 1.0, i) for i in range(40, 50)]), np.full(10, 1.0), PLANS[1])
    (((_, _), window),) = share.open()
    shift = window.summaries["shift"]
    assert (window.rows, shift.count, window.level) == (80, 80, 1)
    assert shift.spread == (40 * 1 + 10 * 16) / 80
    assert window.summaries["sampler"].count == 40  # a costly check that was left out
    again = decode(encode(window, "b1"), "b1")
    assert again is not None
    assert (again.level, again.summaries["shift"].spread) == (1, shift.spread)
