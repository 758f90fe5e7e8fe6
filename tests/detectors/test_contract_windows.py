"""What every window detector keeps, whatever it computes."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from window_traffic import FEATURES, reordered, traffic, without_outputs

from detectors.alibi import build_alibi
from detectors.batch import EventBatch
from detectors.contract import Params, Summary, WindowDetector, merge
from detectors.registry import WINDOW_DETECTORS
from detectors.window_calibration import WindowDetectorType

pytestmark = pytest.mark.filterwarnings("ignore:Keyword argument 'eigvals':DeprecationWarning")  # alibi-detect's own

SAMPLE_ROWS = 150
#: alibi-detect exists for Python below 3.12 only.
ALIBI = ("KSDrift", "IForest", "Mahalanobis") if sys.version_info < (3, 12) else ()
EVERY: list[WindowDetectorType] = [*WINDOW_DETECTORS, *(build_alibi(name=name) for name in ALIBI)]

CLEAN = traffic(0, rows=2000)
WINDOW = traffic(3, rows=400, first_client=50)


@pytest.fixture(scope="module", params=EVERY, ids=lambda kind: kind.info.name)
def kind(request: pytest.FixtureRequest) -> WindowDetectorType:
    found: WindowDetectorType = request.param
    return found


@pytest.fixture(scope="module")
def params(kind: WindowDetectorType) -> Params:
    return kind.fit(CLEAN)


@pytest.fixture(scope="module")
def detector(kind: WindowDetectorType, params: Params) -> WindowDetector:
    return kind(params)


def summary(detector: WindowDetector, *batches: EventBatch) -> Summary:
    empty = detector.summarise(WINDOW.take(np.empty(0, dtype=np.int64)))
    return reduce(lambda a, b: merge(a, detector.summarise(b), SAMPLE_ROWS), batches, empty)


def exact(s: Summary) -> tuple[object, ...]:
    counts = {name: (values.dtype.str, values.tolist()) for name, values in sorted(s.counts.items())}
    return s.count, counts, s.sample_hash.tolist(), s.sample_x.tobytes()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(WINDOW)), max_size=6), seed=st.integers(0, 9))
def test_any_division_and_order_makes_the_same_summary(detector: WindowDetector, cuts: list[int], seed: int) -> None:
    bounds = [0, *sorted(cuts), len(WINDOW)]
    parts = [WINDOW.take(np.arange(a, b)) for a, b in pairwise(bounds)]
    shuffled = [parts[i] for i in np.random.default_rng(seed).permutation(len(parts))]
    assert exact(summary(detector, *shuffled)) == exact(summary(detector, WINDOW))


def test_merging_is_associative(detector: WindowDetector) -> None:
    a, b, c = (detector.summarise(traffic(seed, rows=200)) for seed in (4, 5, 6))
    left = merge(merge(a, b, SAMPLE_ROWS), c, SAMPLE_ROWS)
    right = merge(a, merge(b, c, SAMPLE_ROWS), SAMPLE_ROWS)
    assert exact(left) == exact(right)


def test_scores_do_not_depend_on_what_was_scored_before(kind: WindowDetectorType, params: Params) -> None:
    first, second = kind(params), kind(params)
    window, other = summary(first, WINDOW), summary(first, traffic(8, rows=300, moved=3.0))
    before = first.score(window)
    first.score(other)
    first.explain(other)
    assert first.score(window) == before == second.score(window)


def test_a_shift_scores_above_clean(detector: WindowDetector) -> None:
    clean = max(detector.score(summary(detector, traffic(seed, rows=400, first_client=50))) for seed in (20, 21, 22))
    moved = detector.score(summary(detector, traffic(23, rows=400, first_client=50, moved=4.0)))
    assert moved > clean


def test_too_few_rows_are_no_opinion(detector: WindowDetector) -> None:
    assert np.isnan(detector.score(summary(detector)))
    few = summary(detector, traffic(4, rows=5))
    assert np.isnan(detector.score(few))
    msgspec.json.encode(detector.explain(few))


def test_scores_are_rounded(detector: WindowDetector) -> None:
    score = detector.score(summary(detector, WINDOW))
    assert score == float(f"{score:.6g}")


def test_batches_and_summaries_are_not_written_to(detector: WindowDetector) -> None:
    batch = reordered(WINDOW, 1)
    for array in (batch.x, batch.ts, batch.labels, batch.scores, batch.request):
        array.setflags(write=False)
    s = summary(detector, batch)
    for array in (*s.counts.values(), s.sample_hash, s.sample_x):
        array.setflags(write=False)
    detector.score(s)
    detector.explain(s)
    merge(s, s, SAMPLE_ROWS)


def test_parameters_are_plain_arrays_and_survive_a_file(kind: WindowDetectorType, params: Params) -> None:
    file = io.BytesIO()
    np.savez(file, **params)
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        again = kind(dict(stored))
    s = summary(again, WINDOW)
    assert again.score(s) == kind(params).score(s)


def test_fitting_twice_gives_the_same(kind: WindowDetectorType, params: Params) -> None:
    again = kind.fit(CLEAN)
    assert {n: (v.shape, v.tobytes()) for n, v in again.items()} == {
        n: (v.shape, v.tobytes()) for n, v in params.items()
    }


def test_counts_are_whole_and_not_negative(detector: WindowDetector) -> None:
    for values in detector.summarise(WINDOW).counts.values():
        assert values.dtype == np.int64
        assert values.min(initial=0) >= 0


def test_explanations_are_figures_that_json_takes(detector: WindowDetector) -> None:
    figures = detector.explain(summary(detector, traffic(8, rows=300, moved=3.0)))
    assert len(msgspec.json.encode(figures)) < 4000


@pytest.mark.parametrize(
    "hostile",
    [
        lambda b: replace(b, x=np.full_like(b.x, np.nan)),
        lambda b: replace(b, x=np.full_like(b.x, 3e38)),
        lambda b: replace(b, x=np.full_like(b.x, -3e38)),
        without_outputs,
        lambda b: replace(b, scores=np.zeros((len(b), 0), dtype=np.float32)),
        lambda b: replace(b, labels=b.labels + 2**61),
        lambda b: replace(b, clients=("client:\udcff\n" * 20,) * len(b), ids=("\udcff" * 200,) * len(b)),
    ],
    ids=["all missing", "huge", "hugely negative", "no outputs", "no classes", "unknown labels", "nasty names"],
)
def test_hostile_rows_give_a_finite_score(
    detector: WindowDetector, hostile: Callable[[EventBatch], EventBatch]
) -> None:
    s = summary(detector, hostile(WINDOW))
    assert np.isfinite(detector.score(s))
    msgspec.json.encode(detector.explain(s))


def test_rows_of_another_width_do_not_break_a_window(detector: WindowDetector) -> None:
    wide = replace(WINDOW, x=np.zeros((len(WINDOW), FEATURES + 2), dtype=np.float32), shape=(FEATURES + 2,))
    assert exact(summary(detector, WINDOW, wide)) == exact(summary(detector, WINDOW))
