import random
from collections import Counter
from ipaddress import ip_address, ip_network
from pathlib import Path

import numpy as np
import pytest

from monitor.codec import encode_json
from monitor.event import Event
from replay.labels import BENIGN, read_labels
from replay.recording import read_recording
from replay.simulate import Attacker, HonestClient, Scenario, ScenarioError, Shift, Simulated, preset, save, simulate
from replay.simulate.datasets import data_set
from replay.simulate.habits import honest_requests
from replay.simulate.images import traffic_images, training_images
from replay.simulate.served import served_model

DOCUMENTATION = [ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]
DATA = Path(__file__).parents[2] / "replay" / "data"


@pytest.fixture(scope="module")
def small() -> Simulated:
    return simulate(preset("demo-small"), 3)


def of(events: list[Event], client: str) -> list[Event]:
    return [event for event in events if event.client_id == client]


def once(events: list[Event]) -> list[Event]:
    return list({event.id: event for event in events}.values())


def honest_scenario(*clients: HonestClient, shift: Shift | None = None, duration_s: float = 300.0) -> Scenario:
    return Scenario("test", duration_s, 1_000_000.0, "b", clients, shift=shift)


def client(name: str, habit: str, model: str = "digits") -> HonestClient:
    return HonestClient(name, habit, model, "192.0.2.1")  # type: ignore[arg-type]  # parametrised by name


def as_bytes(simulated: Simulated) -> bytes:
    return b"\n".join(encode_json(event) for event in simulated.events)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(small: Simulated) -> None:
    again = simulate(preset("demo-small"), 3)
    assert as_bytes(again) == as_bytes(small)
    assert again.labels == small.labels
    assert as_bytes(simulate(preset("demo-small"), 4)) != as_bytes(small)


def test_global_generators_are_left_as_they_were() -> None:
    np.random.seed(5)
    random.seed(5)
    expected = (np.random.random(), random.random())
    np.random.seed(5)
    random.seed(5)
    simulate(preset("demo-small"), 3)
    assert (np.random.random(), random.random()) == expected


def test_adding_a_client_leaves_the_others_as_they_were() -> None:
    one = simulate(honest_scenario(client("a", "ordinary")), 1)
    two = simulate(honest_scenario(client("b", "camera"), client("a", "ordinary")), 1)
    assert [encode_json(e) for e in of(two.events, "a")] == [encode_json(e) for e in one.events]


def test_served_scores_are_the_models_answer_to_the_recorded_input(small: Simulated) -> None:
    for event in small.events:
        assert event.scores is not None
        assert event.labels is not None
        model = served_model(event.model)
        scores = model.scores(event.x.astype(np.float64))
        np.testing.assert_allclose(event.scores, scores, atol=1.01e-4)
        assert event.version == model.version
        assert event.labels[0] == np.argmax(event.scores)
        assert 0.0 <= event.x.min() <= event.x.max() <= 1.0


def test_models_are_really_trained() -> None:
    for name in ("digits", "digits-edge"):
        for pool in ("a", "b"):
            images = traffic_images(pool)
            right = served_model(name).scores(images.x).argmax(axis=1) == images.y
            assert right.mean() > 0.93


def test_no_picture_is_in_two_of_training_and_the_pools() -> None:
    parts = [training_images().x, traffic_images("a").x, traffic_images("b").x]
    rows = [{row.tobytes() for row in part} for part in parts]
    assert sum(map(len, rows)) == len(set.union(*rows)) == sum(map(len, parts))


@pytest.mark.parametrize("habit", ["ordinary", "occasional", "batch", "camera", "specialist", "noisy-sensor"])
def test_no_honest_picture_is_sent_twice(habit: str) -> None:
    events = simulate(honest_scenario(client("a", habit), duration_s=900.0), 1).events
    assert len({event.x.tobytes() for event in events}) == len(events) > 1


def test_records_of_one_client_keep_their_order_and_others_overtake_by_two_seconds_at_most(small: Simulated) -> None:
    newest = 0.0
    overtaken = 0
    for event in small.events:
        overtaken += event.ts < newest
        assert event.ts > newest - 2.0
        newest = max(newest, event.ts)
    assert overtaken > 0
    for name in small.labels.clients:
        times = [event.ts for event in once(of(small.events, name))]
        assert times == sorted(times)


def test_a_retry_is_the_same_bytes_with_a_new_id_within_seconds() -> None:
    events = simulate(honest_scenario(client("a", "retrying"), duration_s=900.0), 1).events
    assert len({event.id for event in events}) == len(events)
    by_payload: dict[bytes, list[Event]] = {}
    for event in events:
        by_payload.setdefault(event.x.tobytes(), []).append(event)
    retried = [group for group in by_payload.values() if len(group) > 1]
    assert len(retried) >= 5
    assert all(len(group) <= 3 and group[-1].ts - group[0].ts < 6.0 for group in retried)


def test_a_redelivery_is_the_same_event_again() -> None:
    events = simulate(honest_scenario(client("a", "redelivered"), duration_s=1200.0), 1).events
    twice = [identifier for identifier, count in Counter(event.id for event in events).items() if count == 2]
    assert twice
    for identifier in twice:
        first, second = (encode_json(event) for event in events if event.id == identifier)
        assert first == second


def test_a_health_check_repeats_one_picture_every_five_seconds() -> None:
    events = simulate(honest_scenario(client("a", "health-check")), 1).events
    assert len({event.x.tobytes() for event in events}) == 1
    gaps = np.diff([event.ts for event in events])
    assert len(events) == 60
    assert np.all(np.abs(gaps - 5.0) < 0.1)


def test_a_cameras_frames_change_slowly() -> None:
    frames = np.concatenate([event.x for event in simulate(honest_scenario(client("a", "camera")), 1).events])
    steps = np.linalg.norm(np.diff(frames, axis=0), axis=1)
    apart = np.linalg.norm(frames[40:] - frames[:-40], axis=1)
    assert np.median(steps) < 0.3 * np.median(apart)


def test_a_specialist_sends_one_digit() -> None:
    images = traffic_images("b")
    requests = honest_requests("specialist", data_set("digits"), images, np.random.default_rng(0), 600.0, float("inf"))
    served = served_model("digits").scores(np.stack([request.x for request in requests])).argmax(axis=1)
    assert Counter(served.tolist()).most_common(1)[0][1] > 0.75 * len(requests)


def test_an_old_sensor_is_noisier_where_the_picture_is_black() -> None:
    def black_corner_sd(habit: str) -> float:
        events = simulate(honest_scenario(client("a", habit), duration_s=900.0), 2).events
        corner = np.concatenate([event.x for event in events])[:, 0]
        return float(corner.std())

    assert black_corner_sd("noisy-sensor") > 1.5 * black_corner_sd("ordinary")


def test_the_lens_gets_dirty_at_the_onset_for_one_model_alone() -> None:
    people = [client(f"d{i}", "ordinary") for i in range(6)]
    devices = [client(f"e{i}", "ordinary", "digits-edge") for i in range(6)]
    simulated = simulate(honest_scenario(*people, *devices, shift=Shift("digits-edge", 150.0)), 1)
    onset = simulated.labels.shift_onset["digits-edge"]
    assert simulated.labels.shift_onset == {"digits-edge": 1_000_150.0}

    def brightness(model: str, late: bool) -> float:
        return float(np.mean([e.x.max() for e in simulated.events if e.model == model and (e.ts >= onset) == late]))

    assert brightness("digits-edge", True) < 0.85 * brightness("digits-edge", False)
    assert brightness("digits", True) == pytest.approx(brightness("digits", False), rel=0.05)
    assert set(simulated.labels.clients.values()) == {BENIGN}


def test_attackers_are_labelled_and_stay_within_their_budget(small: Simulated) -> None:
    scenario = preset("demo-small")
    assert {c: label for c, label in small.labels.clients.items() if label != BENIGN} == {
        "acct-31": "evasion:hopskipjump",
        "acct-33": "extraction:knockoff",
        "acct-34": "evasion:pgd",
    }
    for attacker in scenario.attackers:
        events = of(small.events, attacker.client)
        assert events[0].ts >= scenario.start_ts + attacker.start_s
        assert 0 < len(events) <= attacker.queries / (1 - attacker.ordinary_share) * 1.5


def test_hopskipjump_comes_closer_to_its_target_while_the_label_stays_wrong() -> None:
    attacker = Attacker("x", "hopskipjump", "digits", "192.0.2.9", 0.0, 500, 5.0)
    events = simulate(Scenario("test", 600.0, 0.0, "b", (), (attacker,)), 1).events
    x = np.concatenate([event.x for event in events])
    labels = np.concatenate([event.labels for event in events if event.labels is not None])
    distance = np.linalg.norm(x - x[0], axis=1)
    wrong = labels != labels[0]
    assert distance[wrong].min() < 0.5 * distance[wrong][0]


def test_clients_and_names_are_checked() -> None:
    with pytest.raises(ScenarioError, match="twice"):
        simulate(honest_scenario(client("a", "ordinary"), client("a", "camera")), 1)
    with pytest.raises(ScenarioError, match="no served model 'x'; there are claims, digits"):
        simulate(honest_scenario(client("a", "ordinary", "x")), 1)
    with pytest.raises(ScenarioError, match="no scenario 'x'; there are demo, clean"):
        preset("x")


def test_progress_counts_clients() -> None:
    seen: list[tuple[int, int]] = []
    simulate(
        honest_scenario(client("a", "occasional"), client("b", "occasional")),
        1,
        lambda done, of: seen.append((done, of)),
    )
    assert seen == [(1, 2), (2, 2)]


def test_saved_files_hold_the_simulation(small: Simulated, tmp_path: Path) -> None:
    labels = save(small, tmp_path / "x.jsonl.zst")
    assert labels == tmp_path / "x.labels.json"
    assert read_labels(labels) == small.labels
    back = [encode_json(event) for event in read_recording(tmp_path / "x.jsonl.zst") if isinstance(event, Event)]
    assert back == [encode_json(event) for event in small.events]


@pytest.mark.parametrize(("name", "honest", "attacks"), [("clean", 60, 0), ("demo", 43, 4)])
def test_shipped_recordings(name: str, honest: int, attacks: int) -> None:
    path = DATA / f"{name}.jsonl.zst"
    assert path.stat().st_size < 2_000_000
    events = list(read_recording(path))
    assert all(isinstance(event, Event) for event in events)
    good = [event for event in events if isinstance(event, Event)]
    assert 5000 <= len(good) <= 10_000
    labels = read_labels(DATA / f"{name}.labels.json")
    assert len(labels.honest()) == honest
    assert len(labels.attackers()) == attacks
    counts = Counter(event.client_id for event in good)
    assert counts.keys() == labels.clients.keys()
    assert all(counts[attacker] <= 800 for attacker in labels.attackers())
    assert {event.model for event in good} == {"digits", "digits-edge"}
    assert all(any(ip_address(event.client_ip) in net for net in DOCUMENTATION) for event in good)
    behind = Counter({ip: len({e.client_id for e in good if e.client_ip == ip}) for ip in {e.client_ip for e in good}})
    assert behind.most_common(1)[0][1] == 3


def test_baseline_and_demo_share_no_client_and_no_picture() -> None:
    assert (
        not read_labels(DATA / "clean.labels.json").clients.keys()
        & read_labels(DATA / "demo.labels.json").clients.keys()
    )
    assert preset("clean").pool != preset("demo").pool
