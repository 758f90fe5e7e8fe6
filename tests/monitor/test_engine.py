"""The engine: partitions and model windows together say the same however they are interleaved and restarted."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.registry import ROW_DETECTORS
from monitor.engine import Engine, bands_scope, partition_scope
from monitor.event import Event
from replay.sender import partition_of
from tests.monitor.small_core import Seen, clean, core, event

START = 1_763_700_000.0
END = 1e10


def drifted(n: int = 600, clients: int = 30) -> list[Event]:
    """Many honest clients, whose images are all inverted halfway."""
    rng = np.random.default_rng(3)
    rows = clean().x[rng.integers(len(clean()), size=n)]
    rows[n // 2 :] = rows.max() - rows[n // 2 :]
    return [
        event(i, START + i * 0.1, f"client:c{i % clients}", rows[i : i + 1], version="2" if i >= n // 2 else "1")
        for i in range(n)
    ]


def play(events: list[Event], partitions: int, step: int, order: int = 1, restart: bool = False) -> Seen:
    """Events to partitions by client; each partition's next ``step`` events in turn, forwards or backwards."""
    small, seen = core("dry-run", disabled=tuple(kind.info.name for kind in ROW_DETECTORS)), Seen()
    queues: dict[int, list[Event]] = {p: [] for p in range(partitions)}
    for e in events:
        queues[partition_of(e.client.encode(), partitions)].append(e)
    engine = Engine(small, partitions)
    for p in queues:
        engine.assign(p, {})
    while any(queues.values()):
        for p in list(queues)[::order]:
            seen.take(engine.step(p, queues[p][:step]))
            queues[p] = queues[p][step:]
            if not queues[p]:
                seen.take(engine.step(p, [], ticks=[(0, events[-1].ts)]))
        seen.take(engine.close_windows())
        seen.write(engine.delta())
        if restart:
            engine = Engine(small, partitions, seen.scope("models"), [seen.scope(bands_scope(0))])
            for p in queues:
                engine.assign(p, seen.scope(partition_scope(p)))
    for p in queues:
        seen.take(engine.step(p, [], ticks=[(0, END)]))
    seen.take(engine.close_windows())
    return seen


@pytest.mark.parametrize(("partitions", "step", "order"), [(1, 37, 1), (4, 1000, 1), (4, 20, -1), (7, 11, 1)])
def test_the_models_windows_do_not_depend_on_partitions_or_order(partitions: int, step: int, order: int) -> None:
    expected = play(drifted(), 1, 1000)
    shifts = [f for f in expected.findings if f.subject.scope == "model"]
    assert shifts
    again = play(drifted(), partitions, step, order)
    assert [f for f in again.findings if f.subject.scope == "model"] == shifts
    assert again.verdicts == expected.verdicts


def test_restarts_change_nothing_that_windows_say() -> None:
    assert play(drifted(), 3, 40, restart=True).said() == play(drifted(), 3, 40).said()


def test_a_partition_that_is_not_ours_is_an_error() -> None:
    engine = Engine(core(), 3)
    engine.assign(1, {})
    with pytest.raises(KeyError):
        engine.step(2, [])


def test_idle_partitions_do_not_hold_windows_open() -> None:
    """All but one of the partitions have nothing to read, and say so."""
    small = core("dry-run", disabled=tuple(kind.info.name for kind in ROW_DETECTORS))
    engine = Engine(small, 2)
    engine.assign(0, {})
    engine.assign(1, {})
    seen = Seen()
    seen.take(engine.step(0, drifted()))
    seen.take(engine.step(0, [], ticks=[(0, END)]))
    seen.take(engine.close_windows())
    assert not seen.findings
    engine.idle(1)
    seen.take(engine.close_windows())
    assert [f.subject.scope for f in seen.findings] == ["model"]


def test_release_reaches_whichever_partition_the_client_is_in() -> None:
    engine = Engine(core(), 3)
    for p in range(3):
        engine.assign(p, {"divert/digits\x1fclient:eve": b"\xcb" + np.array(END, ">f8").tobytes()})
    engine.release("digits", "client:eve")
    released = [(scope, key) for scope, key, blob in engine.delta() if blob is None]
    assert released == [(partition_scope(p), "divert/digits\x1fclient:eve") for p in range(3)]
