"""The sketch of a training set: knows records again, holds no row, and is refused when damaged."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from row_traffic import honest

from detectors import baseline_file
from detectors.baseline import Baseline, BaselineError
from detectors.contract import Params
from detectors.record_bands import BANDS, RecordBands
from detectors.sketching import LEAST_ROWS, MOST_ROWS, sketch_rows
from detectors.training_sketch import SketchError, TrainingSketch

Array = npt.NDArray[np.float64]
SALT = b"a salt nobody knows"


def records(rows: int = 400, d: int = 30, seed: int = 0) -> Array:
    """Rows that differ in eight ways, as real ones do: features go together."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(8, d))
    return np.asarray(rng.normal(size=(rows, 8)) @ mixing * 3.0 + 40.0 + rng.normal(size=(rows, d)) * 0.5)


@cache
def sketch() -> TrainingSketch:
    return sketch_rows(records(), SALT)


def agreeing(found: TrainingSketch, x: Array) -> npt.NDArray[np.int64]:
    bands = RecordBands(found.params)
    return bands.agreeing(bands.of(x.astype(np.float32))[0])


def test_every_record_is_known_again_and_rounding_does_not_matter() -> None:
    assert (agreeing(sketch(), records()) == BANDS).all()
    assert (agreeing(sketch(), np.round(records(), 3)) >= BANDS - 2).all()
    assert (agreeing(sketch(), np.float64(np.float16(records()))) >= BANDS // 2).mean() > 0.95


def test_the_more_noise_the_fewer_bands_and_other_rows_are_strangers() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=records().shape) * records().std(axis=0)
    means = [float(agreeing(sketch(), records() + share * noise).mean()) for share in (0.0, 0.01, 0.03, 0.1, 0.5)]
    assert means == sorted(means, reverse=True)
    assert means[1] > 6.0
    assert means[-1] < 0.5
    assert (agreeing(sketch(), records(2000, seed=5)) >= BANDS // 2).mean() < 0.01


def test_cut_hashes_match_by_chance_as_rarely_as_is_said() -> None:
    """Rows from everywhere, unlike all records: each band agrees as often as the sketch says, at most 1 in 1024."""
    found = sketch_rows(records(5000), SALT)
    far = np.random.default_rng(4).uniform(-4000.0, 4000.0, size=(40_000, 30))
    rate = agreeing(found, far).mean() / BANDS
    assert found.false_match <= 2.0**-10
    assert rate == pytest.approx(found.false_match, rel=0.3)


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), rows=st.integers(LEAST_ROWS, 120), d=st.integers(1, 12))
def test_no_row_is_in_the_file(seed: int, rows: int, d: int) -> None:
    """No value of any record, as float64 or, next to another, as float32: not even as a median."""
    x = np.random.default_rng(seed).normal(size=(rows, d)) * 7.0
    blob = sketch_rows(x, SALT).encoded()
    assert not any(struct.pack("<d", value) in blob for value in x.ravel())
    flat = x.astype(np.float32).ravel()
    assert not any(flat[i : i + 2].tobytes() in blob for i in range(len(flat) - 1))
    assert not any(struct.pack("<d", float(value)) in blob for value in flat)


def test_size_depends_on_the_number_of_rows_and_not_on_what_they_hold() -> None:
    assert len(sketch_rows(records(4000), SALT).encoded()) < 4000 * 4 * BANDS + 10_000


@settings(max_examples=20)
@given(numbers=st.integers(1, 20_000))
def test_how_many_rows_are_read_at_a_time_changes_nothing(numbers: int) -> None:
    assert sketch_rows(records(), SALT, block_numbers=numbers).encoded() == sketch().encoded()


def test_a_map_a_copy_and_other_types_of_the_same_numbers_give_the_same_sketch(tmp_path: Path) -> None:
    whole = np.round(records(100))
    np.save(tmp_path / "x.npy", whole)
    expected = sketch_rows(whole, SALT).encoded()
    for x in (np.load(tmp_path / "x.npy", mmap_mode="r"), whole.astype(np.int16), np.asfortranarray(whole)):
        assert sketch_rows(x, SALT).encoded() == expected


def test_progress_counts_all_rows() -> None:
    done: list[int] = []
    sketch_rows(records(), SALT, progress=done.append, block_numbers=30 * 70)
    assert done == [70, 70, 70, 70, 70, 50]


def test_without_the_salt_fingerprints_say_nothing() -> None:
    other = sketch_rows(records(), SALT + b"!")
    tags = [RecordBands(s.params).of(records().astype(np.float32))[0] for s in (sketch(), other)]
    assert (tags[0] == tags[1]).mean() < 0.001
    assert agreeing(other, records()).min() == BANDS


def test_pictures_keep_their_shape_given_or_told() -> None:
    x = records(60, 64)
    told, given_ = sketch_rows(x, SALT, (8, 8)), sketch_rows(x.reshape(60, 8, 8), SALT)
    assert told.shape == (8, 8)
    assert told.encoded() == given_.encoded()


def test_missing_values_are_medians_and_empty_features_no_problem() -> None:
    x = records()
    x[:, 0], x[::7, 5] = np.nan, np.nan
    assert (agreeing(sketch_rows(x, SALT), x) == BANDS).all()


@pytest.mark.parametrize(
    ("x", "salt", "shape", "told"),
    [
        (records(LEAST_ROWS - 1), SALT, (), "49 rows; a sketch takes 50 to"),
        (np.broadcast_to(np.float32(1.0), (MOST_ROWS + 1, 2)), SALT, (), "4194305 rows"),
        (np.ones(100), SALT, (), "no table of rows"),
        (np.ones(()), SALT, (), "no table of rows"),
        (np.ones((100, 0)), SALT, (), "no table of rows"),
        (np.ones((100, 2), dtype=complex), SALT, (), "are no numbers"),
        (np.full((100, 2), "x"), SALT, (), "are no numbers"),
        (records(), b"short", (), "the salt has 5 bytes"),
        (records(), SALT, (5, 5), "no rows of shape"),
        (records(), SALT, (-5, -6), "no rows of shape"),
        (np.where(np.arange(60)[:, None] == 33, 1e300, np.ones((60, 2))), SALT, (), "row 33 holds"),
        (np.where(np.arange(60)[:, None] == 12, -np.inf, np.ones((60, 2))), SALT, (), "row 12 holds"),
    ],
)
def test_rows_that_no_sketch_can_be_made_of(
    x: npt.NDArray[np.generic], salt: bytes, shape: tuple[int, ...], told: str
) -> None:
    with pytest.raises(SketchError, match=told):
        sketch_rows(x, salt, shape)


def test_a_file_gives_back_what_was_saved_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "train.vds"
    sketch().save(path)
    loaded = TrainingSketch.load(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert (loaded.shape, loaded.rows) == ((30,), 400)
    assert loaded.encoded() == sketch().encoded()
    np.testing.assert_array_equal(agreeing(loaded, records()), agreeing(sketch(), records()))


@settings(max_examples=60)
@given(at=st.floats(0.0, 1.0, exclude_max=True), by=st.integers(1, 255), cut=st.booleans())
def test_damaged_files_are_refused(tmp_path_factory: pytest.TempPathFactory, at: float, by: int, cut: bool) -> None:
    blob = bytearray(sketch().encoded())
    place = int(at * len(blob))
    blob[place] ^= by
    path = tmp_path_factory.mktemp("damaged") / "train.vds"
    path.write_bytes(blob[:place] if cut else blob)
    with pytest.raises(SketchError, match=r"train\.vds"):
        TrainingSketch.load(path)


def _without(name: str) -> Callable[[Params], Params]:
    return lambda params: {key: value for key, value in params.items() if key != name}


@pytest.mark.parametrize(
    "forge",
    [
        _without("tags"),
        _without("median"),
        lambda p: p | {"width": np.array(0.0)},
        lambda p: p | {"width": np.array([1.0, 2.0])},
        lambda p: p | {"bits": np.array(64)},
        lambda p: p | {"scale": p["scale"] * -1.0},
        lambda p: p | {"scale": p["scale"][:-1]},
        lambda p: p | {"members": p["members"] + 100},
        lambda p: p | {"offsets": p["offsets"] * np.nan},
        lambda p: p | {"begins": p["begins"] + 1},
        lambda p: p | {"begins": p["begins"][::-1].copy()},
        lambda p: p | {"begins": p["begins"][:1]},
        lambda p: p | {"signs": p["signs"][:3]},
    ],
)
def test_files_with_a_right_checksum_and_wrong_arrays_are_refused(
    tmp_path: Path, forge: Callable[[Params], Params]
) -> None:
    forged = replace(sketch(), params=forge(sketch().params))
    forged.save(tmp_path / "forged.vds")
    with pytest.raises(SketchError, match="make no sense"):
        TrainingSketch.load(tmp_path / "forged.vds")


def test_files_of_other_facts_or_kinds_are_refused(tmp_path: Path) -> None:
    replace(sketch(), shape=(31,)).save(tmp_path / "facts.vds")
    with pytest.raises(SketchError, match="facts make no sense"):
        TrainingSketch.load(tmp_path / "facts.vds")
    Baseline({}).save(tmp_path / "b.vdb")
    with pytest.raises(SketchError, match="not a Vedette training sketch"):
        TrainingSketch.load(tmp_path / "b.vdb")
    sketch().save(tmp_path / "s.vds")
    with pytest.raises(BaselineError, match="not a Vedette baseline"):
        Baseline.load(tmp_path / "s.vds")
    with (tmp_path / "huge.vds").open("wb") as file:
        file.truncate(baseline_file.MAX_BYTES + 1)
    with pytest.raises(SketchError, match="larger than"):
        TrainingSketch.load(tmp_path / "huge.vds")


def test_other_units_than_the_requests_have_show() -> None:
    clean = honest(1)
    pixels = sketch_rows(np.round(clean.x * 255.0), SALT, clean.shape)
    assert pixels.spread_ratio(clean) == pytest.approx(1.0 / 255.0, rel=0.2)
    same = sketch_rows(clean.x, SALT, clean.shape)
    assert same.spread_ratio(clean) == pytest.approx(1.0, rel=0.5)
    assert same.hit_share(clean) == 1.0
    assert np.isnan(same.spread_ratio(replace(clean, x=np.ones_like(clean.x))))
