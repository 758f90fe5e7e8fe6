"""When keys were seen last, in a table with linear probing: one look into memory for each key."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]

#: Time in a place that is empty.
NEVER: Final = -np.inf


@kernel
def note(keys: Array, times: Array, span: float, table_keys: Array, table_times: Array, away: Array) -> int:
    """``away[i]``: how long key i had not been seen at its time; inf if it is not in the table. Then it is. Times of
    keys that were away for less than ``span`` stay as they are. How many keys were not in the table.

    Args:
        keys: uint64 ``(n,)``, such as hashes: their lowest bits must be spread. times: ``(n,)``.
        table_keys, table_times: by place; their length is a power of two, and more than there will be keys.
    """
    mask = np.uint64(len(table_keys) - 1)
    new = 0
    for i in range(len(keys)):
        place = np.int64(keys[i] & mask)
        while table_times[place] != NEVER and table_keys[place] != keys[i]:
            place = np.int64(np.uint64(place + 1) & mask)
        new += table_times[place] == NEVER
        away[i] = times[i] - table_times[place]
        if away[i] >= span:
            table_keys[place], table_times[place] = keys[i], times[i]
    return new
