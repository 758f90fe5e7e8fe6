"""State as a log of chunks: what changed goes into new chunks, and old ones are cleaned away as they empty.

As in a log-structured file system (Rosenblum & Ousterhout 1992), with the oldest chunk cleaned first: its clients that
are as a whole in no later chunk are written anew, then it is dropped. So what is written per call is in proportion to
what changed, and all chunks together stay within 2.5 times the live state. Because the oldest goes first, a note that a
client is gone can be dropped with its chunk: no older chunk is left that could bring the client back.

Of a client that was written as a whole only additions are written, until the chunk with the whole is cleaned away.
Chunks are read back in their order; additions to a client that is not there are of a whole that was written anew since.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from detectors.batch import BoolArray, IntArray
from detectors.growing import grown

#: A chunk's size, about, in bytes, and how many times that one is at most, unless a single client needs more.
CHUNK_BYTES: Final = 448 * 1024
_MOST: Final = 1.1
#: Bytes of a key that is gone next to its characters.
_KEY_BYTES: Final = 3
#: All chunks together are at most this many times the live state, next to a few chunks.
_SLACK: Final = 2.5
#: A chunk counts as at least this part of a full one.
_MOST_SMALL: Final = 100
#: Chunk of a client that is in none, and of one whose whole is out of date.
_NOWHERE: Final = -1
_OUTDATED: Final = -2
#: Bytes rewritten per call for each byte that changed, at most, next to one chunk.
_EFFORT: Final = 2.0

Store = Callable[[IntArray, BoolArray, Sequence[str]], bytes]
Weigh = Callable[[IntArray], tuple[IntArray, IntArray]]
Saved = Callable[[IntArray], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """``slots``: whose whole is in it."""

    number: int
    size: int
    slots: IntArray


class Journal:
    """Which clients, by slot, are in which chunk, and what of it is not stored yet."""

    def __init__(self, store: Store, weigh: Weigh, saved: Saved, chunk_bytes: int = CHUNK_BYTES) -> None:
        """
        Args:
            store: gives the bytes of clients, whole or what was added since ``saved``, and of keys that are gone.
            weigh: their sizes, about: of the whole, and of what was added.
            saved: is told of clients that were stored.
        """
        self._chunk_bytes = chunk_bytes
        self._store = store
        self._weigh = weigh
        self._saved = saved
        self._next = 0
        self._chunks: deque[_Chunk] = deque()
        self._total = 0
        self._live = 0
        #: By slot: the chunk that its whole is in, what it weighs by now, and whether it changed since.
        self._chunk: IntArray = np.zeros(0, dtype=np.int64)
        self._size: IntArray = np.zeros(0, dtype=np.int64)
        self._stale: BoolArray = np.zeros(0, dtype=np.bool_)
        self._changed: list[IntArray] = []
        self._gone: list[str] = []

    def touch(self, slots: IntArray, of: int) -> None:
        """Clients changed. ``of``: slots there are."""
        self._reserve(of)
        new = slots[~self._stale[slots]]
        self._stale[new] = True
        self._changed.append(new)

    def renew(self, slots: IntArray) -> None:
        """What was stored of these clients holds no more; ``touch`` them, too."""
        known = slots[slots < len(self._chunk)]
        self._chunk[known[self._chunk[known] >= 0]] = _OUTDATED

    def drop(self, slots: IntArray, clients: Sequence[str]) -> None:
        """Clients, by slot and key, are gone; their slots may be used again."""
        self._reserve(int(slots.max(initial=-1)) + 1)
        stored = self._chunk[slots] != _NOWHERE
        self._gone += [client for client, was in zip(clients, stored.tolist(), strict=True) if was]
        self._leave(slots)

    def delta(self) -> dict[str, bytes | None]:
        """Chunks to store under new names, and names of chunks that are no longer needed (None)."""
        slots = np.unique(np.concatenate([*self._changed, np.empty(0, dtype=np.int64)]))
        slots = slots[self._stale[slots]]
        self._changed, gone, self._gone = [], self._gone, []
        self._stale[slots] = False
        out: dict[str, bytes | None] = {}
        first = self._next
        sizes, more = self._grow(slots)
        whole = (self._chunk[slots] < 0) | (more >= sizes)
        written = self._write(slots, whole, np.where(whole, sizes, more), gone, out)
        self._clean(_EFFORT * written + self._chunk_bytes, first, out)
        self._saved(slots)
        return out

    def restored(self, name: str, size: int, gone: IntArray, slots: IntArray, whole: BoolArray) -> None:
        """A chunk was read back, with clients who are gone and others, ``whole`` or not. In the order of the chunks;
        call ``delta`` only after all.
        """
        self._reserve(max(int(gone.max(initial=-1)), int(slots.max(initial=-1))) + 1)
        self._leave(gone)
        number = int(name)
        self._next = number + 1
        self._grow(slots)
        self._chunk[slots[whole]] = number
        self._chunks.append(_Chunk(number, self._counted(size), slots[whole]))
        self._total += self._counted(size)

    def _write(
        self, slots: IntArray, whole: BoolArray, sizes: IntArray, gone: Sequence[str], out: dict[str, bytes | None]
    ) -> int:
        """Put keys that are gone, then clients, into new chunks; bytes written."""
        before = self._next
        for begin, end in self._cuts(np.array([len(client) + _KEY_BYTES for client in gone], dtype=np.int64)):
            self._put(slots[:0], whole[:0], sizes[:0], gone[begin:end], out)
        for begin, end in self._cuts(sizes):
            self._put(slots[begin:end], whole[begin:end], sizes[begin:end], (), out)
        return sum(len(out[_name(number)] or b"") for number in range(before, self._next))

    def _cuts(self, sizes: IntArray) -> Iterator[tuple[int, int]]:
        """Begin and end of parts that fill a chunk each."""
        cuts = np.flatnonzero(np.diff(np.cumsum(sizes) // self._chunk_bytes)) + 1
        return pairwise([0, *cuts.tolist(), len(sizes)] if len(sizes) else [0])

    def _put(
        self, slots: IntArray, whole: BoolArray, sizes: IntArray, gone: Sequence[str], out: dict[str, bytes | None]
    ) -> None:
        blob = self._store(slots, whole, gone)
        if len(blob) > _MOST * self._chunk_bytes and len(slots) > 1:
            # Sizes are estimates, and some clients' keys and request ids are far longer than most.
            half = len(slots) // 2
            self._put(slots[:half], whole[:half], sizes[:half], gone, out)
            self._put(slots[half:], whole[half:], sizes[half:], (), out)
            return
        self._chunk[slots[whole]] = self._next
        self._chunks.append(_Chunk(self._next, self._counted(len(blob)), slots[whole]))
        self._total += self._counted(len(blob))
        out[_name(self._next)] = blob
        self._next += 1

    def _grow(self, slots: IntArray) -> tuple[IntArray, IntArray]:
        """What clients weigh now, as a whole and what was added, ``(k,)``."""
        sizes, more = self._weigh(slots)
        self._live += int(sizes.sum()) - int(self._size[slots].sum())
        self._size[slots] = sizes
        return sizes, more

    def _leave(self, slots: IntArray) -> None:
        self._live -= int(self._size[slots].sum())
        self._chunk[slots], self._size[slots], self._stale[slots] = _NOWHERE, 0, False

    def _clean(self, effort: float, before: int, out: dict[str, bytes | None]) -> None:
        """Drop oldest chunks while all are too much, and write anew what is live in them, for at most ``effort``."""
        kept = [np.empty(0, dtype=np.int64)]
        total = float(self._total)
        while effort > 0 and total > _SLACK * self._live + 2 * self._chunk_bytes and self._chunks[0].number < before:
            oldest = self._chunks.popleft()
            live = oldest.slots[self._chunk[oldest.slots] == oldest.number]
            weight = int(self._size[live].sum())
            kept.append(live)
            effort -= weight
            total -= oldest.size - weight
            self._total -= oldest.size
            out[_name(oldest.number)] = None
        again = np.concatenate(kept)
        self._write(again, np.ones(len(again), dtype=np.bool_), self._grow(again)[0], [], out)

    def _counted(self, size: int) -> int:
        """Small chunks count for more than they are, so that there are never very many."""
        return max(size, self._chunk_bytes // _MOST_SMALL)

    def _reserve(self, slots: int) -> None:
        have = len(self._chunk)
        self._chunk = grown(self._chunk, slots)
        self._chunk[have:] = _NOWHERE
        self._size, self._stale = grown(self._size, slots), grown(self._stale, slots)


def _name(number: int) -> str:
    return f"{number:016d}"
