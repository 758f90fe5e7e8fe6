"""Columns of texts as bytes: no Python object for each."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.batch import IntArray
from detectors.digest import text_bytes
from detectors.growing import grown
from detectors.kernels.texts import MODULUS, identify, pick

#: Drawn anew by each process, as Python's own hashes of texts are: nobody can make two clients look like one.
_POINTS: Final = np.array([1 + secrets.randbelow(MODULUS - 1) for _ in range(2)], dtype=np.int64)

#: Bytes of all texts, and the length of each as bytes of uint32: a column as it is stored.
Packed = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Attributes:
    raw: UTF-8 of all texts, one behind the other, uint8. ends: where each ends, int64 ``(n,)``.
    """

    raw: npt.NDArray[np.uint8]
    ends: IntArray

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        raw, lengths = text_bytes(texts)
        return cls(raw, np.cumsum(lengths))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> str:
        begin = self.ends[i - 1] if i else 0
        return self.raw[begin : self.ends[i]].tobytes().decode("utf-8", "surrogatepass")

    def take(self, rows: npt.NDArray[Any]) -> Texts:
        """The given texts (indices or mask), in the given order."""
        index = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        ends = np.cumsum(self._lengths()[index])
        raw = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
        pick(self.raw, self.ends, index, raw)
        return Texts(raw, ends)

    def identities(self) -> IntArray:
        """The same number for the same text within this process, int64 ``(n,)``, from 0.

        Two texts of at most n bytes share one with a probability of at most (n / 2**31)**2: each half is a polynomial
        hash at a random point (Carter & Wegman, *Universal classes of hash functions*, 1979).
        """
        out = np.empty(len(self), dtype=np.int64)
        identify(self.raw, self.ends, _POINTS, out)
        return out

    def packed(self) -> Packed:
        return self.raw.tobytes(), self._lengths().astype("<u4").tobytes()

    @classmethod
    def unpack(cls, packed: Packed) -> Texts:
        """Raises ValueError for bytes that ``packed`` did not give."""
        raw, lengths = packed
        ends = np.cumsum(np.frombuffer(lengths, "<u4"), dtype=np.int64)
        texts = cls(np.frombuffer(raw, np.uint8), ends)
        if len(raw) != (ends[-1] if len(ends) else 0):
            raise ValueError("texts and their lengths do not fit together")
        begins = (ends - texts._lengths())[texts._lengths() > 0]
        raw.decode("utf-8", "surrogatepass")  # a UnicodeDecodeError is a ValueError
        if np.any(texts.raw[begins] & 0xC0 == 0x80):
            raise ValueError("a text begins within a character")
        return texts

    def _lengths(self) -> IntArray:
        return np.diff(self.ends, prepend=0)


def joined(parts: Sequence[Texts]) -> Texts:
    """All texts, one column after the other."""
    before = np.cumsum([0, *(len(part.raw) for part in parts)])
    ends = [part.ends + shift for part, shift in zip(parts, before[:-1].tolist(), strict=True)]
    return Texts(np.concatenate([part.raw for part in parts]), np.concatenate(ends))


class TextPool:
    """A column that grows at its end."""

    def __init__(self) -> None:
        self._raw = np.empty(0, dtype=np.uint8)
        self._ends = np.zeros(1, dtype=np.int64)  # with a 0 before the first
        self._n = 0

    def append(self, texts: Texts) -> None:
        used = int(self._ends[self._n])
        self._raw = grown(self._raw, used + len(texts.raw), used=used)
        self._raw[used : used + len(texts.raw)] = texts.raw
        self._ends = grown(self._ends, self._n + 1 + len(texts), used=self._n + 1)
        self._ends[self._n + 1 : self._n + 1 + len(texts)] = texts.ends + used
        self._n += len(texts)

    def __getitem__(self, i: int) -> str:
        return self._raw[self._ends[i] : self._ends[i + 1]].tobytes().decode("utf-8", "surrogatepass")

    def keep(self, rows: IntArray) -> None:
        """These only, in this order."""
        kept = Texts(self._raw, self._ends[1 : self._n + 1]).take(rows)
        self._raw, self._ends, self._n = kept.raw, np.append(0, kept.ends), len(rows)
