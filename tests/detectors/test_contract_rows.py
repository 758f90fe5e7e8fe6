"""What every row detector keeps, whatever it computes."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from row_traffic import PICTURE, TABLE, batch, bisection, cut, honest, merged, noisy

from detectors.alone import Alone
from detectors.batch import EventBatch, FloatArray
from detectors.contract import Params
from detectors.membership_hits import MembershipHits
from detectors.registry import OPTIONAL_ROW_DETECTORS, ROW_DETECTORS, RowDetectorType
from detectors.sketching import sketch_rows


def with_missing(clean: EventBatch) -> EventBatch:
    x = clean.x.copy()
    x[np.random.default_rng(1).random(x.shape) < 0.2] = np.nan
    x[:, 0] = np.nan
    return replace(clean, x=x)


def with_constants(clean: EventBatch) -> EventBatch:
    x = clean.x.copy()
    x[:, ::2] = 3.0
    return replace(clean, x=x)


def mixed(clean: EventBatch) -> EventBatch:
    """Some honest traffic and, among it, one client who circles a boundary, repeats itself and comes as noise."""
    rows = clean.take(np.arange(160))
    start = rows.ts[20] - bisection("client:a", clean.shape).ts[0]
    odd = [bisection("client:a", clean.shape, 30), noisy("client:b", clean.shape, 20)]
    odd.append(replace(odd[0].take(np.arange(10)), ids=tuple(f"again-{i}" for i in range(10))))
    if clean.scores is None:
        odd = [replace(o, scores=None, labels=np.full(len(o), -1, dtype=np.int64)) for o in odd]
    return merged(rows, *(replace(o, ts=o.ts + start) for o in odd))


TRAFFIC = {
    "pictures": honest(1),
    "colour": honest(1, shape=(6, 6, 3), rows=600),
    "table": honest(1, shape=TABLE),
    "one feature": honest(1, shape=(1,)),
    "missing values": with_missing(honest(1)),
    "missing in table": with_missing(honest(1, shape=TABLE)),
    "constants": with_constants(honest(1)),
    "all constant": replace(honest(1), x=np.full((1500, 64), 0.5, dtype=np.float32)),
    "no outputs": honest(1, outputs=False),
}
LIVE = {name: mixed(clean) for name, clean in TRAFFIC.items()}

Case = tuple[RowDetectorType, Params, EventBatch]


class OfCleanRecords:
    """``MembershipHits`` of a model that was trained on every third row of its clean traffic."""

    info, costly, resolution = MembershipHits.info, MembershipHits.costly, MembershipHits.resolution

    def fit(self, clean: EventBatch) -> Params:
        return sketch_rows(clean.x[::3], b"the salt of all tests", clean.shape).params

    def __call__(self, params: Params) -> MembershipHits:
        return MembershipHits(params)


KINDS: tuple[RowDetectorType, ...] = (*ROW_DETECTORS, OfCleanRecords())


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.info.name)
def kind(request: pytest.FixtureRequest) -> RowDetectorType:
    found: RowDetectorType = request.param
    return found


@pytest.fixture(scope="module", params=TRAFFIC, ids=lambda name: name.replace(" ", "-"))
def case(request: pytest.FixtureRequest, kind: RowDetectorType) -> Case:
    return kind, kind.fit(TRAFFIC[request.param]), LIVE[request.param]


def stream(detector: Alone, parts: list[EventBatch]) -> FloatArray:
    scores = []
    for part in parts:
        scores.append(detector.score(part))
        detector.learn(part)
    return np.concatenate(scores)


def test_scores_have_the_form_the_contract_names(case: Case) -> None:
    kind, params, live = case
    scores = Alone(kind(params)).score(live)
    assert scores.dtype == np.float64
    assert scores.shape == (len(live),)
    assert not np.isinf(scores).any()


def test_parameters_are_plain_arrays_without_nan(case: Case) -> None:
    for name, value in case[1].items():
        assert isinstance(value, np.ndarray), name
        assert value.dtype.kind in "iuf", name
        assert not np.isnan(value.astype(np.float64)).any(), name


def test_inputs_and_parameters_are_not_written_to(case: Case) -> None:
    kind, params, live = case
    columns = [live.x, live.ts, live.labels, live.request] + ([] if live.scores is None else [live.scores])
    for array in [*columns, *params.values()]:
        array.flags.writeable = False
    detector = Alone(kind(params))
    detector.score(live)
    detector.learn(live)
    detector.explain(live, len(live) - 1)


def test_scoring_and_explaining_change_no_state(case: Case) -> None:
    kind, params, live = case
    first, second = live.take(np.arange(100)), live.take(np.arange(100, len(live)))
    detector = Alone(kind(params))
    detector.learn(first)
    before = detector.snapshot()
    scores = detector.score(second)
    for row in range(0, len(second), 17):
        detector.explain(second, row)
    assert detector.snapshot() == before
    np.testing.assert_array_equal(detector.score(second), scores)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.lists(st.integers(0, 1000), max_size=12))
def test_cutting_the_stream_anywhere_changes_no_score(case: Case, points: list[int]) -> None:
    kind, params, live = case
    whole = Alone(kind(params)).score(live)
    np.testing.assert_array_equal(stream(Alone(kind(params)), cut(live, points)), whole)


def test_row_by_row_gives_the_same_scores_and_state(case: Case) -> None:
    kind, params, live = case
    one, other = Alone(kind(params)), Alone(kind(params))
    whole = one.score(live)
    one.learn(live)
    np.testing.assert_array_equal(stream(other, cut(live, range(len(live)))), whole)
    assert other.snapshot() == one.snapshot()


def test_of_rows_only_those_of_some_clients_are_learned(case: Case) -> None:
    """As if the others had not been there: also when all were scored before."""
    kind, params, live = case
    some, without, whole = (Alone(kind(params)) for _ in range(3))
    rows = some.rows(live)
    some.detector.score(rows)
    some.detector.learn(rows, rows.clients != rows.clients[0])
    others = rows.slots != rows.clients[0]
    without.learn(live.take(others))
    assert some.snapshot() == without.snapshot()
    some.learn(live.take(~others))
    whole.learn(live)
    assert some.snapshot() == whole.snapshot()


def test_a_restored_detector_goes_on_as_if_nothing_had_happened(case: Case) -> None:
    kind, params, live = case
    first, second = cut(live, [len(live) // 2])
    detector, restored = Alone(kind(params)), Alone(kind(params))
    detector.learn(first)
    restored.restore(detector.snapshot())
    assert restored.snapshot() == detector.snapshot()
    np.testing.assert_array_equal(restored.score(second), detector.score(second))
    restored.learn(second)
    detector.learn(second)
    assert restored.snapshot() == detector.snapshot()


def test_forgotten_clients_are_strangers(case: Case) -> None:
    kind, params, live = case
    detector = Alone(kind(params))
    detector.learn(live)
    detector.forget(["client:a", "client:nobody"])
    assert "client:a" not in detector.snapshot()
    mine = live.take(np.array([c == "client:a" for c in live.clients]))
    np.testing.assert_array_equal(detector.score(mine), Alone(kind(params)).score(mine))


def test_other_clients_change_nothing(case: Case) -> None:
    """A client's scores are those it would have alone, however the others' rows lie between its own."""
    kind, params, live = case
    scores = Alone(kind(params)).score(live)
    order = np.argsort(np.array(live.clients), kind="stable")
    np.testing.assert_array_equal(Alone(kind(params)).score(live.take(order)), scores[order])


def test_fitting_twice_gives_the_same_parameters(case: Case) -> None:
    kind, params, _ = case
    name = next(name for name, live in LIVE.items() if live is case[2])
    again = kind.fit(TRAFFIC[name])
    assert again.keys() == params.keys()
    for key, value in params.items():
        np.testing.assert_array_equal(again[key], value)


def test_no_rows_are_no_problem(case: Case) -> None:
    kind, params, live = case
    nobody = live.take(np.empty(0, dtype=np.int64))
    detector = Alone(kind(params))
    assert detector.score(nobody).shape == (0,)
    detector.learn(nobody)
    assert detector.snapshot() == {}


def test_figures_are_plain_and_do_not_depend_on_how_the_stream_was_cut(case: Case) -> None:
    kind, params, live = case
    whole = Alone(kind(params))
    for row in range(3, len(live), 29):
        head, tail = cut(live.take(np.arange(row + 1)), [row // 2])
        parted = Alone(kind(params))
        parted.learn(head)
        figures = whole.explain(live, row)
        assert parted.explain(tail, len(tail) - 1) == figures
        assert msgspec.json.decode(msgspec.json.encode(figures)) == figures
        assert len(figures.get("events", [])) <= 20


def test_state_is_bounded(kind: RowDetectorType) -> None:
    """Ten thousand different queries of one client leave no more than a few kilobytes."""
    detector = Alone(kind(kind.fit(TRAFFIC["pictures"])))
    rng = np.random.default_rng(3)
    for part in range(10):
        rows = batch(rng.random((1000, 64)), ["client:busy"] * 1000, PICTURE, prefix=f"{part}-")
        detector.score(rows)
        detector.learn(rows)
    assert sum(map(len, detector.snapshot().get("client:busy", ()))) <= 5 * 1024


def test_infinite_and_huge_inputs_are_survived(kind: RowDetectorType) -> None:
    detector = Alone(kind(kind.fit(TRAFFIC["pictures"])))
    rows = honest(5, rows=40)
    x = rows.x.copy()
    x[3], x[5], x[7] = np.inf, -3e38, 1e-40
    rows = replace(rows, x=x)
    assert not np.isinf(detector.score(rows)).any()
    detector.learn(rows)


def test_names_and_versions_are_distinct_and_set() -> None:
    kinds = (*ROW_DETECTORS, *OPTIONAL_ROW_DETECTORS)
    names = [kind.info.name for kind in kinds]
    assert len(set(names)) == len(names)
    assert set(names) == {kind.info.name for kind in KINDS}
    assert all(kind.info.version and kind.info.title and kind.resolution > 0 for kind in kinds)
