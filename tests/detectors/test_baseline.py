"""The baseline file: written whole, read back exactly, and refused with a reason when anything is wrong with it."""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import baseline_file
from detectors.alarm import Tails
from detectors.baseline import Baseline, BaselineError, ModelBaseline, Source


def example() -> Baseline:
    rng = np.random.default_rng(0)
    params = {
        "weights": rng.normal(size=(3, 5)).astype(np.float32),
        "scale": np.array(2.5),
        "signs": rng.choice(np.array([-1, 1], dtype=np.int8), size=7),
        "key": rng.integers(0, 1 << 60, size=5, dtype=np.uint64),
        "empty": np.empty((0, 4)),
    }
    tails = Tails(np.array([1.0, 2.0]), np.array([0.1, 0.05]))
    model = ModelBaseline(
        shape=(5,),
        params={"near_duplicate": params, "shift": {"grid": np.arange(6.0)}, "bare": {}},
        versions={"near_duplicate": "1", "shift": "2", "bare": "1"},
        tails={"near_duplicate": tails},
        opinions={"near_duplicate": 950},
        windows={"shift": {"scores": np.arange(4.0), "windows": np.array(4)}},
        rows=1000,
        clients=30,
        client_days=2.5,
        scores=10,
    )
    sources = (Source("clean.jsonl", hashlib.sha256(b"clean").hexdigest()),)
    return Baseline({"m": model, "Bäume/2": replace(model, shape=(1, 5))}, sources, "vedette 0")


def saved(path: Path) -> bytes:
    example().save(path / "b.vdb")
    return (path / "b.vdb").read_bytes()


def resealed(body: bytes) -> bytes:
    """A file with a sound length and checksum, whatever is in it."""
    blob = body[:16] + struct.pack("<Q", len(body) + 32) + body[24:]
    return blob + hashlib.blake2b(blob, digest_size=32).digest()


def with_header(header: object) -> bytes:
    raw = msgspec.msgpack.encode(header)
    padded = raw + b"\0" * (-len(raw) % 8)
    return resealed(struct.pack("<8sHHIQ", b"VEDETTEB", baseline_file.FORMAT, 0, len(raw), 0) + padded)


def refused(path: Path, blob: bytes) -> str:
    file = path / "bad.vdb"
    file.write_bytes(blob)
    with pytest.raises(BaselineError) as caught:
        Baseline.load(file)
    assert str(file) in str(caught.value)
    return str(caught.value)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    example().save(tmp_path / "b.vdb")
    loaded = Baseline.load(tmp_path / "b.vdb")
    assert loaded.sources == example().sources
    assert loaded.made_by == "vedette 0"
    assert loaded.models.keys() == example().models.keys()
    for name, model in example().models.items():
        other = loaded.models[name]
        for field in ("shape", "versions", "opinions", "rows", "clients", "client_days", "scores"):
            assert getattr(other, field) == getattr(model, field), field
        for one, again in ((model.params, other.params), (model.windows, other.windows)):
            assert again.keys() == one.keys()
            for detector, arrays in one.items():
                assert again[detector].keys() == arrays.keys()
                for key, value in arrays.items():
                    assert again[detector][key].dtype == value.dtype
                    np.testing.assert_array_equal(again[detector][key], value)
        np.testing.assert_array_equal(other.tails["near_duplicate"].bounds, model.tails["near_duplicate"].bounds)


def test_the_same_baseline_gives_the_same_bytes_and_checksum(tmp_path: Path) -> None:
    one = saved(tmp_path)
    shuffled = example()
    shuffled = Baseline(dict(reversed(shuffled.models.items())), shuffled.sources, shuffled.made_by)
    shuffled.save(tmp_path / "c.vdb")
    assert (tmp_path / "c.vdb").read_bytes() == one
    assert Baseline.load(tmp_path / "c.vdb").checksum == example().checksum == one[-32:].hex()
    assert replace(example(), made_by="other").checksum != example().checksum


def test_derived_figures() -> None:
    model = example().models["Bäume/2"]
    assert model.d == 5
    assert model.rows_per_client_day == 400.0
    assert model.started_per_client_day(["near_duplicate"]) == 380.0 * model.tails["near_duplicate"].started
    assert model.started_per_client_day([]) == 0.0


def test_saving_replaces_a_file_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved(tmp_path)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace(example(), made_by="newer").save(tmp_path / "b.vdb")
    assert (tmp_path / "b.vdb").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["b.vdb"]


def test_other_files_are_no_baselines(tmp_path: Path) -> None:
    for blob in (b"", b"VEDETTEB", b"\x80\x04pickle" * 20, b"{}" * 100, os.urandom(4096)):
        assert "not a Vedette baseline" in refused(tmp_path, blob)
    with pytest.raises(FileNotFoundError):
        Baseline.load(tmp_path / "none.vdb")


def test_another_format_is_named(tmp_path: Path) -> None:
    blob = saved(tmp_path)
    assert f"format 7, but this version reads format {baseline_file.FORMAT}" in refused(
        tmp_path, blob[:8] + b"\x07\x00" + blob[10:]
    )


@settings(max_examples=60)
@given(length=st.integers(56, 10_000))
def test_a_file_cut_short_is_refused(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = tmp_path_factory.getbasetemp()
    blob = saved(path)
    assert "cut short or damaged" in refused(path, blob[: min(length, len(blob) - 1)])


@settings(max_examples=150)
@given(where=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(tmp_path_factory: pytest.TempPathFactory, where: int, bit: int) -> None:
    path = tmp_path_factory.getbasetemp()
    blob = bytearray(saved(path))
    blob[where % len(blob)] ^= 1 << bit
    assert refused(path, bytes(blob))


META = {"models": {}, "sources": [], "made_by": ""}
FACTS = {"shape": [2], "versions": {}, "opinions": {}, "rows": 1, "clients": 1, "client_days": 1.0, "scores": 0}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ([], "header makes no sense"),
        ({"meta": META}, "header makes no sense"),
        ({"meta": {"models": 3}, "arrays": []}, "header makes no sense"),
        ({"meta": META, "arrays": [[["m", "params", "x", "y"], "<f8", [1 << 60]]]}, "type or shape makes no sense"),
        ({"meta": META, "arrays": [[["m", "params", "x", "y"], "<f8", [1 << 28]]]}, "longer than the file"),
        ({"meta": META, "arrays": [[["m", "params", "x", "y"], "<f8", [1 << 29] * 8]]}, "longer than the file"),
        ({"meta": META, "arrays": [[["m", "params", "x", "y"], "<f8", [-1]]]}, "type or shape makes no sense"),
        ({"meta": META, "arrays": [[["m", "params", "x", "y"], "|O", [1]]]}, "type or shape makes no sense"),
        ({"meta": META, "arrays": [[["m", "params", "x", "y"], "<f8", [0, 1]]]}, "belongs to no model"),
        ({"meta": {**META, "models": {"m": {**FACTS, "client_days": 0.0}}}, "arrays": []}, "facts make no sense"),
        ({"meta": {**META, "models": {"m": {**FACTS, "client_days": 1e999}}}, "arrays": []}, "facts make no sense"),
        ({"meta": {**META, "models": {"m": {**FACTS, "shape": []}}}, "arrays": []}, "facts make no sense"),
        ({"meta": {**META, "models": {"m": {**FACTS, "shape": [0]}}}, "arrays": []}, "facts make no sense"),
        (
            {
                "meta": {**META, "models": {"m": FACTS}},
                "arrays": [[["m", "tails", "x", "levels"], "<f8", [0]], [["m", "tails", "x", "bounds"], "<f8", [0]]],
            },
            "lines or tail rates",
        ),
        (
            {"meta": {**META, "models": {"m": FACTS}}, "arrays": [[["m", "tails", "x", "levels"], "<f8", [0]]]},
            "lines or tail rates",
        ),
        ({"meta": {**META, "models": {"m": {**FACTS, "opinions": {"x": 1}}}}, "arrays": []}, "numbers of opinions"),
    ],
)
def test_a_hostile_header_is_refused_before_anything_is_allocated(tmp_path: Path, header: object, reason: str) -> None:
    assert reason in refused(tmp_path, with_header(header))


def test_a_header_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    body = struct.pack("<8sHHIQ", b"VEDETTEB", baseline_file.FORMAT, 0, 1 << 30, 0) + b"\0" * 64
    assert "header is longer than the file" in refused(tmp_path, resealed(body))


def test_a_file_larger_than_any_baseline_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline_file, "MAX_BYTES", 100)
    assert "more than a baseline can have" in refused(tmp_path, saved(tmp_path))


def test_objects_are_not_written(tmp_path: Path) -> None:
    model = replace(example().models["m"], params={"x": {"y": np.array([object()])}})
    with pytest.raises(ValueError, match="does not hold"):
        Baseline({"m": model}).save(tmp_path / "b.vdb")
    assert list(tmp_path.iterdir()) == []
