"""The journal: the chunks that are left tell the latest state of everyone who is left, and are not many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.batch import BoolArray, IntArray
from detectors.clients import Clients
from detectors.journal import Journal

CHUNK = 400
#: Bytes of a client with short values, about, next to these, and of a value; values of a client.
RECORD = 15
VALUE = 3
MOST = 8


class Kept:
    """Clients, each with its latest values, and the journal over them."""

    def __init__(self) -> None:
        self.clients = Clients()
        self.values: dict[int, list[int]] = {}
        self.unsaved: Counter[int] = Counter()
        self.journal = Journal(self._store, self._weigh, self._saved, CHUNK)

    def set(self, names: Sequence[str], value: int, *, anew: bool = False) -> None:
        """Add a value; or begin ``anew`` with it."""
        slots = np.unique(self.clients.open(names))
        for slot in slots.tolist():
            self.values[slot] = [*([] if anew else self.values.get(slot, [])), value][-MOST:]
            self.unsaved[slot] = 1 if anew else min(self.unsaved[slot] + 1, MOST)
        if anew:
            self.journal.renew(slots)
        self.journal.touch(slots, self.clients.slots)

    def forget(self, names: Sequence[str]) -> None:
        known = [name for name in dict.fromkeys(names) if name in self.clients]
        self.journal.drop(self._forget(known), known)

    def restore(self, chunks: dict[str, bytes]) -> None:
        for name in sorted(chunks):
            forgotten, stored = msgspec.msgpack.decode(
                chunks[name], type=tuple[list[str], dict[str, tuple[bool, list[int]]]]
            )
            gone = self._forget(forgotten)
            known = {client: found for client, found in stored.items() if found[0] or client in self.clients}
            slots = self.clients.open(list(known))
            for slot, (whole, values) in zip(slots.tolist(), known.values(), strict=True):
                self.values[slot] = [*([] if whole else self.values[slot]), *values][-MOST:]
            wholes = np.array([whole for whole, _ in known.values()], dtype=np.bool_)
            self.journal.restored(name, len(chunks[name]), gone, slots, wholes)

    def said(self) -> dict[str, list[int]]:
        return {name: self.values[slot] for name, slot in zip(self.clients, self.clients.all().tolist(), strict=True)}

    def nbytes(self) -> int:
        """Of all clients, stored as a whole."""
        slots = self.clients.all()
        return int(self._weigh(slots)[0].sum())

    def _forget(self, names: Sequence[str]) -> IntArray:
        slots = self.clients.forget(names)
        for slot in slots.tolist():
            self.values.pop(slot)
            self.unsaved.pop(slot, None)
        return slots

    def _store(self, slots: IntArray, whole: BoolArray, gone: Sequence[str]) -> bytes:
        stored = {
            name: (all_, self.values[slot][-n:] if n else [])
            for name, slot, all_, n in zip(
                self.clients.names(slots), slots.tolist(), whole.tolist(), self._counts(slots, whole), strict=True
            )
        }
        return msgspec.msgpack.encode((gone, stored))

    def _counts(self, slots: IntArray, whole: BoolArray) -> list[int]:
        each = zip(slots.tolist(), whole.tolist(), strict=True)
        return [len(self.values[slot]) if all_ else self.unsaved[slot] for slot, all_ in each]

    def _weigh(self, slots: IntArray) -> tuple[IntArray, IntArray]:
        every = np.ones(len(slots), dtype=np.bool_)
        whole, more = (np.array(self._counts(slots, of), dtype=np.int64) for of in (every, ~every))
        return RECORD + VALUE * whole, RECORD + VALUE * more

    def _saved(self, slots: IntArray) -> None:
        for slot in slots.tolist():
            self.unsaved[slot] = 0


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
STEPS = st.lists(st.tuples(st.sampled_from(["set", "set", "anew", "forget", "delta", "restart"]), NAMES), max_size=60)


@settings(max_examples=150)
@given(steps=STEPS)
def test_the_chunks_tell_the_state_at_the_last_delta(steps: list[tuple[str, list[str]]]) -> None:
    kept, store, ever = Kept(), dict[str, bytes](), set[str]()
    for i, (what, names) in enumerate(steps):
        if what in {"set", "anew"}:
            kept.set(names, i, anew=what == "anew")
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
    written = wholes = 0
    for step in range(1000):
        names = [f"client:{i}" for i in rng.integers(0, 2000, 50)]
        kept.set(names, step % 100)
        written += take(store, kept.journal.delta(), ever)
        said = kept.said()
        wholes += sum(RECORD + VALUE * len(said[name]) for name in set(names))
        # while clients grow fast, as at first, cleaning is a little behind
        assert sum(map(len, store.values())) <= (2.9 if step < 400 else 2.6) * kept.nbytes() + 4 * CHUNK
    assert written <= 0.8 * wholes
    assert max(map(len, store.values())) <= 1.1 * CHUNK


def test_of_clients_who_were_stored_additions_are_stored() -> None:
    """And they anew when their chunk is cleaned away."""
    kept, store, ever = Kept(), dict[str, bytes](), set[str]()
    names = [f"client:{i}" for i in range(10)]
    for step in range(MOST):
        kept.set(names, step)
    first = take(store, kept.journal.delta(), ever)
    each = [0]
    for step in range(20):
        kept.set(names, step)
        each.append(take(store, kept.journal.delta(), ever))
    assert min(each[1:]) < 0.7 * first
    assert max(each[1:]) <= 2.0 * first
    assert sum(each) < 0.8 * 20 * first


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
    assert sum(map(len, store.values())) <= 2.5 * kept.nbytes() + 3 * CHUNK


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
    assert again.said() == {"client:a": [2]}


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
