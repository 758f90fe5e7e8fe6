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
        new: structured (``band_memory.ROW``), ``(n,)``, each cell's rows in order.
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
    limit = np.int64(reach) * np.int64(reach)
    differing = np.int64(reach_differing) * np.int64(reach_differing)
    farthest = max(limit, differing)
    for i in range(len(new)):
        place = (new[i]["cell"] >> 1) & mask
        while table[place] >= 0 and rows[table[place]]["cell"] != new[i]["cell"]:
            place = (place + 1) & mask
        first = n
        mute = False
        known = 0  # rows of the cell
        own = 0  # those of them that are the client's
        before_last = -1
        before_own = -1
        before = -1
        at = table[place]
        while at >= begin:
            if rows[at]["digest"] == new[i]["digest"]:
                silent[i] = True
                break
            known += 1
            before_last = before
            same = rows[at]["who"] == new[i]["who"]
            if same:
                own += 1
                before_own = before
            total = np.int64(0)
            if new[i]["cell"] & 1:
                equal = 0
                for k in range(8):
                    mine = np.uint16(new[i]["z"][k])
                    differing_bits = mine ^ np.uint16(rows[at]["z"][k])
                    equal += (mine & 0xFF) != 0 and (differing_bits & 0xFF) == 0
                    equal += (mine >> 8) != 0 and (differing_bits >> 8) == 0
                if equal < least_equal:
                    total = farthest
            else:
                # Near in the half that made the cell they are anyway: most are told apart by the first of the other.
                half = rows[at]["z"].shape[0] // 2
                for k in range(half):
                    one = np.int64(np.int16(new[i]["z"][k] - rows[at]["z"][k]))
                    other = np.int64(np.int16(new[i]["z"][half + k] - rows[at]["z"][half + k]))
                    total += one * one + other * other
                    if total >= farthest:
                        break
            if total < limit or total < differing:
                if same:
                    mute = True
                elif total >= limit and rows[at]["label"] == new[i]["label"]:
                    pass
                elif n - first < most:
                    met = False
                    for pair in range(first, n):
                        met |= rows[pairs[pair, 1]]["who"] == rows[at]["who"]
                    if not met:
                        pairs[n, 0] = end
                        pairs[n, 1] = at
                        squares[n] = total
                        n += 1
            before = at
            at = rows[at]["older"]
        if silent[i]:
            n = first
            continue
        if mute:
            n = first
        # Its client's oldest row makes room for it, or the cell's.
        newest = table[place]
        if own >= per_client or known >= back:
            newer = before_own if own >= per_client else before_last
            leaver = rows[newer]["older"] if newer >= 0 else newest
            if newer >= 0:
                rows[newer]["older"] = rows[leaver]["older"]
            else:
                newest = rows[leaver]["older"]
            rows[leaver]["older"] = gone
        rows[end] = new[i]
        rows[end]["older"] = newest
        table[place] = end
        end += 1
    return n
