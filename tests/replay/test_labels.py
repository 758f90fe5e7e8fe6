from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.finding import Attack
from replay.labels import (
    BENIGN,
    Labels,
    LabelsError,
    decode_labels,
    encode_labels,
    labels_path,
    read_labels,
    split_label,
)

attack_labels = st.builds(
    lambda kind, name: f"{kind.value}:{name}", st.sampled_from(Attack), st.text('ab:<"\u202eé😀', min_size=1)
)
names = st.text('ab:<"\\\n\u202eé😀', max_size=30)


@given(
    st.dictionaries(names, st.just(BENIGN) | attack_labels),
    st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False)),
)
def test_labels_survive_the_file(clients: dict[str, str], onsets: dict[str, float]) -> None:
    labels = Labels(clients=clients, shift_onset=onsets)
    raw = encode_labels(labels)
    assert decode_labels(raw) == labels
    assert raw == encode_labels(decode_labels(raw))


@given(st.binary(max_size=200))
def test_any_bytes_are_labels_or_an_error(raw: bytes) -> None:
    try:
        labels = decode_labels(raw)
    except LabelsError:
        return
    assert decode_labels(encode_labels(labels)) == labels


def test_attackers_and_honest_are_told_apart_in_file_order() -> None:
    labels = Labels(clients={"b": "evasion:pgd", "a": BENIGN, "c": "extraction:knockoff"})
    assert labels.attackers() == {"b": (Attack.EVASION, "pgd"), "c": (Attack.EXTRACTION, "knockoff")}
    assert labels.honest() == ("a",)


def test_a_name_may_hold_a_colon() -> None:
    assert split_label("evasion:a:b") == (Attack.EVASION, "a:b")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "not a labels file"),
        (b"[]", "not a labels file"),
        (b'{"client":{}}', "unknown field"),
        (b'{"clients":{"a":1}}', "clients"),
        (b'{"clients":{},"shift_onset":{"m":"noon"}}', "shift_onset"),
        (b'{"clients":{"a":"evil"}}', "client 'a': label 'evil'"),
        (b'{"clients":{"a":"evasion:"}}', "neither 'benign'"),
        (b'{"clients":{"a":"theft:x"}}', "evasion, extraction"),
        (b"[" * 100_000, "not a labels file"),
    ],
)
def test_what_is_no_labels_file_says_why(raw: bytes, said: str) -> None:
    with pytest.raises(LabelsError, match=said):
        decode_labels(raw)


def test_reading_a_file_names_it(tmp_path: Path) -> None:
    path = tmp_path / "x.labels.json"
    path.write_bytes(b"{")
    with pytest.raises(LabelsError, match=r"x\.labels\.json"):
        read_labels(path)


@pytest.mark.parametrize("name", ["demo.jsonl", "demo.jsonl.zst", "demo.vdt"])
def test_labels_lie_next_to_their_recording(tmp_path: Path, name: str) -> None:
    assert labels_path(tmp_path / name) == tmp_path / "demo.labels.json"
