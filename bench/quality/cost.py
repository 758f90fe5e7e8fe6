"""What a query and a client cost: the default detectors, Blacklight and PRADA on the same recordings, one at a time.

    python -m bench.quality.cost [--quick] [--seeds 1] [--sets mnist,tumours,claims]

Prints the table, keeps it in bench/RESULTS.md, and exits with 1 where a query costs more than the goal.
``--quick``: one seed of one data set, nothing kept.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.quality.command import asked, settle
from bench.quality.methods import DEFAULT_BUDGET, VEDETTE, calibrated, events_of, replayed, run_blacklight, run_prada
from bench.quality.recordings import SETS, recorded
from bench.results import Table
from detectors.baseline import Baseline
from detectors.panel import Panel
from monitor.columns import to_batches
from monitor.event import Event
from monitor.settings import Settings
from replay.simulate.datasets import data_set

CALM: Final = f"{VEDETTE}, honest clients alone"
#: Microseconds a query, by number of features from which on it holds.
GOAL_US: Final = {784: 25.0, 0: 8.0}
GOAL_STATE_BYTES: Final = 2048
BATCH_ROWS: Final = 2000


@dataclass(frozen=True)
class Measured:
    """``us``: processor time a query by method and traffic; ``state_bytes``: memory of the median honest client."""

    us: dict[str, float]
    state_bytes: float


def measured(name: str, seed: int) -> Measured:
    """One recording."""
    recording = recorded(name, seed)
    events, innocent = events_of(recording.attacked), recording.truth.honest
    honest = [event for event in events if event.client_id in innocent]
    baseline = calibrated(recording.clean)
    replayed(baseline, events[:2000], DEFAULT_BUDGET)  # compiled before the clock starts
    calm = replayed(baseline, honest, DEFAULT_BUDGET)
    attacked = [replayed(baseline, events, DEFAULT_BUDGET)]
    attacked += [said for method in (run_blacklight, run_prada) for said in method(recording, events)]
    us = {CALM: calm.us_per_query} | {f"{said.method}, under attack": said.us_per_query for said in attacked}
    return Measured(us, state_bytes(baseline, honest))


def state_bytes(baseline: Baseline, events: Sequence[Event]) -> float:
    """Median memory of the clients that a panel knows after the events."""
    [(model, of_model)] = baseline.models.items()
    panel = Panel(model, of_model, DEFAULT_BUDGET, ttl_s=Settings().clients.ttl_s)
    for start in range(0, len(events), BATCH_ROWS):
        [batch] = to_batches(events[start : start + BATCH_ROWS])
        panel.step(batch, lambda _: False)
        panel.sweep(float(batch.ts.max()))
    return median(panel.client_nbytes().values())


def main() -> None:
    args = asked("bench.quality.cost", __doc__, SETS, 1, quick_set=0)
    by_set: dict[str, list[Measured]] = {}
    settle()
    for name in args.sets:
        for seed in range(1, args.seeds + 1):
            by_set.setdefault(name, []).append(measured(name, seed))
            print(f"measured: {name}, seed {seed}", file=sys.stderr, flush=True)
    columns = list(by_set[args.sets[0]][0].us)
    table = Table(
        "quality-cost",
        "Microseconds of processor time a query, and memory of the median honest client; median over seeds",
        ("data set", "features", *columns, "state a client, bytes"),
        notes="Vedette: row detectors and alarm, batches of 2000. Under attack half of all queries are attackers', "
        "none of whom is stopped when it is found: each goes on being found, with the evidence for every finding. "
        "State: of the clients that are known when honest traffic alone ends, most of which have sent 44 queries and "
        f"more, all that is remembered. Goals: {CALM}, {GOAL_US[784]:g} µs from 784 features on, {GOAL_US[0]:g} below; "
        f"state {GOAL_STATE_BYTES:,} bytes.",
    )
    with args.run() as run:
        for name, found in by_set.items():
            features = data_set(name).space.features
            us = {column: median(one.us[column] for one in found) for column in columns}
            state = median(one.state_bytes for one in found)
            table.row(name, str(features), *(f"{us[column]:.1f}" for column in columns), f"{state:,.0f}")
            run.at_most(f"quality-cost, {name}, state", state, GOAL_STATE_BYTES)
            goal = next(goal for least, goal in GOAL_US.items() if features >= least)
            run.at_most(f"quality-cost, {name}", us[CALM], goal)
        run.publish(table)


if __name__ == "__main__":
    main()
