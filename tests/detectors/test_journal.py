"""The journal: the chunks that are left tell the latest state of everyone who is left, and are not many."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.batch import IntArray
from detectors.clients import Clients
from detectors.journal import Journal

CHUNK = 400
RECORD = 20


class Kept:
    """Clients, each with one value, and the journal over them."""

    def __init__(self) -> None:
        self.clients = Clients()
        self.values: dict[int, int] = {}
        self.journal = Journal(self._store, lambda slots: np.full(len(slots), RECORD), CHUNK)

    def set(self, names: Sequence[str], value: int) -> None:
        slots = self.clients.open(names)
        self.values |= dict.fromkeys(slots.tolist(), value)
        self.journal.touch(np.unique(slots), self.clients.slots)

    def forget(self, names: Sequence[str]) -> None:
        known = [name for name in dict.fromkeys(names) if name in self.clients]
        self.journal.drop(self.clients.forget(known), known)

    def restore(self, chunks: dict[str, bytes]) -> None:
        known: set[str] = set()
        for name in sorted(chunks, reverse=True):
            gone, stored = msgspec.msgpack.decode(chunks[name], type=tuple[list[str], dict[str, int]])
            new = {client: value for client, value in stored.items() if client not in known}
            known |= {*stored, *gone}
            slots = self.clients.open(list(new))
            self.values |= dict(zip(slots.tolist(), new.values(), strict=True))
            self.journal.restored(name, len(chunks[name]), slots)

    def said(self) -> dict[str, int]:
        return {name: self.values[slot] for name, slot in zip(self.clients, self.clients.all().tolist(), strict=True)}

    def _store(self, slots: IntArray, gone: Sequence[str]) -> bytes:
        stored = {name: self.values[slot] for name, slot in zip(self.clients.names(slots), slots.tolist(), strict=True)}
        return msgspec.msgpack.encode((gone, stored))


def take(store: dict[str, bytes], delta: dict[str, bytes | None], ever: set[str]) -> int:
    """Apply a delta as the store does; bytes written."""
    written = 0
    for name, chunk in delta.items():
        if chunk is None:
            del store[name]
        else:
            assert name not in ever
            ever.add(name)
            store[name] = chunk
            written += len(chunk)
    return written


NAMES = st.lists(st.integers(0, 60).map(lambda i: f"client:{i}"), max_size=40)
STEPS = st.lists(st.tuples(st.sampled_from(["set", "set", "forget", "delta", "restart"]), NAMES), max_size=60)


@settings(max_examples=150)
@given(steps=STEPS)
def test_the_chunks_tell_the_state_at_the_last_delta(steps: list[tuple[str, list[str]]]) -> None:
    kept, store, ever = Kept(), dict[str, bytes](), set[str]()
    for i, (what, names) in enumerate(steps):
        if what == "set":
            kept.set(names, i)
        elif what == "forget":
            kept.forget(names)
        else:
            take(store, kept.journal.delta(), ever)
            again = Kept()
            again.restore(store)
            assert again.said() == kept.said()
            if what == "restart":
                kept = again


def test_all_chunks_stay_within_a_few_times_the_live_state_and_work_within_what_changed() -> None:
    rng = np.random.default_rng(1)
    kept, store, ever = Kept(), dict[str, bytes](), set[str]()
    kept.set([f"client:{i}" for i in range(2000)], 0)
    take(store, kept.journal.delta(), ever)
    written = 0
    for step in range(400):
        kept.set([f"client:{i}" for i in rng.integers(0, 2000, 50)], step)
        written += take(store, kept.journal.delta(), ever)
        assert sum(map(len, store.values())) <= 2.6 * 2000 * RECORD + 4 * CHUNK
    assert written <= 3.0 * 400 * 50 * RECORD
    assert max(map(len, store.values())) <= 1.1 * CHUNK


def test_when_most_are_forgotten_the_chunks_go_too_and_nobody_comes_back() -> None:
    kept, store, ever = Kept(), dict[str, bytes](), set[str]()
    names = [f"client:{i}" for i in range(2000)]
    kept.set(names, 0)
    take(store, kept.journal.delta(), ever)
    kept.forget(names[20:])
    for step in range(60):
        kept.set(names[:1], step)
        take(store, kept.journal.delta(), ever)
        again = Kept()
        again.restore(store)
        assert again.said() == kept.said()
    assert sum(map(len, store.values())) <= 2.5 * 20 * RECORD + 3 * CHUNK


def test_chunks_are_no_larger_than_a_log_takes_whatever_the_keys_are() -> None:
    kept, store, ever = Kept(), dict[str, bytes](), set[str]()
    names = [f"client:{i}:" + "x" * 30 for i in range(100)]
    kept.set(names, 1)
    take(store, kept.journal.delta(), ever)
    kept.forget(names)
    kept.set(["client:a"], 2)
    take(store, kept.journal.delta(), ever)
    assert max(map(len, store.values())) <= 1.2 * CHUNK
    again = Kept()
    again.restore(store)
    assert again.said() == {"client:a": 2}


def test_nothing_new_is_nothing_to_store() -> None:
    kept = Kept()
    assert kept.journal.delta() == {}
    kept.set(["client:a"], 1)
    kept.forget(["client:a"])
    assert kept.journal.delta() == {}
    kept.set(["client:a"], 1)
    assert len(kept.journal.delta()) == 1
    assert kept.journal.delta() == {}


def test_many_tiny_deltas_leave_few_chunks() -> None:
    kept, store, ever = Kept(), dict[str, bytes](), set[str]()
    for step in range(1000):
        kept.set(["client:a"], step)
        take(store, kept.journal.delta(), ever)
    assert len(store) <= 220
