"""Rows on their way to the lanes of the bands topic: each cell to its home, no row twice to the same."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.band_entries import Entries, decode
from detectors.band_spread import BAND_ROW, spread
from detectors.texts import Texts
from monitor import bands
from monitor.bands import BandSlot


def slot(n: int) -> BandSlot:
    rows = np.zeros(n, dtype=BAND_ROW)
    rows["cells"] = np.random.default_rng(n).integers(-(2**63), 2**63, (n, 2)) & ~1
    rows["digest"], rows["bands"] = np.arange(n), 3
    texts = Texts.of([str(i) for i in range(n)])
    return BandSlot(0, 5, "model", 10 * n, Entries(rows, texts, texts))


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("most", [7, 1000])
def test_each_cell_comes_to_its_home_and_no_row_comes_twice(
    lanes: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "_PART_ROWS", most)
    sent = slot(100)
    cells: list[int] = []
    seen, counted = set(), 0
    for lane, part in sent.parts(lanes):
        counted += part.rows
        found = decode(part.data, BAND_ROW)
        assert len(found) <= most
        for digest in found.rows["digest"].tolist():
            assert (lane, digest) not in seen
            seen.add((lane, digest))
        mine = spread(found).entries.rows["cell"]
        assert np.all((mine.astype(np.uint64) >> np.uint64(1)) % np.uint64(lanes) == lane)
        cells += mine.tolist()
    assert sorted(cells) == sorted(sent.entries.rows["cells"].ravel().tolist())
    assert counted == sent.rows


def test_a_window_without_rows_to_compare_is_counted() -> None:
    empty = BandSlot(0, 5, "model", 30, slot(0).entries)
    assert [part.rows for _, part in empty.parts(3)] == [30]
