"""Rows of many clients that share a cell, compared with one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def index(rows: Array, begin: int, end: int, table: Array) -> None:
    """Enter the newest row of each cell into ``table``, full of -1.

    Cells are hashes: any of their bits but the lowest will do.
    """
    mask = len(table) - 1
    for row in range(begin, end):
        place = (rows[row]["cell"] >> 1) & mask
        while table[place] >= 0 and rows[table[place]]["cell"] != rows[row]["cell"]:
            place = (place + 1) & mask
        table[place] = row


@kernel
def pack(rows: Array, begin: int, end: int, gone: int, kept: Array) -> int:
    """Move the rows from ``begin`` to ``end`` that are remembered to the front, in order; their number.

    Args:
        rows: see ``meet``. kept: int64 ``(end - begin,)``; its beginning is set to where the rows were.
    """
    place = np.empty(end - begin, dtype=np.int32)
    n = 0
    for row in range(begin, end):
        older = rows[row]["older"]
        if older == gone:
            continue
        rows[n] = rows[row]
        rows[n]["older"] = place[older - begin] if older >= begin else -1
        place[row - begin] = n
        kept[n] = row
        n += 1
    return n


@kernel
def meet(
    new: Array,
    z: Array,
    rows: Array,
    begin: int,
    end: int,
    table: Array,
    reach: int,
    reach_differing: int,
    least_equal: int,
    most: int,
    per_client: int,
    back: int,
    gone: int,
    silent: Array,
    pairs: Array,
    squares: Array,
) -> int:
    """Pairs of a new row and an earlier one of another client that is near but no copy; their number.

    A new row is compared with the rows of its cell, the newest first. It is silent if one of them has its digest, and
    is not remembered. It has no pairs if it is silent, or near one of its own client; else the ``most`` latest rows of
    different clients that are near. The latest ``back`` rows of a cell are remembered, of one client ``per_client``.

    Args:
        new: structured (``band_memory.ROW``), ``(n,)``, each cell's rows together and in order. z: theirs, ``(n, k)``.
        rows: the memory, of the same kind, from ``begin`` to ``end``, with room for the new ones behind. ``older``:
            place of the row before it in its cell, or less than ``begin``; set to ``gone`` in rows that leave.
        table: by cell the place of its newest row, or -1; a power of two, of more places than there are rows.
        reach: whole units, and ``reach_differing`` for rows whose labels differ. least_equal: in odd cells the first
            eight numbers of ``z`` are sixteen bytes, and rows are near, at distance 0, that have so many in common, 0
            left out.
        silent: set, bool ``(n,)``. pairs: int64 ``(p, 2)``, set to places of the later and the earlier row;
            ``squares (p,)``: squared distance in units.
    """
    n = 0
    mask = len(table) - 1
    limit = np.float32(reach) * np.float32(reach)
    differing = np.float32(reach_differing) * np.float32(reach_differing)
    farthest = max(limit, differing)
    older, rows_z = rows["older"], rows["z"]
    # Rows of one cell, in any order: a new one is compared with all of them at once.
    at = np.empty(back, dtype=np.int64)
    who = np.empty(back, dtype=np.int64)
    digest = np.empty(back, dtype=np.int64)
    sums = np.empty((z.shape[1], back), dtype=np.int16)
    squared = np.empty(back, dtype=np.float32)  # exact below 2**24
    i = 0
    while i < len(new):
        cell = new[i]["cell"]
        place = (cell >> 1) & mask
        while table[place] >= 0 and rows[table[place]]["cell"] != cell:
            place = (place + 1) & mask
        known = 0
        row = table[place]
        while row >= begin:
            at[known], who[known], digest[known] = row, rows[row]["who"], rows[row]["digest"]
            for k in range(z.shape[1]):
                sums[k, known] = rows_z[row, k]
            known += 1
            row = older[row]
        while i < len(new) and new[i]["cell"] == cell:
            mine = new[i]["who"]
            same_digest = new[i]["digest"]
            copies = 0
            own = 0
            for j in range(known):
                copies += digest[j] == same_digest
                own += who[j] == mine
            if copies:
                silent[i] = True
                i += 1
                continue
            squared[:] = 0.0
            if cell & 1:
                for k in range(8):
                    whole = np.uint16(z[i, k])
                    for j in range(known):
                        apart = whole ^ np.uint16(sums[k, j])
                        squared[j] += ((whole & 0xFF) != 0) & ((apart & 0xFF) == 0)
                        squared[j] += ((whole >> 8) != 0) & ((apart >> 8) == 0)
                for j in range(known):
                    squared[j] = 0.0 if squared[j] >= least_equal else farthest
            else:
                for k in range(z.shape[1]):
                    one = z[i, k]
                    for j in range(known):
                        difference = np.float32(np.int16(one - sums[k, j]))
                        squared[j] += difference * difference
            near = 0
            mute = False
            for j in range(known):
                near += squared[j] < farthest
                mute |= (squared[j] < farthest) & (who[j] == mine)
            first = n
            while near and not mute and n - first < most:
                # The latest of them, and then the latest before.
                latest = -1
                for j in range(known):
                    if squared[j] < farthest and (latest < 0 or at[j] > at[latest]):
                        latest = j
                total = squared[latest]
                squared[latest] = farthest
                near -= 1
                met = total >= limit and rows[at[latest]]["label"] == new[i]["label"]
                for pair in range(first, n):
                    met |= rows[pairs[pair, 1]]["who"] == who[latest]
                if not met:
                    pairs[n, 0] = end
                    pairs[n, 1] = at[latest]
                    squares[n] = np.int64(total)
                    n += 1
            # Its client's oldest row makes room for it, or the cell's.
            room = known
            if own >= per_client or known >= back:
                room = -1
                for j in range(known):
                    if (own < per_client or who[j] == mine) and (room < 0 or at[j] < at[room]):
                        room = j
                older[at[room]] = gone
            else:
                known += 1
            rows[end] = new[i]
            at[room], who[room], digest[room] = end, mine, same_digest
            for k in range(z.shape[1]):
                sums[k, room] = z[i, k]
            end += 1
            i += 1
        # The chain anew: later rows are in later places.
        newest = np.sort(at[:known])
        for j in range(known):
            older[newest[j]] = newest[j - 1] if j else -1
        if known:
            table[place] = newest[known - 1]
    return n
