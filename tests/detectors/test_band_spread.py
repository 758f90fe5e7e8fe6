"""Rows and their entries in each band: there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.band_entries import Entries
from detectors.band_spread import row_kind, spread
from detectors.fingerprints import BANDS
from detectors.texts import Texts


def rows(bits: list[int], bands: int) -> Entries:
    """Each row with its own number in all fields."""
    found = np.zeros(len(bits), dtype=row_kind(bands))
    numbers = np.arange(len(bits))
    for name in ("digest", "ts", "label", "kept"):
        found[name] = numbers
    found["cells"] = 10 * numbers[::-1, None] + np.arange(bands)
    found["z"], found["bands"] = numbers[:, None], bits
    if bands > BANDS:
        found["parts"] = -numbers[:, None]
    names = [str(i) for i in numbers]
    return Entries(found, Texts.of([f"c{name}" for name in names]), Texts.of([f"e{name}" for name in names]))


@pytest.mark.parametrize("bands", [BANDS, BANDS + 1])
@given(st.lists(st.integers(0, 255), max_size=20))
def test_each_row_has_an_entry_in_each_of_its_bands(bands: int, bits: list[int]) -> None:
    """Bits of bands that there are not are nothing."""
    entries, row, band = spread(rows(bits, bands))
    expected = [(i, b) for i in range(len(bits)) for b in range(bands) if bits[i] >> b & 1]
    assert sorted(zip(row.tolist(), band.tolist(), strict=True)) == expected
    assert np.all(np.diff(entries.rows["cell"]) > 0)
    for name in ("digest", "ts", "label", "kept"):
        assert entries.rows[name].tolist() == row.tolist()
    assert [entries.clients[i] for i in range(len(row))] == [f"c{i}" for i in row.tolist()]
    assert [entries.events[i] for i in range(len(row))] == [f"e{i}" for i in row.tolist()]
    sign = np.where(band == BANDS, -1, 1)
    assert entries.rows["z"][:, 0].tolist() == (row * sign).tolist()
    assert entries.rows["z"][:, -1].tolist() == np.where(band == BANDS, 0, row).tolist()


@given(st.lists(st.integers(0, 7), max_size=20), st.randoms(use_true_random=False))
def test_marked_entries_are_their_rows_bands(bits: list[int], random: object) -> None:
    there = spread(rows(bits, BANDS + 1))
    kept = [b & random.randrange(8) for b in bits]  # type: ignore[attr-defined]  # hypothesis' own Random
    marked = np.array(
        [bool(kept[i] >> b & 1) for i, b in zip(there.row.tolist(), there.band.tolist(), strict=True)], dtype=np.bool_
    )
    assert there.bands(marked, len(bits)).tolist() == kept
