"""Links and rows of groups of accounts, for tests of the evidence across accounts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from detectors.band_entries import ENTRY, Entries, Link, ordered
from detectors.texts import Texts

SIZE_S = 60.0


def link(client: str, event: str, ts: float, earlier: tuple[str, str, float], kept: int = 1, **more: object) -> Link:
    fields: dict[str, object] = {"distance": 0.001, "differs": False, "earlier_kept": 1, **more}
    return Link(client, event, ts, kept, *earlier, **fields)  # type: ignore[arg-type]  # figures by name


def chain(accounts: int, begin_ts: float, gap_s: float = 1.0, name: str = "a") -> list[Link]:
    """Each account's only row is near the one before it."""
    rows = [(f"client:{name}{i}", f"{name}-{i}", begin_ts + i * gap_s) for i in range(accounts)]
    return [link(*later, earlier) for earlier, later in pairwise(rows)]


def entries(
    cells: Sequence[int],
    z: Sequence[int],
    clients: Sequence[str],
    digests: Sequence[int] | None = None,
    labels: Sequence[int] | None = None,
    begin_ts: float = 0.0,
    prefix: str = "e",
) -> Entries:
    """Rows one second apart; ``z``: the first coordinate, the others are 0."""
    n = len(cells)
    rows = np.zeros(n, dtype=ENTRY)
    rows["cell"] = 2 * np.asarray(cells, dtype=np.int64)  # odd ones are of parts
    rows["digest"] = np.arange(1, n + 1) if digests is None else digests
    rows["ts"] = begin_ts + np.arange(n)
    rows["label"] = 0 if labels is None else labels
    rows["kept"] = 1
    rows["z"][:, 0] = z
    return Entries(rows, Texts.of(clients), Texts.of([f"{prefix}{i}" for i in range(n)]))


def in_order(found: Entries) -> Entries:
    return found.take(ordered(found.rows, np.arange(len(found)), found.clients, found.events))
