import math
from importlib import import_module

import numpy as np
import pytest

from replay.simulate import MissingExtraError
from replay.simulate.datasets import DATA_SETS, data_set
from replay.simulate.datasets import bundled as bundled_files
from replay.simulate.datasets.claims import COLUMNS
from replay.simulate.datasets.embeddings import train_encoder
from replay.simulate.datasets.examples import Examples, split
from replay.simulate.datasets.space import row_space
from replay.simulate.served import served_model


@pytest.mark.parametrize(
    ("name", "shape", "classes", "right"),
    [
        ("digits", (8, 8), 10, 0.93),
        ("mnist", (28, 28), 10, 0.9),
        ("tumours", (30,), 2, 0.93),
        ("claims", (7,), 3, 0.55),
        ("embeddings", (64,), 10, 0.92),
    ],
)
def test_models_are_really_trained_on_what_is_never_sent(
    name: str, shape: tuple[int, ...], classes: int, right: float
) -> None:
    data, model = data_set(name), served_model(name)
    assert data.space.shape == shape
    assert data.space.classes == classes
    for pool in ("a", "b"):
        examples = data.split.pool(pool)
        assert (model.scores(data.encoded(examples.x)).argmax(axis=1) == examples.y).mean() > right


def test_all_are_listed() -> None:
    assert set(DATA_SETS) == {"digits", "mnist", "tumours", "claims", "embeddings"}
    with pytest.raises(KeyError):
        data_set("x")


@pytest.mark.parametrize("name", sorted(DATA_SETS))
def test_parts_have_every_class_and_are_half_a_quarter_and_a_quarter(name: str) -> None:
    parts = data_set(name).split
    whole = len(parts.train) + len(parts.a) + len(parts.b)
    assert len(parts.train) / whole == pytest.approx(0.5, abs=0.01)
    assert len(parts.a) / whole == pytest.approx(0.25, abs=0.01)
    for part in (parts.train, parts.a, parts.b):
        assert set(part.y.tolist()) == set(range(data_set(name).space.classes))


def test_the_split_is_the_same_each_time_and_loses_nothing() -> None:
    x, y = np.arange(40.0)[:, None], np.arange(40) % 3
    one, again = split(x, y), split(x, y)
    np.testing.assert_array_equal(one.a.x, again.a.x)
    together = np.concatenate([one.train.x, one.a.x, one.b.x])[:, 0]
    np.testing.assert_array_equal(np.sort(together), x[:, 0])


def test_the_unit_cube_and_the_wire_are_the_same_but_for_rounding() -> None:
    x = np.array([[0.0, -5.0, 1.0], [10.0, 5.0, 3.0]])
    space = row_space(x, 2, np.array([False, False, True]))
    np.testing.assert_allclose(space.to_wire(np.array([0.25, 0.5, 0.3])), [[2.5, 0.0, 2.0]])
    np.testing.assert_allclose(space.to_wire(np.array([-1.0, 2.0, 0.0])), [[0.0, 5.0, 1.0]])
    np.testing.assert_allclose(space.to_unit(np.array([[2.5, 0.0, 2.0]])), [[0.25, 0.5, 0.5]])


def test_a_digit_written_again_is_another_picture_of_the_same_digit() -> None:
    data = data_set("mnist")
    device = data.device(np.random.default_rng(3))
    original = data.split.b.x[0]
    shots = np.stack([device.capture(original, 0.0) for _ in range(20)])
    steady = np.stack([device.capture(original, 0.0, True) for _ in range(20)])

    def apart(rows: np.ndarray) -> float:
        return float(np.linalg.norm(rows[1:] - rows[:-1], axis=1).min())

    assert apart(shots) > 3 * apart(steady)
    assert 0.0 <= shots.min() <= shots.max() <= 1.0


def test_embeddings_have_length_1_whoever_sends_them() -> None:
    data = data_set("embeddings")
    device = data.device(np.random.default_rng(1), 0.07)
    seen = np.stack([device.capture(picture, 0.0) for picture in data.split.b.x[:100]])
    for rows in (seen, data.encoded(data.split.train.x)):
        assert rows.shape[1:] == data.space.shape
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0)
    assert np.all(seen != 0.0)
    assert (served_model("embeddings").scores(seen).argmax(axis=1) == data.split.b.y[:100]).mean() > 0.8


def test_a_camera_that_sends_embeddings_changes_as_its_scene_does() -> None:
    data = data_set("embeddings")
    device = data.device(np.random.default_rng(4))
    one, other = (data.split.b.x[data.split.b.of_class(label)[0]] for label in (3, 8))
    frames = [device.capture(device.between(one, other, blend), 0.0, True) for blend in np.linspace(0.0, 1.0, 31)]
    steps = np.linalg.norm(np.diff(frames, axis=0), axis=1)
    assert 0.0 < steps.min() <= steps.max() < 0.3 * np.linalg.norm(frames[-1] - frames[0])


def test_encoder_and_devices_are_the_same_each_time() -> None:
    pictures = data_set("embeddings").split
    few = Examples(pictures.train.x[::10], pictures.train.y[::10])
    encoders = [train_encoder(few) for _ in range(2)]
    np.testing.assert_array_equal(encoders[0](pictures.b.x), encoders[1](pictures.b.x))
    devices = [data_set("embeddings").device(np.random.default_rng(2)) for _ in range(2)]
    for picture in pictures.b.x[:20]:
        np.testing.assert_array_equal(devices[0].capture(picture, 0.0), devices[1].capture(picture, 0.0))


def test_no_embedding_is_in_two_parts() -> None:
    data = data_set("embeddings")
    parts = [data.encoded(part.x).round(4) for part in (data.split.train, data.split.a, data.split.b)]
    together = [row.tobytes() for rows in parts for row in np.unique(rows, axis=0)]
    assert len(set(together)) == len(together)


def test_forms_take_whole_numbers_and_ticked_boxes() -> None:
    data = data_set("claims")
    form = data.device(np.random.default_rng(1), 0.07)
    assert data.space.whole.tolist() == [name in ("mdvis", "idp") for name in COLUMNS]
    rows = np.stack([form.capture(row, 0.0) for row in data.split.b.x[:50]])
    np.testing.assert_array_equal(rows[:, data.space.whole], np.round(rows[:, data.space.whole]))
    np.testing.assert_array_equal(rows[:, COLUMNS.index("idp")], data.split.b.x[:50, COLUMNS.index("idp")])
    early, late = (form.between(data.split.b.x[0], data.split.b.x[1], blend) for blend in (0.4, 0.6))
    assert early[COLUMNS.index("physlm")] == data.split.b.x[0, COLUMNS.index("physlm")]
    assert late[COLUMNS.index("physlm")] == data.split.b.x[1, COLUMNS.index("physlm")]


def test_an_instrument_measures_another_person_each_time_unless_it_is_held_on_one() -> None:
    data = data_set("tumours")
    device = data.device(np.random.default_rng(1), None, math.inf)
    person = data.split.b.x[0]
    apart = [np.linalg.norm(device.capture(person, 0.0) - device.capture(person, 0.0)) for _ in range(20)]
    held = [np.linalg.norm(device.capture(person, 0.0, True) - device.capture(person, 0.0, True)) for _ in range(20)]
    assert np.median(apart) > 3 * np.median(held)


@pytest.mark.parametrize("name", ["mnist", "claims"])
def test_without_its_package_a_data_set_names_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled_files, "find_spec", lambda _package: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'vedette\[simulate\]'"):
        import_module(f"replay.simulate.datasets.{name}").load()


def test_foreign_rows_fill_the_cube_and_are_not_the_data() -> None:
    for name in ("tumours", "mnist", "embeddings"):
        data = data_set(name)
        rows = data.foreign(200)
        assert rows.shape == (200, data.space.features)
        assert 0.0 <= rows.min() <= rows.max() <= 1.0
        assert len(np.unique(rows, axis=0)) > 190
