"""Walk of rows through blocks of requests."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from detectors.kernels.compiled import kernel

Array = npt.NDArray[Any]


@kernel
def count_requests(
    order: Array,
    begins: Array,
    names: Array,
    ts: Array,
    start: Array,
    requests: Array,
    last: Array,
    block: int,
    ended: Array,
    elapsed: Array,
) -> int:
    """Count each client's requests in blocks; how many blocks ended.

    Args:
        order, begins: rows by client.
        names: fingerprint of each row's request; ``ts``: its event time.
        start, requests, last: of each client, ``(m,)``, brought up to date: when the block began, requests in it, the
            last request's fingerprint (0: none yet).
        ended, elapsed: ``(n,)``, set to the rows that ended a block, client by client, and how long it took.
    """
    n = 0
    for client in range(len(begins) - 1):
        for at in range(begins[client], begins[client + 1]):
            row = order[at]
            if names[row] == last[client]:
                continue
            begun = last[client] != 0
            last[client] = names[row]
            if not begun:
                start[client] = ts[row]
                continue
            requests[client] += 1
            if requests[client] == block:
                ended[n] = row
                elapsed[n] = ts[row] - start[client]
                n += 1
                requests[client] = 0
                start[client] = ts[row]
    return n
