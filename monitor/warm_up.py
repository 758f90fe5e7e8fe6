"""Compiled loops are made, or read from disk, before a worker joins its group: events wait for nobody's compiler."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
import structlog

from detectors.baseline import ModelBaseline
from monitor.codec import LEAST_SCANNED, decode_records, encode_compact, encode_json
from monitor.codec.limits import Limits
from monitor.core import Core
from monitor.engine import MODELS_SCOPE, Engine, bands_scope, partition_scope
from monitor.event import Event
from monitor.recent import Recent

log = structlog.get_logger("vedette.warm_up")

_CLIENTS: Final = 8
_REQUESTS: Final = 24
#: Records that are judged together: enough to be walked over together, and not enough.
_MANY: Final = LEAST_SCANNED + 1
_FEW: Final = 10
#: What a client asks for, as steps from its first input, in turns: the same, its neighbours, and something else.
_STEPS: Final = (0.0, 0.0, 0.001, 0.002, 1.0, 0.003)


def warm_up(core: Core) -> None:
    """Judge made-up traffic for every model, with a restart in the middle, and forget it.

    It has partitions of its own, and what they find is dropped. Where all is on disk it takes a fraction of a second;
    where nothing is, half a minute on a slow machine.
    """
    log.info("detectors warm up")
    began = time.perf_counter()
    for model, found in core.baseline.models.items():
        events = list(_made_up(model, found))
        first, second = events[: len(events) // 2], events[len(events) // 2 :]
        requests, compact = [encode_json(event) for event in first], [encode_compact([event]) for event in second]
        _judge(_fresh(core), requests, (_MANY,))
        state = _judge(_fresh(core), requests, (1, _MANY, _FEW, 1))
        engine = Engine(core, 1, state.get(MODELS_SCOPE), (state.get(bands_scope(0), {}),))
        engine.assign(0, state.get(partition_scope(0), {}))
        _judge(engine, compact, (1, _MANY, _FEW, 1))
        # so late that all others are forgotten, and what they leave is packed
        late = msgspec.structs.replace(second[0], id="warm-up-late", ts=second[-1].ts + 3 * core.settings.clients.ttl_s)
        _judge(engine, [encode_json(late)], ())
        engine.partitions[0].sweep()
    Recent(1.0, 1).unseen(np.zeros(1, dtype=np.uint64), 0.0)
    log.info("detectors are warm", seconds=round(time.perf_counter() - began, 3))


def _fresh(core: Core) -> Engine:
    engine = Engine(core, 1)
    engine.assign(0, {})
    return engine


def _judge(engine: Engine, records: Sequence[bytes], sizes: Sequence[int]) -> dict[str, dict[str, bytes]]:
    """So many records together, and then so many, and the rest as events with arrays of their own. One alone, a few and
    many lead to arrays of different kinds, as do tables that are still empty, and each kind has its loops.

    Returns what was saved.
    """
    state: dict[str, dict[str, bytes]] = {}
    left = list(records)
    for size in (*sizes, 0):
        some, left = (left[:size], left[size:]) if size else (left, [])
        events = decode_records(some, Limits()).events
        engine.step(0, events if size else list(events))
        engine.close_windows()
        for scope, key, blob in engine.delta():
            if blob is not None:
                state.setdefault(scope, {})[key] = blob
    return state


def _made_up(model: str, found: ModelBaseline) -> Iterator[Event]:
    """Clients that ask by turns, over some windows; each is near the one before it."""
    rng = np.random.default_rng(0)
    common, noise = rng.normal(size=found.d), rng.normal(size=(_CLIENTS, found.d))
    for n in range(_CLIENTS * _REQUESTS):
        turn, client = divmod(n, _CLIENTS)
        step = _STEPS[turn % len(_STEPS)]
        x = common + 0.001 * noise[client] + step * rng.normal(size=found.d)
        label = np.array([turn % 2])
        yield Event(
            id=f"warm-up-{n}",
            ts=1.0 + 5.0 * turn,
            model=model,
            x=x.astype(np.float32)[None],
            shape=found.shape,
            client_id=f"warm-up-{client}",
            client_ip=f"192.0.2.{client}",  # of a range for documentation
            scores=np.eye(found.scores, dtype=np.float32)[label % found.scores] if found.scores else None,
            labels=label,
        )
