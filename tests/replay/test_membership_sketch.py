"""``vedette sketch`` and what becomes of it: files good and bad, and a prober of a really trained model."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from command_line import vedette

from detectors.baseline import Baseline
from detectors.finding import Finding
from detectors.panel import Panel
from detectors.sketching import sketch_rows
from detectors.training_sketch import TrainingSketch
from monitor.columns import to_batches
from monitor.errors import UserError
from monitor.event import Event
from replay.demo.workspace import shipped
from replay.recording import RecordingWriter
from replay.simulate.datasets.space import DECIMALS
from replay.simulate.served import served_model
from replay.sketch_options import NamedSketch, usable
from replay.training_set import read_training_set

START_TS = 1_763_600_000.0
SALT = "a salt nobody knows"

Array = npt.NDArray[np.float64]


def rows(count: int = 60) -> Array:
    return np.random.default_rng(1).normal(size=(count, 3))


def csv_of(x: Array, header: str = "") -> str:
    return header + "\n".join(",".join(f"{value!r}" for value in row) for row in x.tolist()) + "\n"


@pytest.fixture
def salt(tmp_path: Path) -> Path:
    path = tmp_path / "salt"
    path.write_text(SALT + "\n", encoding="utf-8")
    return path


def test_npy_npz_and_csv_of_the_same_rows_give_the_same_bytes(tmp_path: Path, salt: Path) -> None:
    np.save(tmp_path / "a.npy", rows())
    np.savez_compressed(tmp_path / "b.npz", x=rows(), y=np.arange(60))
    np.savez(tmp_path / "c.npz", rows())
    (tmp_path / "d.csv").write_text(csv_of(rows()), encoding="utf-8")
    table = np.column_stack([rows()[:, :1], np.arange(60), rows()[:, 1:]])
    (tmp_path / "e.csv").write_text("\ufeff" + csv_of(table, "one,label,two,three\n\n"), encoding="utf-8")
    expected = sketch_rows(rows(), SALT.encode()).encoded()
    for name, more in (
        ("a.npy", []),
        ("b.npz", ["--array", "x"]),
        ("c.npz", []),
        ("d.csv", []),
        ("e.csv", ["--leave-out", "label"]),
        ("e.csv", ["--leave-out", "2"]),
    ):
        out = tmp_path / "train.vds"
        ran = vedette("sketch", tmp_path / name, "-o", out, "--salt-file", salt, *more)
        assert ran.code == 0, ran.err
        assert out.read_bytes() == expected
        assert out.stat().st_mode & 0o777 == 0o600
        assert "60 rows" in ran.words


def test_without_a_salt_file_each_sketch_has_a_salt_of_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", rows())
    for out in ("one.vds", "other.vds"):
        assert vedette("sketch", tmp_path / "a.npy", "-o", tmp_path / out).code == 0
    one, other = (TrainingSketch.load(tmp_path / out).params["tags"] for out in ("one.vds", "other.vds"))
    assert not np.array_equal(one, other)


def test_empty_cells_are_missing_values(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,\n NA ,2.5\nnan,-3e2\n", encoding="utf-8")
    np.testing.assert_array_equal(
        read_training_set(tmp_path / "a.csv"), np.array([[1, np.nan], [np.nan, 2.5], [np.nan, -300]], dtype=np.float32)
    )


class Planted:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.mark),))


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    planted = np.array([Planted(tmp_path / "planted")], dtype=object)
    np.save(tmp_path / "a.npy", planted, allow_pickle=True)
    np.savez(tmp_path / "b.npz", planted)
    (tmp_path / "c.npy").write_bytes(pickle.dumps(Planted(tmp_path / "planted")))
    (tmp_path / "d.npz").write_bytes((tmp_path / "c.npy").read_bytes())
    for name in ("a.npy", "b.npz", "c.npy", "d.npz"):
        ran = vedette("sketch", tmp_path / name, "-o", tmp_path / "out.vds")
        assert ran.code == 2
        assert f"{name}: no array of numbers can be read from it" in ran.words
    assert not (tmp_path / "planted").exists()
    assert not (tmp_path / "out.vds").exists()


@pytest.mark.parametrize(
    ("name", "content", "more", "told"),
    [
        ("a.csv", "", [], "it is empty"),
        ("a.csv", "a,b\n", [], "no table of rows"),
        ("a.csv", "a,b\n1,2\n3\n", [], "line 3: 1 cells, the first line has 2"),
        ("a.csv", "a,b\n1,2\n3,[red]x[/]\n", [], "line 3, column 2 ('b'): '[red]x[/]' is no number"),
        ("a.csv", "1,2\n3,x\n", [], "line 2, column 2: 'x' is no number"),
        ("a.csv", "1,2\n", ["--leave-out", "label"], "no column 'label' to leave out; there are 1 to 2"),
        ("a.csv", "a\n1\n", ["--leave-out", "a"], "no column is left"),
        ("a.csv", "1,2\n3,inf\n" * 40, [], "row 1 holds an infinite value"),
        ("a.csv", "1,2\n" * 10, [], "10 rows; a sketch takes 50"),
        ("a.csv", b"\xff\xfe\x00", [], "no UTF-8 text"),
        ("a.csv", '"' + "9" * 200_000 + '"', [], "field larger than field limit"),
        ("a.npy", b"\x93NUMPY\x01\x00", [], "no array of numbers"),
        ("a.npy", b"", [], "no array of numbers"),
        ("a.npz", b"PK\x03\x04 nonsense", [], "no array of numbers"),
        ("a.parquet", b"", [], "a training set is .npy, .npz or .csv"),
        ("a.npy", b"", ["--leave-out", "1"], "--leave-out is for columns of a .csv"),
        ("a.csv", "", ["--array", "x"], "--array is for the arrays of an .npz"),
    ],
)
def test_files_that_no_sketch_can_be_made_of(
    tmp_path: Path, name: str, content: str | bytes, more: list[str], told: str
) -> None:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    ran = vedette("sketch", tmp_path / name, "-o", tmp_path / "out.vds", *more)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert told in ran.words
    assert not (tmp_path / "out.vds").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--array", "z"], "no array 'z'; there are x, y"),
        ([], "choose one of its arrays with --array; there are x, y"),
        (["--array", "x", "--shape", "2,2"], "no rows of shape (2, 2)"),
        (["--array", "x", "--shape", "3;1"], "whole numbers with commas"),
        (["--array", "x", "--salt-file", "absent"], "cannot read file absent"),
        (["--array", "y"], "no table of rows"),
    ],
)
def test_what_else_sketch_refuses(tmp_path: Path, more: list[str], told: str) -> None:
    np.savez(tmp_path / "a.npz", x=rows(), y=np.arange(60))
    ran = vedette("sketch", tmp_path / "a.npz", "-o", tmp_path / "out.vds", *more)
    assert ran.code == 2
    assert told in ran.words


def test_help_says_what_to_keep_secret() -> None:
    ran = vedette("sketch", "--help", columns=120)
    assert "Keep both like a password" in ran.words
    assert "--training-sketch" in vedette("calibrate", "--help", columns=200).words


def test_which_model_a_sketch_is_of(tmp_path: Path) -> None:
    """The shipped clean traffic is of two models, digits and digits-edge."""
    clean, path = shipped("clean.jsonl.zst"), tmp_path / "train.vds"
    sketch_rows(rows(), SALT.encode()).save(path)
    (tmp_path / "bad.vds").write_bytes(path.read_bytes()[:-9])
    for given, told in (
        ([path], f"say which model it is of, MODEL={path}; there are digits, digits-edge"),
        ([f"mnist={path}"], "no model 'mnist' in the clean traffic"),
        ([f"digits={path}", f"digits={path}"], "model 'digits' has"),
        ([f"digits={tmp_path / 'bad.vds'}"], "cut short or damaged (vedette sketch makes one)"),
        ([f"digits={tmp_path / 'absent.vds'}"], "No such file"),
        ([f"digits={path}"], "training sketch is of rows of shape (3,), the clean requests have (8, 8)"),
    ):
        options = [word for option in given for word in ("--training-sketch", option)]
        ran = vedette("calibrate", clean, "-o", tmp_path / "out.vdb", *options, columns=400)
        assert ran.code == 2
        assert told in ran.words
    assert not (tmp_path / "out.vdb").exists()


def measured(seed: int, pool: Array, client: str, count: int) -> list[Event]:
    """One client's requests to the model of tumours: people of ``pool`` as its instrument measures them."""
    model, rng = served_model("tumours"), np.random.default_rng([seed, int(client.rpartition("-")[2])])
    device = model.data.device(rng)
    return asked([device.capture(pool[int(rng.integers(len(pool)))], 0.0) for _ in range(count)], client, rng)


def asked(inputs: list[Array], client: str, rng: np.random.Generator) -> list[Event]:
    model = served_model("tumours")
    x = np.round(np.stack(inputs), DECIMALS)
    scores = model.scores(x)
    return [
        Event(
            id=f"{client}/{i}",
            ts=round(START_TS + i * 40.0 + float(rng.uniform(0.0, 30.0)), 3),
            model="tumours",
            x=x[i : i + 1].astype(np.float32),
            shape=(30,),
            version="1",
            client_id=client,
            scores=scores[i : i + 1].astype(np.float32),
            labels=scores[i : i + 1].argmax(axis=1).astype(np.int64),
        )
        for i in range(len(x))
    ]


def test_a_prober_of_a_really_trained_model_is_found_and_honest_clients_are_not(tmp_path: Path) -> None:
    """Half of the prober's candidates trained the model; one prober asks as they are, one under noise."""
    data, out = served_model("tumours").data, tmp_path / "baseline.vdb"
    np.save(tmp_path / "train.npy", data.split.train.x)
    assert vedette("sketch", tmp_path / "train.npy", "-o", tmp_path / "train.vds").code == 0
    with RecordingWriter(tmp_path / "clean.vdt.zst") as writer:
        for event in (e for i in range(40) for e in measured(1, data.split.a.x, f"clean-{i}", 40)):
            writer.write(event)
    ran = vedette(
        "calibrate", tmp_path / "clean.vdt.zst", "-o", out, "--training-sketch", tmp_path / "train.vds", columns=200
    )
    assert ran.code == 0, ran.err
    assert "of the clean requests are training records" in ran.words
    assert "membership_hits" in ran.words
    assert out.stat().st_mode & 0o777 == 0o600

    rng = np.random.default_rng(3)
    candidates = rng.permutation(np.concatenate([data.split.train.x[:40], data.split.b.x[:40]]))
    noise = rng.normal(0.0, 0.002, candidates.shape) * (data.space.high - data.space.low)
    events = asked(list(candidates), "prober", rng) + asked(list(candidates + noise), "careful-prober", rng)
    events += [e for i in range(25) for e in measured(2, data.split.b.x, f"honest-{i}", 60)]
    findings: list[Finding] = []
    panel = Panel("tumours", Baseline.load(out).models["tumours"], 0.01)
    for batch in to_batches(sorted(events, key=lambda e: e.ts)):
        panel.step(batch, lambda f: findings.append(f) or False)  # type: ignore[func-returns-value]  # append gives None
    mine = [f for f in findings if f.detector == "membership_hits"]
    assert {f.subject.value for f in mine} == {"prober", "careful-prober"}
    assert len(mine[0].evidence["events"]) < 30


def test_people_are_told_of_units_and_of_common_records(tmp_path: Path) -> None:
    people = served_model("tumours").data.split.a.x
    batch = next(iter(to_batches([e for i in range(20) for e in measured(1, people, f"c-{i}", 10)])))
    own = NamedSketch(tmp_path, sketch_rows(batch.x, SALT.encode()))
    kept, notes = usable({"tumours": own}, {"tumours": batch})
    assert not kept
    assert "left out" in " ".join(notes)
    other = NamedSketch(tmp_path, sketch_rows(batch.x * 255.0, SALT.encode()))
    kept, notes = usable({"tumours": other}, {"tumours": batch})
    assert kept == {"tumours": other}
    assert "same units" in " ".join(notes)


def test_a_table_with_too_many_rows_is_refused_before_it_fills_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.training_set.MOST_ROWS", 100)
    (tmp_path / "a.csv").write_text("1,2\n" * 101, encoding="utf-8")
    with pytest.raises(UserError, match="more than 100 rows"):
        read_training_set(tmp_path / "a.csv")
