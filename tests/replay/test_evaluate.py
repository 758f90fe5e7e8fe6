import json
from io import StringIO
from itertools import permutations
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy.stats import binomtest, poisson

from detectors.finding import Attack, Finding, Scope, Severity, Subject
from monitor.event import Event
from replay.alerts import AlertsError, decode_alerts
from replay.evaluate import evaluate
from replay.intervals import poisson_rate, wilson
from replay.labels import BENIGN, Labels
from replay.report_table import render_table

LABELS = Labels(
    clients={"thief": "extraction:knockoff", "fox": "evasion:pgd", "ann": BENIGN, "bob": BENIGN, "192.0.2.7": BENIGN},
    shift_onset={"edge": 1000.0},
)


def finding(
    ts: float,
    value: str,
    *,
    scope: Scope = "client",
    attack: Attack = Attack.EXTRACTION,
    detector: str = "probe",
    model: str = "digits",
    members: tuple[str, ...] = (),
) -> Finding:
    return Finding(
        id=f"f-{ts}-{value}-{detector}-{attack.value}",
        ts=ts,
        detector=detector,
        detector_version="1",
        attack=attack,
        technique="AML.T0024.002",
        model=model,
        version="3",
        subject=Subject(scope, value, members),
        severity=Severity.HIGH,
        score=2000.0,
        threshold=1000.0,
        evidence={},
        first_seen=ts,
        last_seen=ts,
        count=1,
    )


def event(ts: float, client: str = "", ip: str = "", model: str = "digits", name: str | None = None) -> Event:
    identifier = name or f"{client}{ip}-{ts}"
    x = np.zeros((1, 4), dtype=np.float32)
    return Event(id=identifier, ts=ts, model=model, x=x, shape=(4,), client_id=client, client_ip=ip)


def test_an_attacker_is_found_with_its_first_finding() -> None:
    events = [event(100.0 + i, "thief", "192.0.2.1") for i in range(50)]
    alerts = [finding(130.0, "thief", detector="late"), finding(120.5, "thief", attack=Attack.EVASION)]
    result = {a.client: a for a in evaluate(alerts, LABELS, events).attackers}
    thief = result["thief"]
    assert (thief.found, thief.detector, thief.found_ts) == (True, "probe", 120.5)
    assert thief.kind_right is False
    assert (thief.queries, thief.queries_until_found) == (50, 21)
    assert (thief.first_query_ts, thief.seconds_until_found) == (100.0, 20.5)
    assert result["fox"].found is False
    assert result["fox"].queries == 0


def test_redelivered_events_are_one_query() -> None:
    events = [event(1.0, "thief"), event(1.0, "thief"), event(2.0, "thief")]
    assert evaluate([finding(2.0, "thief")], LABELS, events).attackers[0].queries_until_found == 2


def test_events_in_any_order_count_the_same() -> None:
    events = [event(float(i), "thief") for i in range(4)]
    counts = {
        evaluate([finding(2.0, "thief")], LABELS, order).attackers[0].queries_until_found
        for order in permutations(events)
    }
    assert counts == {3}


def test_a_finding_written_twice_is_one() -> None:
    assert evaluate([finding(2.0, "bob")] * 2, LABELS) == evaluate([finding(2.0, "bob")], LABELS)


def test_without_the_recording_there_are_no_counts() -> None:
    evaluation = evaluate([finding(2.0, "thief")], LABELS)
    thief = evaluation.attackers[0]
    assert thief.found
    assert (thief.queries, thief.queries_until_found, thief.seconds_until_found) == (None, None, None)
    assert evaluation.timeline is None
    assert evaluation.false_alarms_per_client_day is None


def test_a_group_accuses_every_member_and_an_address_its_client() -> None:
    alerts = [
        finding(5.0, "g1", scope="group", members=("thief", "client:fox", "ann")),
        finding(6.0, "192.0.2.7", scope="ip"),
    ]
    evaluation = evaluate(alerts, LABELS)
    assert all(a.found for a in evaluation.attackers)
    assert [alarm.client for alarm in evaluation.false_alarms] == ["ann", "192.0.2.7"]
    assert (evaluation.honest_flagged.hits, evaluation.honest_flagged.trials) == (2, 3)


def test_a_false_alarm_counts_once_per_detector() -> None:
    alerts = [finding(1.0, "bob"), finding(2.0, "bob"), finding(3.0, "bob", detector="other")]
    evaluation = evaluate(alerts, LABELS)
    assert [(a.client, a.detector, a.ts) for a in evaluation.false_alarms] == [
        ("bob", "probe", 1.0),
        ("bob", "other", 3.0),
    ]
    assert evaluation.honest_flagged.hits == 1
    assert [(d.detector, d.findings, d.honest) for d in evaluation.detectors] == [("other", 1, 1), ("probe", 2, 1)]


def test_false_alarms_per_client_day_use_the_clients_in_the_recording() -> None:
    events = [event(0.0, "ann"), event(43_200.0, "ann"), event(10.0, ip="192.0.2.7"), event(20.0, "thief")]
    rate = evaluate([finding(1.0, "ann")], LABELS, events).false_alarms_per_client_day
    assert rate is not None
    assert (rate.count, rate.days, rate.per_day) == (1, 1.0, 1.0)


def shift(ts: float, model: str = "edge") -> Finding:
    return finding(ts, model, scope="model", attack=Attack.SHIFT, detector="shift", model=model)


def test_a_shift_is_seen_at_or_after_its_onset_and_false_before() -> None:
    result = evaluate([shift(700.0), shift(1060.0), shift(1120.0)], LABELS).shifts[0]
    assert (result.detected, result.found_ts, result.delay_s) == (True, 1060.0, 60.0)
    assert (result.false_windows, result.false_windows_during_attacks) == (1, None)


def test_a_shift_finding_on_a_model_without_shift_is_false_and_says_if_attacked() -> None:
    events = [event(100.0, "thief"), event(200.0, "thief")]
    results = evaluate([shift(150.0, "digits"), shift(250.0, "digits")], LABELS, events).shifts
    by_model = {result.model: result for result in results}
    assert by_model["digits"].onset_ts is None
    assert (by_model["digits"].false_windows, by_model["digits"].false_windows_during_attacks) == (2, 1)
    assert not by_model["edge"].detected


def test_a_shift_of_a_model_accuses_no_client() -> None:
    evaluation = evaluate([shift(1500.0)], LABELS)
    assert evaluation.detection.hits == 0
    assert evaluation.unlabelled == ()


def test_subjects_without_label_count_neither_way() -> None:
    tampering = finding(3.0, "digits", scope="model", attack=Attack.TAMPERING)
    evaluation = evaluate([finding(1.0, "stranger"), tampering], LABELS)
    assert evaluation.unlabelled == ("stranger", "model:digits")
    assert evaluation.honest_flagged.hits == evaluation.detection.hits == 0
    assert {f.truth for f in evaluation.first_findings} == {"unlabelled"}


def test_attacks_are_summed_up_by_family_and_name() -> None:
    labels = Labels(clients={"a": "evasion:pgd", "b": "evasion:pgd", "c": "evasion:hopskipjump"})
    events = [event(float(i), c) for c in "abc" for i in range(10)]
    attacks = {a.name: a for a in evaluate([finding(3.0, "a"), finding(5.0, "b")], labels, events).attacks}
    assert (attacks["pgd"].detection.hits, attacks["pgd"].detection.trials) == (2, 2)
    assert attacks["pgd"].median_queries_until_found == 5.0
    assert attacks["pgd"].median_seconds_until_found == 4.0
    assert attacks["hopskipjump"].median_queries_until_found is None


alerts_lists = st.lists(
    st.builds(
        finding,
        st.floats(0, 2000),
        st.sampled_from(["thief", "fox", "ann", "bob", "stranger"]),
        detector=st.sampled_from(["one", "two"]),
        attack=st.sampled_from(Attack),
    ),
    max_size=8,
)


@given(alerts_lists, st.randoms())
def test_the_order_of_alerts_does_not_matter_and_counts_add_up(alerts: list[Finding], rnd: Any) -> None:
    shuffled = list(alerts)
    rnd.shuffle(shuffled)
    evaluation = evaluate(alerts, LABELS)
    assert evaluate(shuffled, LABELS) == evaluation
    accused = {alert.subject.value for alert in alerts}
    assert evaluation.detection.hits == len(accused & {"thief", "fox"})
    assert evaluation.honest_flagged.hits == len(accused & {"ann", "bob"})
    assert sum(d.findings for d in evaluation.detectors) == evaluation.findings == len({alert.id for alert in alerts})
    assert sum(d.first_on for d in evaluation.detectors) == evaluation.detection.hits


def test_mappings_are_findings_too_and_wrong_ones_say_so() -> None:
    alert = msgspec.to_builtins(finding(2.0, "thief"))
    assert evaluate([alert], LABELS) == evaluate([finding(2.0, "thief")], LABELS)
    with pytest.raises(AlertsError, match="ts"):
        evaluate([alert | {"ts": "soon"}], LABELS)


def test_an_alerts_file_names_its_bad_line() -> None:
    good = msgspec.json.encode(finding(2.0, "thief"))
    assert decode_alerts([good, b"\n", good[:-1] + b',"new_field":1}']) == [finding(2.0, "thief")] * 2
    for bad in (b"{", b"[]", good.replace(b"extraction", b"theft"), b"\xff", b"[" * 10_000):
        with pytest.raises(AlertsError, match=r"^line 2: "):
            decode_alerts([good, bad])


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_agrees_with_scipy(hits: int, trials: int) -> None:
    hits = min(hits, trials)
    share = wilson(hits, trials)
    other = binomtest(hits, trials).proportion_ci(method="wilson")
    assert (share.low, share.high) == pytest.approx((other.low, other.high), abs=1e-12)


def test_no_trials_give_no_share_and_impossible_counts_are_refused() -> None:
    assert wilson(0, 0).share is None
    with pytest.raises(ValueError, match="3 hits of 2 trials"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="in 0 days"):
        poisson_rate(1, 0)


@given(st.integers(0, 200), st.floats(0.01, 100))
def test_the_poisson_interval_leaves_two_and_a_half_percent_on_each_side(count: int, days: float) -> None:
    rate = poisson_rate(count, days)
    assert poisson.cdf(count, rate.high * days) == pytest.approx(0.025)
    if count:
        assert poisson.sf(count - 1, rate.low * days) == pytest.approx(0.025)
    else:
        assert rate.low == 0.0


def test_json_holds_the_figures_and_not_the_timeline() -> None:
    evaluation = evaluate([finding(120.0, "thief")], LABELS, [event(100.0, "thief"), event(130.0, "ann")])
    assert evaluation.timeline is not None
    plain = json.loads(evaluation.to_json())
    assert plain["detection"]["hits"] == 1
    assert plain["attackers"][0]["queries_until_found"] == 1
    assert plain["shifts"][0]["model"] == "edge"
    assert "timeline" not in plain


def test_the_timeline_counts_every_request_once_by_client_and_by_model() -> None:
    events = [event(float(i), "thief", model="edge" if i % 2 else "digits") for i in range(1000)]
    timeline = evaluate([], LABELS, events).timeline
    assert timeline is not None
    assert (timeline.start_ts, timeline.end_ts) == (0.0, 999.0)
    assert [sum(lane.counts) for lane in timeline.clients] == [1000]
    assert [(lane.name, sum(lane.counts)) for lane in timeline.models] == [("digits", 500), ("edge", 500)]


def test_the_terminal_shows_names_without_reading_markup_in_them() -> None:
    name = "[red]x[/red]\x1b[2J\u202e"
    labels = Labels(clients={name: "evasion:pgd", "ann": BENIGN}, shift_onset={"edge": 1.0})
    console = Console(width=160, record=True, file=StringIO())
    console.print(render_table(evaluate([finding(2.0, name), finding(3.0, "ann"), shift(5.0)], labels)))
    shown = console.export_text()
    assert "[red]x[/red]\\u001b[2J\\u202e" in shown
    assert "\x1b[2J" not in shown
    assert "1 of 1" in shown
    assert "4 s" in shown
