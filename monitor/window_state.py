"""An open window as it is stored: counts in the narrowest integers that hold them, compressed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard

from detectors.contract import Summary

_LEVEL = 1


@dataclass(slots=True)
class OpenWindow:
    """What one partition knows of one model's window.

    Attributes:
        summaries: by detector name.
        clients: rows taken in so far of each client, for the quota.
        versions: rows per model version; only ``MAX_VERSIONS`` names, the first in alphabetical order, so that
            partitions merge exactly.
        rows: clean rows that came, also those beyond a client's quota.
    """

    summaries: dict[str, Summary] = field(default_factory=dict)
    clients: dict[str, int] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    #: The highest overload level at which any of it was counted.
    level: int = 0


class _Array(msgspec.Struct, array_like=True):
    kind: str
    shape: tuple[int, ...]
    raw: bytes


class _StoredSummary(msgspec.Struct, array_like=True):
    count: int
    counts: dict[str, _Array]
    sample_hash: _Array
    sample_x: _Array
    excess: int


class _Stored(msgspec.Struct, array_like=True):
    baseline: str
    summaries: dict[str, _StoredSummary]
    clients: dict[str, int]
    versions: dict[str, int]
    rows: int
    level: int


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Stored)


def encode(window: OpenWindow, baseline: str) -> bytes:
    """The window as bytes, with the baseline its counts were made with."""
    summaries = {
        name: _StoredSummary(
            s.count, {k: _narrow(v) for k, v in s.counts.items()}, _array(s.sample_hash), _array(s.sample_x), s.excess
        )
        for name, s in window.summaries.items()
    }
    stored = _Stored(baseline, summaries, window.clients, window.versions, window.rows, window.level)
    return zstandard.ZstdCompressor(level=_LEVEL).compress(_ENCODER.encode(stored))


def decode(blob: bytes, baseline: str) -> OpenWindow | None:
    """The window, to the bit; None if it was counted with another baseline, whose counts mean something else.

    Raises:
        ValueError: not the bytes that ``encode`` made.
    """
    try:
        stored = _DECODER.decode(zstandard.ZstdDecompressor().decompress(blob))
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise ValueError(f"stored window is damaged: {error}") from error
    if stored.baseline != baseline:
        return None
    summaries = {
        name: Summary(
            count=s.count,
            counts={k: _restored(v).astype(np.int64) for k, v in s.counts.items()},
            sample_hash=_restored(s.sample_hash),
            sample_x=_restored(s.sample_x),
            excess=s.excess,
        )
        for name, s in stored.summaries.items()
    }
    return OpenWindow(summaries, stored.clients, stored.versions, stored.rows, stored.level)


def _narrow(counts: npt.NDArray[np.int64]) -> _Array:
    """Counts are not negative, so the largest one says which integers will do."""
    return _array(counts.astype(np.min_scalar_type(int(counts.max(initial=0)))))


def _array(values: npt.NDArray[Any]) -> _Array:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return _Array(little.dtype.str, values.shape, little.tobytes())


def _restored(array: _Array) -> npt.NDArray[Any]:
    values = np.frombuffer(array.raw, dtype=np.dtype(array.kind)).reshape(array.shape)
    return values.astype(values.dtype.newbyteorder("="))
