"""From links to groups: what is evidence and what is not, whoever said it first, and after any restart."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from group_traffic import SIZE_S, chain, link
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.band_entries import Link
from detectors.finding import Severity
from detectors.fingerprints import Fingerprints, View
from detectors.group_finding import group_finding
from detectors.groups import GROWN, Group, Groups

VIEWS = (View(0.01, 1e-7, differs=False),)


def ledger(slots: int = 60, rows_per_client_day: float = 1000.0, budget: float = 0.01) -> Groups:
    return Groups(VIEWS, rows_per_client_day, budget, slots, SIZE_S)


@pytest.mark.parametrize("accounts", [20, 200, 2000])
def test_one_row_of_each_account_is_enough(accounts: int) -> None:
    (found,) = ledger().take(0, 5000, chain(accounts, 0.0, 50.0 / accounts))
    assert found.members == tuple(f"client:a{i}" for i in range(1, accounts - 1))  # the ends met one other each
    assert found.e_value >= found.threshold


def test_a_pair_is_no_group_however_often_it_meets() -> None:
    """Two cameras over one scene: many links, two accounts."""
    rows = [(f"client:{i % 2}", f"e{i}", i * 0.1) for i in range(400)]
    assert ledger().take(0, 10_000, [link(*b, a) for a, b in pairwise(rows)]) == []


def test_few_accounts_in_much_traffic_may_be_chance() -> None:
    assert ledger().take(0, 1000, chain(4, 0.0)) != []
    assert ledger().take(0, 10_000_000, chain(4, 0.0)) == []


def test_rows_of_the_same_accounts_are_no_further_evidence() -> None:
    once = ledger().take(0, 1000, chain(5, 0.0))
    many = [link(f"client:a{i % 5}", f"x{i}", 10.0 + i * 0.01, ("client:a0", "a-0", 0.0), kept=32) for i in range(100)]
    (group,) = ledger().take(0, 1000, [*chain(5, 0.0), *many])
    assert group.e_value < once[0].e_value


def test_who_sends_much_else_is_not_named() -> None:
    """An honest client of whom one row in 32 is near those of a group: somebody sends copies of what it will send."""
    near = link("client:honest", "h", 50.0, ("client:a3", "a-3", 3.0), kept=32)
    (group,) = ledger().take(0, 1000, [*chain(10, 0.0), near])
    assert "client:honest" not in group.members
    assert len(group.members) == 8


@pytest.mark.parametrize(
    ("others", "own_rows", "named"), [((3,), 1, False), ((3, 4), 1, True), ((3,), 2, True), ((3, 3), 1, False)]
)
def test_whoever_met_one_row_of_one_account_once_is_not_named(
    others: tuple[int, ...], own_rows: int, named: bool
) -> None:
    """It may be chance, or somebody sent that row to have it named."""
    near = [link("client:one", f"o{own}", 50.0, (f"client:a{i}", f"a-{i}", float(i))) for i in others
            for own in range(own_rows)]  # fmt: skip
    (group,) = ledger().take(0, 1000, [*chain(10, 0.0), *near])
    assert ("client:one" in group.members) == named


def test_a_known_group_is_spoken_of_again_when_it_has_grown() -> None:
    groups = ledger()
    (first,) = groups.take(0, 1000, chain(20, 0.0))
    assert groups.take(1, 1000, chain(21, 0.0)[19:]) == []
    grown = chain(20 + round(20 * GROWN), 0.0, 1.0)[19:]
    (again,) = groups.take(2, 1000, grown)
    assert again.name == first.name
    assert again.members[:18] == first.members
    assert again.fresh == len(again.members) - 18 == 2


def test_what_is_older_than_the_memory_is_forgotten() -> None:
    groups = ledger(slots=2)
    assert groups.take(0, 1000, chain(3, 0.0, 1.0, "x")[:1]) == []
    late = [link(f"client:y{i}", f"y{i}", 200.0 + i, ("client:x0", "x-0", 0.0)) for i in range(2)]
    assert groups.take(3, 1000, late[:1]) == []
    assert set(groups.slots()) == {3}


def everything(groups: list[Group]) -> list[tuple[object, ...]]:
    return [(g.name, g.members, g.fresh, g.rows, g.links, g.e_value, g.threshold) for g in groups]


@st.composite
def linked(draw: st.DrawFn) -> list[list[Link]]:
    """Links of four slots, between rows of a few accounts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = [(f"client:{rng.integers(12)}", f"e{i}", float(ts)) for i, ts in enumerate(np.sort(rng.uniform(0, 240, 60)))]
    slots: list[list[Link]] = [[], [], [], []]
    for i in range(1, len(rows)):
        for j in rng.integers(max(i - 6, 0), i, size=2).tolist():
            if rows[i][0] != rows[j][0] and rng.random() < 0.7:
                slots[int(rows[i][2] // SIZE_S)].append(link(*rows[i], rows[j], differs=bool(rng.random() < 0.5)))
    return slots


@given(linked(), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_the_order_of_links_changes_nothing(slots: list[list[Link]], random: object) -> None:
    one, other = ledger(2), ledger(2)
    for slot, links in enumerate(slots):
        mixed = links + links[::2]
        random.shuffle(mixed)  # type: ignore[attr-defined]  # hypothesis' own Random
        assert everything(one.take(slot, 500, links)) == everything(other.take(slot, 500, mixed))


@given(linked(), st.integers(0, 3))
@settings(max_examples=40)
def test_restoring_changes_nothing(slots: list[list[Link]], at: int) -> None:
    one, other = ledger(3), ledger(3)
    for slot, links in enumerate(slots):
        if slot == at:
            kept, known = other.slots(), other.known
            other = ledger(3)
            other.restore(kept, known)
        assert everything(one.take(slot, 500, links)) == everything(other.take(slot, 500, links))


def test_the_finding_names_members_and_what_met() -> None:
    (group,) = ledger().take(0, 5000, [*chain(30, 0.0), link("client:z", "z", 40.0, ("client:a2", "a-2", 2.0))])
    finding = group_finding(Fingerprints.info, "m", "", group)
    assert finding.subject.scope == "group"
    assert finding.subject.members == group.members
    assert finding.severity is Severity.MEDIUM
    assert finding.technique == "AML.T0043.001"
    assert finding.ts == finding.last_seen == 40.0
    assert len(finding.evidence["events"]) == len(finding.evidence["links"]) == 20
    assert finding.evidence["links"][-1] == ["z", "a-2", 0.001]


def test_answers_that_differ_weigh_more() -> None:
    links = [link(x.client, x.event, x.ts, (x.earlier_client, x.earlier_event, x.earlier_ts), differs=i % 4 == 0)
             for i, x in enumerate(chain(30, 0.0))]  # fmt: skip
    (group,) = ledger().take(0, 5000, links)
    assert group_finding(Fingerprints.info, "m", "", group).severity is Severity.HIGH
