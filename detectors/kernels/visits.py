"""Walk of rows through visits: blocks of them that do not overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def ended_blocks(
    order: Array,
    begins: Array,
    slots: Array,
    new: Array,
    numbers: Array,
    values: Array,
    pool_numbers: Array,
    pool_values: Array,
    owned: Array,
    ring: int,
    block: int,
    ends: Array,
    blocks: Array,
) -> int:
    """Blocks of ``block`` visits whose number is 128 or more (``detectors.regions``), which end at new rows.

    Each client's visits are the ``ring`` ones before and its new rows; a block ends where the number is a multiple of
    ``block``, and is left out if the ring no longer holds all of it. ``ends (k,)`` is set to its last row, ``blocks
    (k, block)`` to its values, the latest first. Returns how many there are.
    """
    number, value = np.empty(ring, numbers.dtype), np.empty(ring, values.dtype)
    found = 0
    for client in range(len(begins) - 1):
        begin, size, count, oldest = owned[slots[order[begins[client]]]]
        total = int(count)
        loaded = False
        for place in range(begins[client], begins[client + 1]):
            row = order[place]
            if not new[row]:
                continue
            if not loaded:  # most clients have nothing new
                for j in range(count):
                    at = begin + (oldest + j) % size
                    number[j], value[j] = pool_numbers[at], pool_values[at]
                loaded = True
            number[total % ring], value[total % ring] = numbers[row], values[row]
            total += 1
            if numbers[row] < 128 or (numbers[row] & 127) % block:
                continue
            have = 0
            back = 1
            while have < block and back <= min(total, ring):
                at = (total - back) % ring
                if number[at] >= 128:
                    blocks[found, have] = value[at]
                    have += 1
                back += 1
            if have == block:
                ends[found] = row
                found += 1
    return found
