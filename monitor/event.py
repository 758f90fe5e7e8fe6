"""One validated inference event. The codecs make it; everything after them may trust it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.batch import NO_LABEL

ANONYMOUS = "client:anonymous"
MAX_DETAIL_CHARS: Final = 200


@lru_cache(maxsize=4096)
def label_hash(name: str) -> int:
    """A string label as a number: the low 62 bits of its BLAKE2b digest, so never negative; the same everywhere."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") & (2**62 - 1)


def client_key(client_id: str, address: str) -> str:
    """Whose request it is: the authenticated id where there is one, else the canonical address, else anonymous."""
    if client_id:
        return f"client:{client_id}"
    return f"ip:{address}" if address else ANONYMOUS


def client_keys(client_ids: Sequence[str], addresses: Sequence[str]) -> list[str]:
    """``client_key`` of each; mostly without a call."""
    if all(client_ids):
        return list(map("client:".__add__, client_ids))
    return list(map(client_key, client_ids, addresses))


class Event(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One request to a model with its response, validated: shapes fit, numbers are finite or NaN for missing.

    No cycle can be made of it: no work for the collector.

    Attributes:
        x: inputs, float32 ``(rows, d)``; NaN is a missing value.
        scores: class scores, float32 ``(rows, k)`` or None.
        labels: int64 ``(rows,)``, ``NO_LABEL`` where none; string labels hashed stably to 62 bits.
        label_names: the labels as served, when they were strings (for writing back); else None.
        values: regression outputs, float32 ``(rows,)`` or None.
        embedding: the model's inner representation, float32 ``(rows, e)`` or None.
    """

    id: str
    ts: float
    model: str
    x: npt.NDArray[np.float32]
    shape: tuple[int, ...]
    version: str = ""
    client_id: str = ""
    client_ip: str = ""
    scores: npt.NDArray[np.float32] | None = None
    labels: npt.NDArray[np.int64] | None = None
    label_names: tuple[str, ...] | None = None
    values: npt.NDArray[np.float32] | None = None
    embedding: npt.NDArray[np.float32] | None = None
    tags: dict[str, str] = {}

    @property
    def rows(self) -> int:
        return len(self.x)

    @property
    def client(self) -> str:
        """Client key: the authenticated id where there is one, else the address, else anonymous."""
        return client_key(self.client_id, self.client_ip)

    def served_labels(self) -> npt.NDArray[np.int64]:
        """The label per row: as served, else the arg-max of the scores, else ``NO_LABEL``."""
        if self.labels is not None:
            return self.labels
        if self.scores is not None and self.scores.shape[1]:
            return np.asarray(np.argmax(self.scores, axis=1), dtype=np.int64)
        return np.full(self.rows, NO_LABEL, dtype=np.int64)


class Reason(str, Enum):
    """Why a record is no event; travels with it to the dead-letter topic."""

    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    TOO_DEEP = "too_deep"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    NON_FINITE = "non_finite"
    SHAPE_MISMATCH = "shape_mismatch"
    BAD_ID = "bad_id"
    BAD_TIME = "bad_time"
    BAD_ADDRESS = "bad_address"
    OUT_OF_RANGE = "out_of_range"
    EMPTY = "empty"
    UNKNOWN_FORMAT = "unknown_format"


class Rejection(ValueError):  # noqa: N818 - it names the outcome for a record; the record is bad, not the program
    """A record that is not an event: ``reason`` for machines, ``detail`` for people.

    A detail may quote hostile text, so it is made printable ASCII (anything else becomes a backslash escape) and cut
    at ``MAX_DETAIL_CHARS``: it can be logged, sent in a header, or shown in a terminal as it is.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        text = detail[: MAX_DETAIL_CHARS + 1].encode("unicode_escape").decode("ascii")
        self.reason = reason
        self.detail = text if len(text) <= MAX_DETAIL_CHARS else text[: MAX_DETAIL_CHARS - 3] + "..."
        super().__init__(f"{reason.value}: {self.detail}")
