"""What a row detector remembers of each client: its last few entries, all clients' in one array."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.batch import BoolArray, IntArray
from detectors.growing import grown
from detectors.kernels.histories import COUNT, SIZE, append, compact, gather, release
from detectors.records import taken

Entries = npt.NDArray[Any]  # of the history's dtype, often records, which numpy's types cannot name

_LEAST: Final = 4
#: Blocks grow by this factor, so a client's memory is at most about that many times what it needs.
_GROWTH: Final = 2
#: Entries added together; bounds the room asked for.
_AT_ONCE: Final = 4096
#: The pool is packed anew when less than this share of it is in use.
_PACK_BELOW: Final = 0.5
_PACK_LEAST: Final = 128


class History:
    """At most ``length`` entries of ``dtype`` per client, oldest first; a client is a slot (``detectors.clients``).

    A client holds a block of 4, 8, 16, ... or ``length`` entries and moves to the next size when it is full.
    """

    def __init__(self, dtype: npt.DTypeLike, length: int) -> None:
        """``dtype`` must be whole 32-bit words."""
        self.dtype = np.dtype(dtype)
        sizes = [min(_LEAST, length)]
        while sizes[-1] < length:
            sizes.append(min(sizes[-1] * _GROWTH, length))
        self._sizes = np.array(sizes, dtype=np.int64)
        self._words = np.empty((0, self.dtype.itemsize // 4), dtype=np.uint32)
        self._free = self._all_free()
        self.owned = np.zeros((0, 4), dtype=np.int32)
        #: By slot: entries that came since ``saved``.
        self._unsaved = np.zeros(0, dtype=np.uint16)

    @property
    def pool(self) -> Entries:
        """All blocks, ``(m,)``; ``owned`` says whose they are (``detectors.kernels.histories``)."""
        return self._words.view(self.dtype).reshape(-1)

    def reserve(self, slots: int) -> None:
        """Make room for so many clients."""
        self.owned, self._unsaved = grown(self.owned, slots), grown(self._unsaved, slots)

    def entries(self, slot: int) -> Entries:
        """A client's entries."""
        return self.gather(np.array([slot], dtype=np.int64))[1]

    def counts(self, slots: IntArray) -> IntArray:
        return np.asarray(self.owned[slots, COUNT], dtype=np.int64)

    def nbytes(self, slots: IntArray) -> IntArray:
        """Bytes of the clients' blocks, ``(k,)``."""
        return np.asarray(self.owned[slots, SIZE], dtype=np.int64) * self.dtype.itemsize

    def total_nbytes(self) -> int:
        """Bytes of all clients' blocks."""
        return int(self.owned[:, SIZE].sum(dtype=np.int64)) * self.dtype.itemsize

    def append(self, slots: IntArray, entries: Entries) -> None:
        """Add ``entries[i]`` to the client in ``slots[i]``, in order; the oldest beyond ``length`` are dropped."""
        words = np.ascontiguousarray(entries).view(np.uint32).reshape(len(slots), self._words.shape[1])
        for start in range(0, len(slots), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            # Untouched memory costs nothing: what the worst rows would need is asked for, and mostly not used.
            used = int(self._free[-1])
            self._words = grown(self._words, used + len(slots[some]) * int(self._sizes[-1]), used=used)
            append(self._words, self.owned, self._sizes, self._free, slots[some], words[some], self._unsaved)

    def gather(self, slots: IntArray) -> tuple[IntArray, Entries]:
        """How many entries each client has, ``(k,)``, and all of them, one client after the other."""
        counts = self.counts(slots)
        return counts, self._newest(slots, counts)

    def forget(self, slots: IntArray) -> None:
        self._unsaved[slots] = 0
        release(self._words, self.owned, self._sizes, self._free, slots)

    def pack(self) -> None:
        """Give memory back if much of it is free; what is in use does not change."""
        used, end = int(self.owned[:, SIZE].sum(dtype=np.int64)), int(self._free[-1])
        if end >= _PACK_LEAST and used < _PACK_BELOW * end:
            into = np.empty((used, self._words.shape[1]), dtype=np.uint32)
            free = self._all_free()
            free[-1] = compact(self._words, self.owned, into)
            self._words, self._free = into, free

    def unsaved(self, slots: IntArray) -> IntArray:
        """How many entries of each client came since ``saved``, ``(k,)``."""
        return self._unsaved[slots].astype(np.int64)

    def stored(self, slots: IntArray, whole: BoolArray) -> tuple[bytes, bytes]:
        """The clients' histories, of those who are not ``whole`` what came since ``saved``, as bytes; ``restore`` takes
        them back."""
        counts = np.where(whole, self.counts(slots), self.unsaved(slots))
        return counts.astype("<u2").tobytes(), self._newest(slots, counts).tobytes()

    def saved(self, slots: IntArray) -> None:
        """All entries of these clients are."""
        self._unsaved[slots] = 0

    def restore(self, slots: IntArray, stored: tuple[bytes, bytes], wanted: BoolArray) -> None:
        """Take back what ``stored`` gave for some clients: of the ``wanted`` ones, whose histories are in ``slots``.

        What was stored by another layout of entries is left aside. All that is taken back is saved.
        """
        counts = np.frombuffer(stored[0], "<u2").astype(np.int64)
        if len(counts) != len(wanted) or int(counts.sum()) * self.dtype.itemsize != len(stored[1]):
            return
        entries = np.frombuffer(stored[1], self.dtype)
        self.append(np.repeat(slots, counts[wanted]), taken(entries, np.repeat(wanted, counts)))
        self.saved(slots)

    def _newest(self, slots: IntArray, counts: IntArray) -> Entries:
        out = np.empty((int(counts.sum()), self._words.shape[1]), dtype=np.uint32)
        gather(self._words, self.owned, slots, counts, out)
        return out.view(self.dtype).reshape(-1)

    def _all_free(self) -> IntArray:
        free = np.full(len(self._sizes) + 1, -1, dtype=np.int64)
        free[-1] = 0
        return free
