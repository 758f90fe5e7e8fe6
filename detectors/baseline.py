"""What calibration learned, per model: detector parameters, lines and tail rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec

from detectors import baseline_file
from detectors.alarm import Tails
from detectors.baseline_file import Arrays, BaselineError
from detectors.contract import Params

__all__ = ["Baseline", "BaselineError", "ModelBaseline", "Source"]


class Source(msgspec.Struct, frozen=True):
    """A file that clean traffic came from, and the SHA-256 of its bytes in hex."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class ModelBaseline:
    """Calibration of one model.

    Attributes:
        shape: shape of one input row.
        params: fitted parameters of row and window detectors, by detector name.
        versions: version of each detector in ``params``.
        tails: lines and tail rates of row detectors, by name.
        opinions: how many of the clean rows each row detector has an opinion on, by name.
        windows: calibration of window detectors, by name (see ``detectors.window_calibration``).
        rows, clients: size of the clean traffic. client_days: its clients times the days observed.
        scores: class scores a row, 0 for none.
    """

    shape: tuple[int, ...]
    params: Mapping[str, Params]
    versions: Mapping[str, str]
    tails: Mapping[str, Tails]
    opinions: Mapping[str, int]
    windows: Mapping[str, Params]
    rows: int
    clients: int
    client_days: float
    scores: int

    @property
    def d(self) -> int:
        return math.prod(self.shape)

    @property
    def rows_per_client_day(self) -> float:
        return self.rows / self.client_days

    def started_per_client_day(self, detectors: Iterable[str]) -> float:
        """Evidence that the opinions of these row detectors together begin (``Tails.started``). Raises KeyError."""
        return sum(self.opinions[name] * self.tails[name].started for name in detectors) / self.client_days


@dataclass(frozen=True, eq=False)
class Baseline:
    """All models, and what they were made from. One file: see ``detectors.baseline_file``."""

    models: Mapping[str, ModelBaseline]
    sources: tuple[Source, ...] = ()
    made_by: str = field(default="")

    @cached_property
    def checksum(self) -> str:
        """BLAKE2b of the file's contents, hex: the same traffic gives the same checksum."""
        return baseline_file.checksum(self._encoded).hex()

    def save(self, path: Path, mode: int = 0o644) -> None:
        """Write the file, with these permission bits, whole or not at all. Raises OSError."""
        baseline_file.write(path, self._encoded, mode)

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Raises BaselineError, saying what is wrong, for a file that is no sound baseline; OSError if unreadable."""
        size = path.stat().st_size
        if size > baseline_file.MAX_BYTES:
            raise BaselineError(f"{path}: {size} bytes are more than a baseline can have")
        try:
            meta, arrays = baseline_file.decode(path.read_bytes(), _Meta)
            return cls._from_parts(meta, arrays)
        except BaselineError as error:
            raise BaselineError(f"{path}: {error}") from None

    @cached_property
    def _encoded(self) -> bytes:
        arrays: Arrays = {}
        models = {}
        for name, m in sorted(self.models.items()):
            for kind, groups in (("params", m.params), ("window", m.windows)):
                for detector, group in groups.items():
                    arrays |= {(name, kind, detector, key): value for key, value in group.items()}
            for detector, tails in m.tails.items():
                arrays[name, "tails", detector, "levels"] = tails.levels
                arrays[name, "tails", detector, "bounds"] = tails.bounds
            models[name] = _ModelMeta(
                m.shape, dict(m.versions), dict(m.opinions), m.rows, m.clients, m.client_days, m.scores
            )
        return baseline_file.encode(_Meta(models, self.sources, self.made_by), arrays)

    @classmethod
    def _from_parts(cls, meta: _Meta, arrays: Arrays) -> Baseline:
        groups: dict[str, dict[str, dict[str, Params]]] = {
            name: {"params": {detector: {} for detector in m.versions}, "window": {}, "tails": {}}
            for name, m in meta.models.items()
        }
        for (model, kind, detector, key), value in arrays.items():
            if model not in groups or kind not in groups[model]:
                raise BaselineError("an array belongs to no model")
            groups[model][kind].setdefault(detector, {})[key] = value
        models = {}
        for name, m in meta.models.items():
            parts = groups[name]
            if not m.shape or min(m.shape) < 1 or m.scores < 0 or m.rows < 1 or not 0 < m.client_days < math.inf:
                raise BaselineError("a model's facts make no sense")
            try:
                tails = {detector: Tails(t["levels"], t["bounds"]) for detector, t in parts["tails"].items()}
            except (KeyError, ValueError):
                raise BaselineError("a detector's lines or tail rates make no sense") from None
            if m.opinions.keys() != tails.keys() or not all(0 <= n <= m.rows for n in m.opinions.values()):
                raise BaselineError("a model's numbers of opinions make no sense")
            models[name] = ModelBaseline(
                m.shape,
                parts["params"],
                m.versions,
                tails,
                m.opinions,
                parts["window"],
                m.rows,
                m.clients,
                m.client_days,
                m.scores,
            )
        return cls(models, meta.sources, meta.made_by)


class _ModelMeta(msgspec.Struct, frozen=True):
    shape: tuple[int, ...]
    versions: dict[str, str]
    opinions: dict[str, int]
    rows: int
    clients: int
    client_days: float
    scores: int


class _Meta(msgspec.Struct, frozen=True):
    models: dict[str, _ModelMeta]
    sources: tuple[Source, ...]
    made_by: str
