"""The fold of a changelog: what was committed last counts, whoever wrote it, whatever has been compacted away."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.changelog_fold import Commit, Fold, Gone, Key, Marker, Part, encode_entry

SCOPE = "events/3"
#: Key, value, and who buries it.
Log = list[tuple[bytes, bytes | None, str]]


@dataclass
class Owner:
    """Writes like ``Changelog``: values, a commit, and then burials of what it replaced."""

    log: Log
    epoch: str
    scope: str = SCOPE
    number: int = 0
    keys: dict[str, list[bytes]] = field(default_factory=dict)
    state: dict[str, bytes] = field(default_factory=dict)
    committed: bytes | None = None
    garbage: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.put(Marker())
        fold = folded(self.log, self.scope)
        self.keys = {name: value.keys for name, value in fold.live.items()}
        self.state = {name: value.blob for name, value in fold.live.items()}
        self.garbage = fold.garbage()

    def put(self, entry: Marker | Part | Gone | Commit) -> bytes:
        self.number += 1
        key = Key(self.scope, self.epoch, self.number).encode()
        self.log.append((key, encode_entry(entry), ""))
        return key

    def save(self, changes: dict[str, bytes | None], offset: int, *, commits: bool = True, buries: bool = True) -> None:
        keys, superseded = dict(self.keys), list[bytes]()
        for name, blob in changes.items():
            superseded += keys.pop(name, [])
            if blob is None:
                superseded.append(self.put(Gone(name)))
            else:
                pieces = [blob[at : at + 2] for at in range(0, len(blob), 2)] or [b""]
                keys[name] = [self.put(Part(name, n, len(pieces), piece)) for n, piece in enumerate(pieces)]
        if not commits:
            return
        commit = self.put(Commit(offset, len(keys)))
        self.state = {n: b for n, b in (self.state | changes).items() if b is not None}
        self.garbage += superseded + ([self.committed] if self.committed else [])
        self.keys, self.committed = keys, commit
        if buries:
            self.log += [(key, None, self.epoch) for key in self.garbage]
            self.garbage = []


def folded(log: Log, scope: str = SCOPE) -> Fold:
    fold = Fold(scope)
    for key, value, by in log:
        fold.feed(key, value, by)
    return fold


def state(fold: Fold) -> dict[str, bytes]:
    return {name: value.blob for name, value in fold.live.items()}


def compacted(log: Log, upto: int, *, burials_too: bool) -> Log:
    """The log as a broker may leave it: of the first ``upto`` records only each key's newest; perhaps no burials."""
    newest = {key: at for at, (key, _, _) in enumerate(log[:upto])}
    kept = [entry for at, entry in enumerate(log[:upto]) if newest[entry[0]] == at]
    return [entry for entry in kept if entry[1] is not None or not burials_too] + log[upto:]


def test_a_save_without_its_commit_does_not_count() -> None:
    log: Log = []
    one = Owner(log, "a")
    one.save({"x": b"12345", "y": b""}, 10)
    one.save({"x": b"torn", "y": None}, 20, commits=False)
    fold = folded(log)
    assert (state(fold), fold.next_offset, fold.missing) == ({"x": b"12345", "y": b""}, 10, 0)
    assert state(folded(log, "events/4")) == {}


def test_a_former_owner_cannot_change_anything_after_the_marker() -> None:
    log: Log = []
    old = Owner(log, "a")
    old.save({"x": b"old", "y": b"old"}, 10)
    new = Owner(log, "b")
    old.save({"x": b"stale", "y": None}, 99)
    new.save({"x": b"new"}, 12)
    old.save({"z": b"stale"}, 100)
    fold = folded(log)
    assert (state(fold), fold.next_offset) == ({"x": b"new", "y": b"old"}, 12)


def test_what_is_missing_is_noticed() -> None:
    log: Log = []
    Owner(log, "a").save({"x": b"1", "y": b"2"}, 10)
    assert folded([entry for entry in log if b"x" not in (entry[1] or b"")]).missing == 1


names = st.sampled_from(["x", "y", "z"])
changes = st.dictionaries(names, st.none() | st.binary(max_size=7), max_size=3)
saves = st.lists(st.tuples(changes, st.sampled_from(["save", "save", "torn", "lazy", "takeover"])), max_size=14)


@settings(max_examples=200)
@given(saves, st.floats(0, 1), st.booleans())
def test_the_last_commit_counts_however_the_log_was_compacted(
    steps: list[tuple[dict[str, bytes | None], str]], cleaned: float, burials_too: bool
) -> None:
    """Takeovers, torn saves and burials that come late or never: reader and owner agree, before and after cleaning."""
    log: Log = []
    owner, offset = Owner(log, "0"), None
    for n, (change, kind) in enumerate(steps):
        if kind == "torn":
            owner.save(change, n + 1, commits=False)
            owner = Owner(log, f"t{n}")  # it died; somebody takes over
        elif kind == "takeover":
            owner = Owner(log, f"o{n}")
        else:
            offset = n + 1
            owner.save(change, offset, buries=kind == "save")
        fold = folded(log)
        assert (state(fold), fold.next_offset, fold.missing) == (owner.state, offset, 0)
    cleaned_log = compacted(log, int(cleaned * len(log)), burials_too=burials_too)
    again = folded(cleaned_log)
    assert (state(again), again.next_offset, again.missing) == (owner.state, offset, 0)
    heir = Owner(cleaned_log, "heir")
    heir.save({"w": b"heir"}, 1000)
    final = folded(compacted(cleaned_log, len(cleaned_log), burials_too=True))
    assert (state(final), final.next_offset) == (owner.state | {"w": b"heir"}, 1000)
