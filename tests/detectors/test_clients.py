"""Clients have slots, as a dictionary and a list of free ones would give them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.clients import Clients
from detectors.kernels.slots import EMPTY, enter, find, leave

NAMES = st.lists(st.integers(0, 80).map(lambda i: f"client:{i}"), max_size=60)
STEPS = st.lists(st.tuples(st.booleans(), NAMES), max_size=30)


@given(STEPS)
def test_each_client_has_a_slot_of_its_own_for_as_long_as_it_is_known(steps: list[tuple[bool, list[str]]]) -> None:
    clients, expected, slots = Clients(), dict[str, int](), 0
    for come, names in steps:
        if come:
            found = clients.open(names)
            for name, slot in zip(names, found.tolist(), strict=True):
                assert expected.setdefault(name, slot) == slot
        else:
            freed = [expected.pop(name) for name in dict.fromkeys(names) if name in expected]
            assert clients.forget(names).tolist() == freed
        slots = max(slots, len(expected))
        assert len(set(expected.values())) == len(expected) == len(clients)
        assert dict(zip(clients, clients.all().tolist(), strict=True)) == expected
        assert clients.slots == slots  # those that are free are used again
        assert clients.text == sum(map(len, expected))
        asked = [*names, "client:never"]
        assert clients.find(asked).tolist() == [expected.get(name, -1) for name in asked]
        assert [name in clients for name in asked] == [name in expected for name in asked]


def test_slots_are_given_in_the_order_in_which_clients_come() -> None:
    clients = Clients()
    assert clients.open(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
    assert clients.forget(["a", "nobody", "a"]).tolist() == [1]
    assert clients.open(["d", "e", "a"]).tolist() == [1, 3, 4]
    assert clients.names(np.array([1, 2])) == ["d", "c"]


@given(st.lists(st.integers(0, 30), unique=True, max_size=15), st.data())
def test_a_full_table_finds_all_that_are_there_and_no_others(keys: list[int], data: st.DataObject) -> None:
    """Sixteen places: searches run into one another, and round the end."""
    table = np.full((16, 2), EMPTY, dtype=np.int64)
    enter(np.array(keys, dtype=np.int64), np.arange(len(keys)), table)
    gone = data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    leave(np.array(gone, dtype=np.int64), table)
    out = np.empty(31, dtype=np.int64)
    find(np.arange(31), table, out)
    assert out.tolist() == [keys.index(key) if key in keys and key not in gone else -1 for key in range(31)]
