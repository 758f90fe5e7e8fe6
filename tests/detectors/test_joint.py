"""From suspicions to gangs: how much it takes, who belongs together, what is no gang, and what changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from suspect_traffic import SIZE_S, C, crowd, suspicion, together

from detectors.confidence import Confidence
from detectors.finding import Severity
from detectors.gang import Gang, KnownGang
from detectors.joint import GROWN, LEVELS, MOST_MEMBERS, SLOT_SUSPICIONS, SPAN_S, Joint
from detectors.joint_finding import joint_finding
from detectors.suspicion import Suspicion, strongest
from detectors.synthetic import Synthetic


def ledger(slots: int = 60, budget: float = 0.01) -> Joint:
    return Joint(C, budget, slots, SIZE_S)


def look(suspicions: Sequence[Suspicion], honest: int = 100, joint: Joint | None = None, slot: int = 0) -> list[Gang]:
    """All accounts are active in every slot up to the one in which the suspicions come."""
    if joint is None:
        joint, slot = ledger(), max((int(s.since_ts // SIZE_S) for s in suspicions), default=0)
        for earlier in range(slot):
            joint.take(earlier, crowd(honest, suspicions), [])
    return joint.take(slot, crowd(honest, suspicions), suspicions)


@pytest.mark.parametrize(("share", "accounts"), LEVELS)
def test_the_more_accounts_the_less_it_takes_for_each(share: float, accounts: int) -> None:
    (gang,) = look(together(accounts, share * C))
    assert gang.members == tuple(f"client:a{i:03d}" for i in range(accounts))
    assert gang.threshold == pytest.approx(share * C)
    assert look(together(accounts - 1, share * C)) == []
    assert look(together(accounts, 0.99 * share * C), honest=100) == []


def test_false_gangs_keep_to_the_budget() -> None:
    """A passing of ``share c`` happens budget / share times; a gang uses up k of them."""
    assert sum(1 / (share * accounts) for share, accounts in LEVELS if share < 1) <= 1.0


@given(st.lists(st.floats(1.0, 0.99 * LEVELS[-1][0] * C), min_size=1, max_size=60))
def test_nobody_is_named_on_little_evidence_of_its_own(e_values: list[float]) -> None:
    weak = [suspicion(f"client:weak{i}", e, 20.0 + i * 0.1) for i, e in enumerate(e_values)]
    gangs = look([*together(60, C), *weak], honest=1000)
    assert {m for gang in gangs for m in gang.members} == {s.client for s in together(60, C)}


def test_accounts_that_began_apart_are_no_gang() -> None:
    assert look(together(4, C, gap_s=61.0)) == []
    assert look(together(4, C, gap_s=59.0)) != []


def test_other_detectors_evidence_does_not_join() -> None:
    mixed = [msgspec.structs.replace(s, detector=f"d{i % 2}") for i, s in enumerate(together(6, C))]
    assert look(mixed) == []


def test_two_attacks_at_a_time_are_two_gangs() -> None:
    first, second = together(20, C), together(20, C, begin_ts=200.0, name="b")
    gangs = look([*first, *second], honest=200)
    assert [set(g.members) for g in gangs] == [{s.client for s in first}, {s.client for s in second}]


def test_what_one_detector_alone_sees_tells_attacks_apart_that_begin_at_once() -> None:
    """Both are suspected by one detector, one of them by another too."""
    first, second = together(20, C), together(20, C, begin_ts=2.0, name="b")
    also = [msgspec.structs.replace(s, detector="coverage") for s in first]
    gangs = look([*first, *second, *also], honest=200)
    assert {frozenset(g.members) for g in gangs} == {frozenset(s.client for s in each) for each in (first, second)}


def test_a_gang_does_not_go_on_for_ever() -> None:
    gangs = look(together(100, C, gap_s=10.0), honest=1000)
    for gang in gangs:
        since = [s.since_ts for s in gang.suspicions]
        assert since[-1] - since[0] <= SPAN_S
    assert len(gangs) > 2


def test_it_grows_and_keeps_its_name() -> None:
    joint, accounts = ledger(), together(22, C)
    (first,) = look(accounts[:20], joint=joint)
    assert look(accounts[:21], joint=joint, slot=1) == []
    (again,) = look(accounts, joint=joint, slot=2)
    assert (again.name, again.members[:20], again.fresh) == (first.name, first.members, 2)
    assert again.fresh == GROWN * 20


def test_evidence_that_began_anew_after_a_finding_is_the_same_attack() -> None:
    """Later suspicions of accounts that were found; others begin when these begin anew."""
    joint, old = ledger(slots=3), together(3, C)
    for slot in range(8):
        anew = [msgspec.structs.replace(s, since_ts=slot * SIZE_S, ts=slot * SIZE_S + 30.0) for s in old]
        assert look(anew, joint=joint, slot=slot) == []
    strangers = together(3, C, begin_ts=7 * SIZE_S, name="b")
    assert look([*anew, *strangers], joint=joint, slot=8) == []
    assert look([*anew, *strangers], joint=ledger(), slot=7) != []


@given(st.integers(8, 150), st.data())
@settings(max_examples=40)
def test_a_shift_of_everybody_names_nobody(accounts: int, data: st.DataObject) -> None:
    """From a time on all inputs look odd: evidence grows with each request, at each client's own pace."""
    paces = data.draw(st.lists(st.floats(5.0, 50.0), min_size=accounts, max_size=accounts))
    joint = ledger()
    for slot in range(8):
        hits = [int((slot + 1) * SIZE_S // pace) for pace in paces]
        told = [
            suspicion(f"client:h{i}", min(20.0 * 8.0 ** (n - 1), C), pace, ts=slot * SIZE_S)
            for i, (pace, n) in enumerate(zip(paces, hits, strict=True))
            if n
        ]
        assert joint.take(slot, crowd(accounts), told) == []


def test_a_gang_is_named_as_long_as_it_is_the_smaller_part() -> None:
    assert look(together(20, C), honest=21) != []
    assert look(together(20, C), honest=20) == []


def test_where_many_are_suspected_by_chance_they_must_begin_closer() -> None:
    assert look(together(4, C, gap_s=50.0), honest=1000) != []
    assert look(together(4, C, gap_s=50.0), honest=100_000) == []
    assert look(together(4, C, gap_s=5.0), honest=100_000) != []


def test_a_flood_names_nobody_and_is_not_kept() -> None:
    joint = ledger()
    flood = together(SLOT_SUSPICIONS + 1, C, gap_s=0.001)
    assert look(flood, honest=3 * SLOT_SUSPICIONS, joint=joint) == []
    assert joint.slots()[0][1] == []
    assert look(flood[: MOST_MEMBERS + 1], honest=3 * SLOT_SUSPICIONS, joint=joint, slot=1) == []


def test_what_is_older_than_the_memory_is_forgotten() -> None:
    joint = ledger(slots=2)
    look(together(4, C), joint=joint)
    look([], joint=joint, slot=2)
    assert (set(joint.slots()), joint.known) == ({2}, [])


SUSPICIONS = st.builds(
    suspicion,
    st.sampled_from([f"client:{i}" for i in range(30)]),
    st.sampled_from([25.0, C / 10, C / 4, C]),
    st.sampled_from([0.0, 3.0, 40.0, 90.0, 400.0]),
    detector=st.sampled_from(["coverage", "synthetic"]),
    ts=st.sampled_from([10.0, 20.0]),
    event=st.sampled_from(["x", "y"]),
)


@given(st.lists(SUSPICIONS, max_size=30), st.randoms())
def test_suspicions_add_up_in_any_order(suspicions: list[Suspicion], random: st.DataObject) -> None:
    mixed = suspicions[:]
    random.shuffle(mixed)  # type: ignore[attr-defined]  # a Random
    half = len(mixed) // 2
    parts = [*strongest(mixed[half:]).values(), *strongest(mixed[:half]).values()]
    assert strongest(parts) == strongest(suspicions)


@given(st.lists(st.lists(SUSPICIONS, max_size=40), min_size=1, max_size=5), st.integers(0, 5), st.randoms())
def test_order_and_a_restart_change_nothing(slots: list[list[Suspicion]], stop: int, random: st.DataObject) -> None:
    plain, other = ledger(slots=3), ledger(slots=3)
    for slot, told in enumerate(slots):
        mixed = told[:]
        random.shuffle(mixed)  # type: ignore[attr-defined]  # a Random
        if slot == stop:
            stored = msgspec.msgpack.encode(({s: kept for s, (_, kept) in other.slots().items()}, other.known))
            held, known = msgspec.msgpack.decode(stored, type=tuple[dict[int, list[Suspicion]], list[KnownGang]])
            active = {s: heads for s, (heads, _) in other.slots().items()}
            other = ledger(slots=3)
            other.restore({s: (active[s], kept) for s, kept in held.items()}, known)
        assert other.take(slot, crowd(90, mixed), mixed) == plain.take(slot, crowd(90, told), told)
    assert other.known == plain.known


def test_the_finding_says_who_and_why() -> None:
    (gang,) = look(together(50, C))
    finding = joint_finding(Synthetic.info, "m", gang)
    assert finding.subject.members == gang.members
    assert (finding.detector, finding.attack, finding.technique) == ("joint", Synthetic.info.attack, "AML.T0024.002")
    assert (finding.score, finding.threshold) == (C, C)
    assert finding.evidence["accounts"][0] == ["client:a000", C, "e-client:a000", 0.0]
    assert len(finding.evidence["accounts"]) == 40
    assert finding.evidence["events"][-1] == finding.evidence["at"] == "e-client:a049"
    assert finding.evidence["active"] == pytest.approx(150, rel=0.2)
    assert (finding.count, finding.severity) == (150, Severity.HIGH)
    thin = [msgspec.structs.replace(s, rows=100) for s in together(50, C)]
    assert joint_finding(Confidence.info, "m", look(thin)[0]).severity is Severity.MEDIUM
