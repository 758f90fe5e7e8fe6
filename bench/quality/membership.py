"""membership: queries until an attacker who asks about training records is found by a sketch, and what that costs.

    python -m bench.quality.membership [--sets mnist,tumours,claims] [--seeds 1]

Calibrates on the clean recordings of ``bench.quality.recordings`` with a sketch of the rows the simulated model was
trained on. Attackers ask about candidates, half of them training records and half held-out ones, each once: as they
are, or with Gaussian noise (shares of each feature's range), or with four of five requests an ordinary one. Honest
clients are those of both recordings. Prints the tables and updates bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from bench.quality.recordings import SETS, Recorded, recorded
from bench.results import Table, publish
from detectors.alone import Alone
from detectors.baseline import ModelBaseline
from detectors.batch import EventBatch
from detectors.calibration import client_days
from detectors.finding import Finding
from detectors.folds import held_out, held_out_scores
from detectors.membership_hits import MembershipHits, SketchedMembershipHits
from detectors.panel import Panel
from detectors.registry import ROW_DETECTORS
from detectors.sketching import sketch_rows
from detectors.tail_rates import fit_tails
from detectors.training_sketch import MOST_COMMON, TrainingSketch
from monitor.settings import Detection
from replay.clean_traffic import clean_batches
from replay.simulate.datasets import DataSet, data_set
from replay.simulate.datasets.space import DECIMALS

BUDGET: Final = 0.01
ATTACKERS: Final = 40
QUERIES: Final = 200
#: Name of the attack: noise in shares of a feature's range, and share of ordinary requests in between.
ATTACKS: Final = {
    "as they are": (0.0, 0.0),
    "noise 0.5 %": (0.005, 0.0),
    "noise 1 %": (0.01, 0.0),
    "noise 2 %": (0.02, 0.0),
    "as they are, 4 of 5 ordinary": (0.0, 0.8),
}
_NAME: Final = MembershipHits.info.name
_BATCH: Final = 2000
_SALT: Final = b"the same salt for each benchmark"

Array = npt.NDArray[np.float64]


def queries(data: DataSet, honest: EventBatch, rng: np.random.Generator, noise: float, ordinary: float) -> Array:
    """One attacker's requests on the wire, ``(QUERIES, d)``: no candidate twice."""
    count = round(QUERIES * (1.0 - ordinary))
    train, rest = data.encoded(data.split.train.x), data.encoded(data.split.b.x)
    half = min(count // 2, len(train), len(rest))
    candidates = np.concatenate([rows[rng.permutation(len(rows))[:half]] for rows in (train, rest)])
    unit = data.space.to_unit(candidates[rng.permutation(len(candidates))])
    asked = data.space.to_wire(unit + rng.normal(0.0, noise, unit.shape))
    own = honest.x[rng.permutation(len(honest))[: round(len(asked) * ordinary / (1.0 - ordinary))]].astype(np.float64)
    places = np.sort(rng.permutation(len(asked) + len(own))[: len(asked)])
    out = np.empty((len(asked) + len(own), asked.shape[1]))
    mine = np.zeros(len(out), dtype=np.bool_)
    mine[places] = True
    out[mine], out[~mine] = asked, own
    return np.round(out, DECIMALS)


def as_batch(x: Array, client: str, like: EventBatch) -> EventBatch:
    """Requests of one client, a second apart. Answers play no part in what is measured, and are left out."""
    n = len(x)
    return replace(
        like.take(np.zeros(n, dtype=np.int64)),
        ids=tuple(f"{client}-{i}" for i in range(n)),
        ts=like.ts[-1] + np.arange(n, dtype=np.float64),
        clients=(f"client:{client}",) * n,
        x=x.astype(np.float32),
        request=np.arange(n, dtype=np.int64),
    )


def found_by(panel: Panel, batches: Iterator[EventBatch]) -> list[Finding]:
    """What ``membership_hits`` says; nobody is diverted."""
    findings: list[Finding] = []

    def take(finding: Finding) -> bool:
        if finding.detector == _NAME:
            findings.append(finding)
        return False

    for batch in batches:
        panel.step(batch, take)
    return findings


def calibrated(clean: EventBatch, sketch: TrainingSketch) -> ModelBaseline:
    """What ``detectors.calibration`` makes of this detector; the others change nothing for it."""
    kind = SketchedMembershipHits(sketch)
    names, client = np.unique(np.array(clean.clients), return_inverse=True)
    scores = held_out_scores(kind, held_out(clean))
    tails, opinions = fit_tails(scores, client, kind.resolution), int(np.count_nonzero(~np.isnan(scores)))
    of = (dict.fromkeys([_NAME], value) for value in (kind.fit(clean), kind.info.version, tails, opinions))
    return ModelBaseline(tuple(clean.shape), *of, {}, len(clean), len(names), client_days(clean), 0)


def watch(model: str, baseline: ModelBaseline) -> Panel:
    """This detector with its share of the budget, as beside all others that are on by default."""
    others = {kind.info.name for kind in ROW_DETECTORS}
    return Panel(model, baseline, BUDGET / (len(others - set(Detection().disabled)) + 1), others)


def parts(whole: EventBatch) -> Iterator[EventBatch]:
    for start in range(0, len(whole), _BATCH):
        yield whole.take(np.arange(start, min(start + _BATCH, len(whole))))


def honest_rows(recording: Recorded) -> EventBatch:
    """Requests of the attacked recording's honest clients."""
    [batch] = clean_batches([recording.attacked]).batches.values()
    honest = {f"client:{client}" for client in recording.truth.honest}
    return batch.take(np.array([client in honest for client in batch.clients]))


def judge(name: str, seed: int, table: Table) -> None:
    recording, data = recorded(name, seed), data_set(name)
    sketch = sketch_rows(data.encoded(data.split.train.x), _SALT, data.space.shape)
    [clean] = clean_batches([recording.clean]).batches.values()
    if (share := sketch.hit_share(clean)) > MOST_COMMON:
        why = f"left out: {share:.0%} of the clean requests are training records"
        table.row(f"{name}, {len(data.split.train):,}", why, "-", "-", "-")
        return
    baseline = calibrated(clean, sketch)
    honest = honest_rows(recording)
    accused = [{f.subject.key for f in found_by(watch(name, baseline), parts(rows))} for rows in (clean, honest)]
    clients = [len(set(rows.clients)) for rows in (clean, honest)]
    for attack, (noise, ordinary) in ATTACKS.items():
        panel, needed = watch(name, baseline), []
        for number in range(ATTACKERS):
            rng = np.random.default_rng([seed, number])
            batch = as_batch(queries(data, honest, rng, noise, ordinary), f"asks-{number}", honest)
            findings = found_by(panel, iter([batch]))
            needed += [batch.ids.index(findings[0].evidence["at"]) + 1] if findings else []
        table.row(
            f"{name}, {len(data.split.train):,}",
            attack,
            f"{len(needed)} of {ATTACKERS}",
            f"{np.median(needed):.0f} ({max(needed)})" if needed else "-",
            f"{len(accused[0])} of {clients[0]}, {len(accused[1])} of {clients[1]}",
        )


def us_per_row(sketch: TrainingSketch, x: npt.NDArray[np.float32], like: EventBatch) -> float:
    """Least processor time of scoring and learning a batch of 2,000 requests of 200 clients, microseconds a row."""
    alone = Alone(MembershipHits(SketchedMembershipHits(sketch).fit(like)))
    best = np.inf
    clients = tuple(f"client:{i % 200}" for i in range(_BATCH))
    for start in range(0, len(x) - _BATCH + 1, _BATCH):
        rows = alone.rows(replace(as_batch(x[start : start + _BATCH].astype(np.float64), "c", like), clients=clients))
        started = time.process_time()
        alone.detector.score(rows)
        alone.detector.learn(rows)
        best = min(best, time.process_time() - started)
    return best / _BATCH * 1e6


def costs(table: Table, like: EventBatch) -> None:
    rng = np.random.default_rng(1)
    for d, records in ((30, 10_000), (30, 1_000_000), (784, 10_000), (784, 200_000)):
        x = rng.standard_normal((records, d), dtype=np.float32)
        started = time.process_time()
        sketch = sketch_rows(x, _SALT)
        seconds = time.process_time() - started
        live = rng.standard_normal((10 * _BATCH, d), dtype=np.float32)
        mib = len(sketch.encoded()) / 2**20
        table.row(str(d), f"{records:,}", f"{us_per_row(sketch, live, like):.1f}", f"{mib:.1f}", f"{seconds:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    command = f"python -m bench.quality.membership --sets {args.sets} --seeds {args.seeds}"
    found = Table(
        "membership",
        f"Attackers who ask about training records, by `membership_hits` alone: {ATTACKERS} of {QUERIES} requests, "
        f"budget {BUDGET}",
        (
            "data set, training rows",
            "candidates",
            "found",
            "requests: median (largest)",
            "honest accused: clean, attacked",
        ),
    )
    names = args.sets.split(",")
    for name in names:
        for seed in range(1, args.seeds + 1):
            judge(name, seed, found)
    found.notes = "Half of the candidates are training records, each is asked about once. Answers are not looked at."
    publish(found, command)
    cost = Table(
        "membership-cost",
        "`membership_hits` by itself: microseconds of processor time a row, size of the sketch, time to make it",
        ("features", "training rows", "µs a row", "MiB", "s"),
    )
    [like] = clean_batches([recorded(names[0], 1).clean]).batches.values()
    costs(cost, like)
    publish(cost, command)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
