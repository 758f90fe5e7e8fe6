"""Joint evidence from requests to decisions: partitions, order and restarts change nothing; shifts name nobody."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from suspect_traffic import crowd, together

from detectors.finding import Finding
from monitor.core import Core
from monitor.engine import Engine
from monitor.event import Event
from monitor.joint_watch import JointWatch
from monitor.shares import Progress, Suspects
from monitor.suspects import News
from responders.decision import ActionType, Decision
from tests.monitor.small_core import Seen, clean, core, event, spread

START = 1_763_700_000.0
END = START + 200.0
ACCOUNTS = 12


@cache
def traffic(attackers: int = ACCOUNTS, honest: int = 40, shifted: bool = False) -> tuple[Event, ...]:
    """Honest clients, and one attack that sends noise, far from everything, through many accounts."""
    rng = np.random.default_rng(11)
    events: list[Event] = []
    for i in range(1200):
        ts = START + i * 0.1
        at = rng.integers(len(clean()), size=1)
        row, answered = clean().x[at], np.asarray(clean().scores)[at]
        noise = rng.random((1, 64)).astype(np.float32)
        if i % 3 == 0 and attackers:
            events.append(event(i, ts, f"client:spread-{i // 3 % attackers}", noise))
        else:
            said = {} if shifted else {"scores": answered}
            events.append(event(i, ts, f"client:honest-{i * 7 % honest}", noise if shifted else row, **said))
    return tuple(events)


def only_joint(*disabled: str) -> Core:
    return core("dry-run", disabled=("groups", "rate", *disabled))


def play(partitions: int, step: int, *, backwards: bool = False, restart: bool = False) -> Seen:
    return spread(only_joint(), traffic(), END, partitions=partitions, step=step, backwards=backwards, restart=restart)


def gangs(seen: Seen) -> list[Finding]:
    return [f for f in seen.findings if f.detector == "joint"]


@cache
def expected() -> tuple[list[Finding], list[Decision]]:
    seen = play(1, 10_000)
    return seen.findings, seen.decisions


def test_all_accounts_are_named_and_nobody_honest() -> None:
    found = [f for f in expected()[0] if f.detector == "joint"]
    assert len({f.subject.value for f in found}) == 1
    assert set(found[-1].subject.members) == {f"client:spread-{i}" for i in range(ACCOUNTS)}
    (incident,) = {d.incident_id for d in expected()[1] if d.type is ActionType.NOTIFY and d.reason.count("group:")}
    throttled = [d.value for d in expected()[1] if d.incident_id == incident and d.type is ActionType.THROTTLE]
    assert sorted(throttled) == sorted(f"spread-{i}" for i in range(ACCOUNTS))


@given(st.integers(1, 9), st.sampled_from([11, 90, 10_000]), st.booleans(), st.booleans())
@settings(max_examples=10)
def test_partitions_order_and_restarts_change_nothing(
    partitions: int, step: int, backwards: bool, restart: bool
) -> None:
    seen = play(partitions, step, backwards=backwards, restart=restart)
    assert (seen.findings, seen.decisions) == expected()


def ran(small: Core, events: tuple[Event, ...]) -> Seen:
    engine, seen = Engine(small, 1), Seen()
    engine.assign(0, {})
    seen.take(engine.step(0, list(events), ticks=[(len(events), END)]))
    seen.take(engine.close_windows())
    return seen


def test_a_shift_of_everybody_names_nobody() -> None:
    seen = ran(only_joint(), traffic(attackers=0, shifted=True))
    assert len({f.subject.value for f in seen.findings if f.subject.scope == "client"}) > ACCOUNTS
    assert gangs(seen) == []


@pytest.mark.parametrize("off", ["joint", ""])
def test_it_can_be_turned_off(off: str) -> None:
    assert (gangs(ran(only_joint(off), traffic())) == []) is bool(off)


def message(index: int, **more: object) -> Suspects:
    told = together(20, 1e9, index * 10.0, 0.1, name=f"{index}-")
    news = News(only_joint().window_plan.baseline, crowd(100, told).tobytes(), told)
    return Suspects(0, index, "digits", 0, msgspec.msgpack.encode(msgspec.structs.replace(news, **more)))


def test_a_message_that_comes_twice_counts_once_and_the_newest_replaces_the_others() -> None:
    watch = JointWatch(only_joint(), {}, 1)
    few = msgspec.msgpack.decode(message(1).data, type=News).suspicions[:3]
    assert watch.take([message(1), message(1), message(1, suspicions=few), Progress(0, 2, False)]).findings == []
    (finding,) = watch.take([message(2), message(2), Progress(0, 3, False), Progress(0, 3, False)]).findings
    assert len(finding.subject.members) == 20
    assert watch.take([message(1), Progress(0, 4, False)]).findings == []


@pytest.mark.parametrize("damaged", [b"", b"\xff", b"\x93\xa1b\xc4\x00\x91\xc1"])
def test_a_damaged_message_and_one_of_another_baseline_are_passed_over(damaged: bytes) -> None:
    watch = JointWatch(only_joint(), {}, 1)
    spoilt = msgspec.structs.replace(message(1), data=damaged)
    strange = msgspec.structs.replace(message(2, baseline="another"), number=1)
    assert watch.take([spoilt, Progress(0, 2, False), strange, Progress(0, 3, False)]).findings == []
    assert len(watch.take([message(3), Progress(0, 4, False)]).findings) == 1
