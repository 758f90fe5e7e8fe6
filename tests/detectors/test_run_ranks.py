"""Places within runs of equal rows."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.run_ranks import run_ranks


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2))))
def test_ranks_count_up_from_where_each_run_begins(rows: list[tuple[int, int]]) -> None:
    both = np.array(rows, dtype=np.int64).reshape(-1, 2)
    for columns, runs in ((both.T, groupby(rows)), (both.T[:1], groupby(rows, key=lambda row: row[0]))):
        assert run_ranks(*columns).tolist() == [i for _, run in runs for i, _ in enumerate(run)]
