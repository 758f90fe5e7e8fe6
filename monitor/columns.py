"""Events to columnar batches: the one place where requests become rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, compress, repeat

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.batch import NO_LABEL, BoolArray, EventBatch, FloatArray, IntArray
from monitor.event import Event, client_keys
from monitor.event_block import EventBlock

#: Model, shape of a row, number of scores.
_Key = tuple[str, tuple[int, ...], int]


def to_batches(events: Sequence[Event], widths: Mapping[str, int] | None = None) -> list[EventBatch]:
    """Batches of rows that can stand in one table: same model, row shape and number of scores (or no scores).

    Batches come in order of their first event, rows in arrival order; ``request`` is the index into ``events``.

    Args:
        widths: by model, how many scores a row of it has; events of these models are aligned to it first.
    """
    if isinstance(events, EventBlock) and len(events):
        model, width = events.models[0], 0 if events.scores is None else events.scores.shape[1]
        if events.models.count(model) == len(events) and (widths or {}).get(model, width) == width:
            return [_of_block(events)]
    keys = _keys(events)
    kinds = {keys[0]} if keys and keys.count(keys[0]) == len(keys) else set(keys)
    if widths and any(widths.get(model, width) != width for model, _, width in kinds):
        events = [align_scores(e, widths[e.model]) if e.model in widths else e for e in events]
        keys = _keys(events)
        kinds = set(keys)
    if len(kinds) == 1:
        return [_batch(events, np.arange(len(events)))]
    groups: dict[_Key, list[int]] = {}
    for i, key in enumerate(keys):
        groups.setdefault(key, []).append(i)
    return [_batch([events[i] for i in index], np.asarray(index, dtype=np.int64)) for index in groups.values()]


def align_scores(event: Event, width: int) -> Event:
    """The event with ``width`` scores a row, NaN where it has none or another number; its labels stay as served.

    So that all rows of a model stand in one table in arrival order, whatever some of them lack.
    """
    have = 0 if event.scores is None else event.scores.shape[1]
    if have == width:
        return event
    scores = np.full((event.rows, width), np.nan, dtype=np.float32) if width else None
    return msgspec.structs.replace(event, scores=scores, labels=event.served_labels())


def times(events: Sequence[Event]) -> FloatArray:
    """Event times, ``(n,)``."""
    return events.ts if isinstance(events, EventBlock) else np.array([e.ts for e in events], dtype=np.float64)


def names(events: Sequence[Event]) -> tuple[list[str], list[str]]:
    """Models and ids."""
    if isinstance(events, EventBlock):
        return events.models, events.ids
    return [e.model for e in events], [e.id for e in events]


def marked(events: Sequence[Event], keep: BoolArray) -> Sequence[Event]:
    """The events marked in ``keep``."""
    return events.compress(keep) if isinstance(events, EventBlock) else list(compress(events, keep))


def origins(events: Sequence[Event]) -> tuple[list[str], list[str]]:
    """Addresses and clients of the events that have an address."""
    if isinstance(events, EventBlock):
        ips, clients = events.client_ips, events.clients
    else:
        ips, clients = [e.client_ip for e in events], [e.client for e in events]
    return (ips, clients) if all(ips) else ([ip for ip in ips if ip], list(compress(clients, ips)))


def _of_block(block: EventBlock) -> EventBatch:
    return EventBatch(
        model=block.models[0],
        ids=tuple(block.ids),
        ts=block.ts,
        clients=tuple(block.clients),
        x=block.x,
        shape=block.shape,
        labels=_labels_without(block.scores, len(block)) if block.labels is None else block.labels,
        scores=block.scores,
        request=np.arange(len(block)),
        versions=tuple(block.versions),
        ips=tuple(block.client_ips),
    )


def _keys(events: Sequence[Event]) -> list[_Key]:
    return [(e.model, e.shape, 0 if e.scores is None else e.scores.shape[1]) for e in events]


def _batch(events: Sequence[Event], index: IntArray) -> EventBatch:
    rows = [len(e.x) for e in events]
    one_each = max(rows) == 1

    def per_row(values: list[str]) -> tuple[str, ...]:
        return tuple(values) if one_each else tuple(chain.from_iterable(map(repeat, values, rows)))

    scores = None if events[0].scores is None else np.concatenate([e.scores for e in events if e.scores is not None])
    ts = np.array([e.ts for e in events], dtype=np.float64)
    return EventBatch(
        model=events[0].model,
        ids=per_row([e.id for e in events]),
        ts=ts if one_each else np.repeat(ts, rows),
        clients=per_row(client_keys([e.client_id for e in events], [e.client_ip for e in events])),
        x=np.concatenate([e.x for e in events]),
        shape=events[0].shape,
        labels=_labels(events, rows, scores),
        scores=scores,
        request=index if one_each else np.repeat(index, rows),
        versions=per_row([e.version for e in events]),
        ips=per_row([e.client_ip for e in events]),
    )


def _labels(events: Sequence[Event], rows: list[int], scores: npt.NDArray[np.float32] | None) -> IntArray:
    """``Event.served_labels`` of all rows at once: as served, else the arg-max of the scores, else NO_LABEL."""
    served = [e.labels for e in events]
    given = [labels for labels in served if labels is not None]
    if len(given) == len(events):
        return np.concatenate(given)
    fallback = _labels_without(scores, sum(rows))
    if given:
        fallback[np.repeat([labels is not None for labels in served], rows)] = np.concatenate(given)
    return fallback


def _labels_without(scores: npt.NDArray[np.float32] | None, rows: int) -> IntArray:
    """Of rows that came without a label."""
    if scores is None:
        return np.full(rows, NO_LABEL, dtype=np.int64)
    return np.asarray(np.argmax(scores, axis=1), dtype=np.int64)
