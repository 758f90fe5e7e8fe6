import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.peers.blacklight import STEP, TOP, matches
from bench.peers.prada import LEAST, Prada

Array = npt.NDArray[np.float64]


def windows(row: Array, width: int) -> set[bytes]:
    levels = np.floor(row / STEP).astype(np.int64)
    return {levels[i : i + width].tobytes() for i in range(len(levels) - width + 1)}


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 20), st.integers(20, 50))
def test_blacklight_is_what_a_look_at_every_pair_finds_where_all_windows_are_kept(seed: int, n: int, d: int) -> None:
    # Up to 50 windows make the whole set the fingerprint, whatever the hashes are.
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, size=(n, d)) / 3.0
    for i in range(1, n):
        if rng.random() < 0.5:  # a near copy of an earlier one
            x[i] = x[int(rng.integers(i))]
            x[i, int(rng.integers(d))] = rng.random()
    width = max(2, d // 10)
    sets = [windows(row, width) for row in x]
    line = (d - width + 1) // 2 if d - width + 1 < TOP else 25
    expected = [any(len(sets[i] & sets[j]) > line for j in range(i)) for i in range(n)]
    assert matches(x).tolist() == expected


def test_blacklight_sees_small_changes_of_a_picture_and_no_likeness_of_two() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((6, 784))
    moved = x[0].copy()
    moved[100:110] = 1.0 - moved[100:110]
    assert matches(np.vstack([x, moved, x[:1]])).tolist() == [False] * 6 + [True, True]


def test_blacklight_hides_behind_a_salt() -> None:
    rng = np.random.default_rng(2)
    x = rng.random((1, 784))
    half = x.copy()
    half[:, :392] = rng.random(392)  # half of all windows: whether more than half of the top 50 is chance
    found = {bool(matches(np.vstack([x, half]), salt)[1]) for salt in range(1, 12)}
    assert found == {False, True}


def test_prada_knows_normal_distances_from_others() -> None:
    rng = np.random.default_rng(3)
    honest, thief = Prada(), Prada()
    alarms = [honest.looks_like_an_attack(rng.normal(size=200), 0) for _ in range(300)]
    assert not any(alarms)
    seeds = rng.normal(size=(20, 200))
    sent = [*seeds, *(seeds[i % 20] + 0.05 * rng.normal(size=200) for i in range(200))]
    alarms = [thief.looks_like_an_attack(x, 0) for x in sent]
    assert alarms[-1]
    assert not any(alarms[: LEAST + 1])


def test_prada_waits_for_more_than_a_hundred_distances_and_takes_repeats_for_normal() -> None:
    prada, x = Prada(), np.ones(5)
    assert not any(prada.looks_like_an_attack(x, 0) for _ in range(150))
