"""Redeliveries: a second event with the same model and id within the horizon changes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b

import msgspec
import numpy as np

from detectors.batch import BoolArray, FloatArray, IntArray
from detectors.digest import text_digests
from monitor.sorted_runs import Keys, SortedRuns

Entries = tuple[Keys, FloatArray]

#: A chunk grows by what each step added until it has so many ids, or spans this share of the horizon.
_CHUNK_IDS = 1024
_CHUNK_SPAN = 1 / 16


class Dedupe:
    """Remembers 64-bit hashes of (model, id) for ``horizon_s`` of event time.

    A false match needs a 64-bit collision: at 10⁶ remembered ids about 5·10⁻¹⁴ per event. State is written in chunks: a
    step writes what it added, with at most ``_CHUNK_IDS`` older ids, and a chunk whose ids are all past the horizon
    goes. There is at most one chunk for each ``_CHUNK_IDS`` ids, and one for each share of the horizon.
    """

    def __init__(self, horizon_s: float) -> None:
        self._horizon_s = horizon_s
        self._seen = SortedRuns()
        #: (name, newest time), oldest first: times never fall from one entry to the next.
        self._chunks: deque[tuple[str, float]] = deque()
        self._next_chunk = 0
        #: The chunk that still grows: its name, what is written of it, and what is not written yet.
        self._open = ""
        self._written: list[Entries] = []
        self._unwritten: list[Entries] = []

    @property
    def nbytes(self) -> int:
        """Bytes that the remembered ids take, without those of the chunk that still grows."""
        return self._seen.nbytes

    def first(self, model: str, event_id: str, ts: float, watermark: float) -> bool:
        """``first_of`` one event."""
        return bool(self.first_of([model], [event_id], np.array([ts], float), np.array([watermark], float))[0])

    def first_of(self, models: Sequence[str], ids: Sequence[str], ts: FloatArray, before: FloatArray) -> BoolArray:
        """True for each event that comes for the first time; they are remembered.

        Args:
            ts: event times, ``(n,)``.
            before: the newest event time before each event, ``(n,)``; it never falls, from call to call neither.
        """
        if not len(ids):
            return np.empty(0, dtype=np.bool_)
        keys = _hashes(models, ids)
        order = np.argsort(keys, kind="stable")
        seen = np.empty(len(keys))
        seen[order] = self._seen.newest(keys[order])
        # An event that comes late can be delivered again just as late.
        until = np.maximum(ts, before)
        fresh = _expired(seen, before - self._horizon_s)
        self._repeats(keys, order, seen, until, before, fresh)
        if fresh.any():
            entries = keys[fresh], until[fresh]
            self._seen.add(*entries, float(before[-1]) - self._horizon_s)
            self._unwritten.append(entries)
        return fresh

    def delta(self, watermark: float) -> dict[str, bytes | None]:
        """Chunks that changed since the last call, and None for those that have passed out of the horizon."""
        changes: dict[str, bytes | None] = {}
        while self._chunks and self._chunks[0][1] < watermark - self._horizon_s:
            name, _ = self._chunks.popleft()
            changes[name] = None
            if name == self._open:
                self._open, self._written = "", []
        if self._unwritten:
            if self._open:
                self._chunks.pop()
            else:
                self._open = f"{self._next_chunk:012d}"
                self._next_chunk += 1
            self._written += self._unwritten
            self._unwritten = []
            keys = np.concatenate([k for k, _ in self._written])
            times = np.concatenate([t for _, t in self._written])
            self._chunks.append((self._open, float(times.max())))
            changes[self._open] = msgspec.msgpack.encode((keys.astype("<u8").tobytes(), times.astype("<f8").tobytes()))
            if len(keys) >= _CHUNK_IDS or times.max() - times.min() >= self._horizon_s * _CHUNK_SPAN:
                self._open, self._written = "", []
        return changes

    def restore(self, state: Mapping[str, bytes]) -> None:
        for name in sorted(state):
            raw_keys, raw_times = msgspec.msgpack.decode(state[name], type=tuple[bytes, bytes])
            keys = np.frombuffer(raw_keys, dtype="<u8").astype(np.uint64, copy=False)
            times = np.frombuffer(raw_times, dtype="<f8").astype(np.float64, copy=False)
            self._seen.add(keys, times, -np.inf)
            self._chunks.append((name, float(times.max())))
            self._next_chunk = max(self._next_chunk, int(name) + 1)

    def _repeats(
        self, keys: Keys, order: IntArray, seen: FloatArray, until: FloatArray, before: FloatArray, fresh: BoolArray
    ) -> None:
        """Put ``fresh`` right for events that come more than once in one call: each looks at the one before it."""
        ordered = keys[order]
        again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        for place in again.tolist():
            i, earlier = order[place], order[place - 1]
            seen[i] = until[earlier] if fresh[earlier] else seen[earlier]
            fresh[i] = _expired(seen[i], before[i] - self._horizon_s)


def _expired(seen: FloatArray, floor: FloatArray) -> BoolArray:
    """Never seen (-inf), or too long ago."""
    return np.asarray((seen == -np.inf) | (seen < floor))


def _hashes(models: Sequence[str], ids: Sequence[str]) -> Keys:
    """Of each model and id. The ids' hash is a quick one: who makes two ids collide gains what sending one id twice
    would give."""
    of_model = {model: _model_hash(model) for model in set(models)}
    salts = np.array([*of_model.values()] if len(of_model) == 1 else [of_model[m] for m in models], dtype=np.uint64)
    return text_digests(ids).view(np.uint64) ^ salts


@lru_cache(maxsize=1024)
def _model_hash(model: str) -> int:
    digest = blake2b(model.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
