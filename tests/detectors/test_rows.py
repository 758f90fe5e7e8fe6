"""Slots and rows: clients keep theirs, rows know their order, and nothing is measured twice."""

from __future__ import annotations

import numpy as np
from row_traffic import TABLE, batch

from detectors.alone import Alone
from detectors.clients import Clients
from detectors.kernels.compiled import kernel
from detectors.rate import Rate


def test_a_slot_is_used_again_by_a_stranger() -> None:
    clients = Clients()
    assert clients.open(["a", "b", "a", "c"]).tolist() == [0, 1, 0, 2]
    assert clients.forget(["b", "nobody", "b"]).tolist() == [1]
    assert clients.find(["a", "b", "c"]).tolist() == [0, -1, 2]
    assert clients.open(["d", "b"]).tolist() == [1, 3]
    assert clients.names(np.array([3, 1])) == ["b", "d"]
    assert (len(clients), clients.slots, clients.text) == (4, 4, 4)


def test_rows_lie_by_client_in_arrival_order() -> None:
    clients = Clients()
    clients.open(["z", "y", "x"])
    rows = clients.rows(batch(np.zeros((6, 6)), ["x", "z", "x", "y", "z", "x"], TABLE))
    assert rows.order.tolist() == [1, 4, 3, 0, 2, 5]
    assert rows.begins.tolist() == [0, 2, 3, 6]
    assert rows.clients.tolist() == [0, 1, 2]
    assert rows.up_to(4).slots.tolist() == rows.slots[[1, 4]].tolist()
    assert rows.up_to(4).batch.ids == tuple(rows.batch.ids[i] for i in (1, 4))
    nobody = rows.take(np.empty(0, dtype=np.int64))
    assert (nobody.begins.tolist(), len(nobody.clients)) == ([0], 0)


def test_each_row_is_measured_once() -> None:
    x = np.arange(12.0).reshape(6, 2)
    rows = Clients().rows(batch(x, ["a"] * 6, (2,)))
    seen: list[float] = []

    def first(some: np.ndarray) -> np.ndarray:
        seen.extend(some[:, 0].tolist())
        return some[:, 0] * 10.0

    assert rows.measured("first", np.array([1, 4]), first).tolist() == [20.0, 80.0]
    assert rows.measured("first", np.array([1, 2, 4]), first).tolist() == [20.0, 40.0, 80.0]
    later = rows.take(np.array([5, 4]))
    assert later.measured("first", np.array([0, 1]), first).tolist() == [100.0, 80.0]
    assert sorted(seen) == [2.0, 4.0, 8.0, 10.0]
    assert rows.measured("other", np.array([0]), lambda some: some[:, 1]).tolist() == [1.0]


def test_ids_of_any_characters_are_told_apart() -> None:
    """Fingerprints of ids outside ASCII, lone surrogates included, are the same alone and among others."""
    ids = ("é", "a", "\ud800", "日本", "")
    rows = batch(np.zeros((5, 6)), ["client:a"] * 5, TABLE)
    whole, parted = Alone(Rate({"log2_hz": np.array(0.0)})), Alone(Rate({"log2_hz": np.array(0.0)}))
    named = batch(np.zeros((5, 6)), ["client:a"] * 5, TABLE)
    object.__setattr__(named, "ids", ids)
    whole.learn(named)
    for row in range(len(rows)):
        parted.learn(named.take(np.array([row])))
    assert whole.snapshot() == parted.snapshot()
    assert whole.history("client:a")["requests"].tolist() == [4]


def test_kernels_work_where_nothing_can_be_kept() -> None:
    """Source that lies in no folder has no place for compiled code, as on a read-only disk."""
    space: dict[str, object] = {}
    exec(compile("def twice(x):\n    return 2 * x\n", "<nowhere>", "exec"), space)
    assert kernel(space["twice"])(21) == 42  # type: ignore[operator,arg-type]  # exec gives objects
