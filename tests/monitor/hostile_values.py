"""Hostile records whose numbers, types and shapes are wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from monitor.codec.limits import Limits
from monitor.event import Reason
from tests.monitor.hostile_parts import DROP, Hostile, event_json, spliced


def missing_and_mistyped() -> Iterator[Hostile]:
    yield "empty object", b"{}", Reason.MISSING_FIELD
    yield "only unknown fields", b'{"a":1,"b":[2]}', Reason.MISSING_FIELD
    yield "field in capitals", event_json(id=DROP, ID="r-1"), Reason.MISSING_FIELD
    for field in ("id", "ts", "model", "inputs"):
        yield f"no {field}", event_json(**{field: DROP}), Reason.MISSING_FIELD
        yield f"{field} null", event_json(**{field: None}), Reason.WRONG_TYPE
    wrong: dict[str, list[Any]] = {
        "id": [1, 1.5, True, [], {}, ["r-1"]],
        "ts": [True, [], {}, [1763683200]],
        "model": [7, False, ["digits"], {"name": "digits"}],
        "version": [3, 3.1, True, ["3"]],
        "client": ["acct-7", 7, [], ["acct-7"], True],
        "inputs": ["0,1,2", 1, True, {}, {"0": 1}, [True], [False], ["1"], ["NaN"], [{}], [[1, True]], [[1], ["2"]],
                   [{"a": 1}]],
        "shape": ["2x2", 4, [2.0, 2.0], ["2", "2"], [True, 4], [None], [[2, 2]], {}],
        "rows": ["1", 1.0, 1.5, True, [1], {}],
        "outputs": [[0.1, 0.9], "1", 1, True],
        "embedding": ["x", 1.0, [None], ["1"], [True], {}],
        "tags": [["a"], "a", 1, {"a": 1}, {"a": None}, {"a": ["b"]}, {"a": {"b": "c"}}, {"a": True}],
    }  # fmt: skip
    for field, values in wrong.items():
        for value in values:
            yield f"{field} is {json.dumps(value)}", event_json(**{field: value}), Reason.WRONG_TYPE
    for field in ("id", "ip"):
        for value in (7, True, ["x"], {}):
            yield f"client.{field} is {json.dumps(value)}", event_json(client={field: value}), Reason.WRONG_TYPE


def numbers() -> Iterator[Hostile]:
    for token in ("NaN", "-NaN", "nan", "Infinity", "-Infinity", "inf", "+1", ".5", "1.", "01", "0x10", "1e", "1e+",
                  "--1", "1_000", "1,5,", "٣", "½", "1f", "1 2"):  # fmt: skip
        yield f"no number in inputs: {token}", spliced("inputs", f"[0, 1, 2, {token}]"), Reason.MALFORMED
    for field in ("ts", "rows"):
        yield f"NaN as {field}", spliced(field, "NaN"), Reason.MALFORMED
    for token in (
        "1e400",
        "-1e400",
        "1e99999999999999999999",
        "9" * 400,
        "9" * 100_000,
        "3.5e38",
        "-3.5e38",
        "1e39",
        "1e308",
    ):
        label = token if len(token) < 30 else f"{len(token)} digits"
        yield f"input past float32: {label}", spliced("inputs", f"[0, 1, 2, {token}]"), Reason.OUT_OF_RANGE
        yield f"score past float32: {label}", spliced("outputs", f'{{"scores":[0.5,{token}]}}'), Reason.OUT_OF_RANGE
    yield "nested input past float32", spliced("inputs", "[[0,1],[2,1e39]]"), Reason.OUT_OF_RANGE
    yield "input past float32 beside null", spliced("inputs", "[0,1,null,1e39]"), Reason.OUT_OF_RANGE
    yield "value past float32", spliced("outputs", '{"value":1e39}'), Reason.OUT_OF_RANGE
    yield "embedding past float32", spliced("embedding", "[1e39]"), Reason.OUT_OF_RANGE


def shapes(limits: Limits) -> Iterator[Hostile]:
    mismatched: dict[str, dict[str, Any]] = {
        "inputs empty": {"inputs": [], "shape": DROP},
        "inputs empty and nested": {"inputs": [[], []], "shape": DROP},
        "inputs empty of shape 0": {"inputs": [], "shape": [0]},
        "shape too small": {"shape": [2]},
        "shape too large": {"shape": [2, 3]},
        "shape with zero": {"shape": [0, 4]},
        "shape with minus one": {"shape": [-1]},
        "shape of two negatives": {"shape": [-2, -2]},
        "shape empty": {"shape": []},
        "shape of nine dimensions": {"shape": [1] * 8 + [4]},
        "shape of ten thousand dimensions": {"shape": [1] * 10_000},
        "shape wrapping 64 bits to 4": {"shape": [2**32, 2**32 + 4]},
        "shape wrapping 64 bits to 0": {"shape": [2**32, 2**32]},
        "shape of 300 digits": {"shape": [10**300, 10**300]},
        "rows do not divide": {"rows": 3, "shape": DROP},
        "rows times shape too large": {"rows": 2},
        "more rows than values": {"rows": 5, "shape": DROP},
        "ragged": {"inputs": [[1, 2], [3]], "shape": DROP},
        "ragged deeper": {"inputs": [[[1, 2], [3, 4]], [[5, 6], [7]]], "shape": DROP},
        "number beside array": {"inputs": [1, [2]], "shape": DROP},
        "array beside number": {"inputs": [[1], 2], "shape": DROP},
        "null beside array": {"inputs": [None, [2]], "shape": DROP},
        "array beside null": {"inputs": [[1], None], "shape": DROP},
        "array beside empty array": {"inputs": [[1], []], "shape": DROP},
    }
    for label, fields in mismatched.items():
        yield f"shape: {label}", event_json(**fields), Reason.SHAPE_MISMATCH
    for rows in (0, -1, limits.max_rows + 1, 2**31, 2**63, 2**64, -(2**63), 10**300):
        label = str(rows) if abs(rows) < 10**20 else "300 digits"
        yield f"rows: {label}", event_json(rows=rows, shape=DROP), Reason.OUT_OF_RANGE
    yield "rows: 5000 digits", spliced("rows", "9" * 5000), Reason.OUT_OF_RANGE
    yield "shape: 5000 digits", spliced("shape", "[" + "9" * 5000 + "]"), Reason.OUT_OF_RANGE
    many = limits.max_rows + 1
    yield "rows: one too many, all there", event_json(rows=many, inputs=[0] * many, shape=DROP), Reason.OUT_OF_RANGE


def outputs() -> Iterator[Hostile]:
    wrong: list[Any] = [
        {"scores": 0.5}, {"scores": "0.5"}, {"scores": [None, 1]}, {"scores": [True]}, {"scores": ["1"]},
        {"scores": {}}, {"label": True}, {"label": 1.0}, {"label": {}}, {"label": [None]}, {"label": [1.5]},
        {"label": [[1]]}, {"label": [True]}, {"value": "1"}, {"value": True}, {"value": [None]}, {"value": ["1"]},
        {"value": {}}, {"value": [[1]]}, {"scores": [[[0.5]]]},
    ]  # fmt: skip
    for outputs in wrong:
        yield f"outputs: {json.dumps(outputs)}", event_json(outputs=outputs), Reason.WRONG_TYPE
    yield "outputs: labels of two kinds", _two_rows(label=[1, "a"]), Reason.WRONG_TYPE
    unfit: dict[str, dict[str, Any]] = {
        "no scores": {"scores": []},
        "empty rows of scores": {"scores": [[], []]},
        "three scores for two rows": {"scores": [0.1, 0.2, 0.7]},
        "ragged scores": {"scores": [[0.1, 0.9], [1.0]]},
        "score beside array": {"scores": [0.1, [0.9]]},
        "one label for two rows": {"label": 1},
        "no labels for two rows": {"label": []},
        "three labels for two rows": {"label": [1, 2, 3]},
        "one value for two rows": {"value": 1.5},
        "three values for two rows": {"value": [1, 2, 3]},
        "no values for two rows": {"value": []},
    }
    for label, outputs in unfit.items():
        yield f"outputs: {label}", _two_rows(**outputs), Reason.SHAPE_MISMATCH
    yield "outputs: two labels for one row", event_json(outputs={"label": [1, 2]}), Reason.SHAPE_MISMATCH
    yield "outputs: 10,000 labels for one row", event_json(outputs={"label": [1] * 10_000}), Reason.SHAPE_MISMATCH
    yield "embedding: empty", event_json(embedding=[]), Reason.SHAPE_MISMATCH
    yield (
        "embedding: three values for two rows",
        event_json(rows=2, shape=[2], outputs={}, embedding=[1, 2, 3]),
        Reason.SHAPE_MISMATCH,
    )
    for label_value in (2**63, -(2**63) - 1, 10**300):
        yield (
            f"outputs: label of {len(str(label_value))} digits",
            event_json(outputs={"label": label_value}),
            Reason.OUT_OF_RANGE,
        )


def _two_rows(**outputs: Any) -> bytes:
    return event_json(rows=2, shape=[2], outputs=outputs)
