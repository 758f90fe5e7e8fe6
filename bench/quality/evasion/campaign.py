"""All that one client sends: attacks on one or more victims in disguise, shuffled, among ordinary requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.quality.evasion.attempt import Task, Yardstick, attempt, ordinary
from bench.quality.evasion.strategy import Strategy
from replay.simulate.datasets.examples import Array

#: A disguised attack may send so many times the queries of the plain one, decoys included.
MOST_TIMES: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    """``sent``: rows on the wire in their order, ``(n, d)``, up to the last query that was needed.

    Attributes:
        plain: queries the plain attack needs for the same.
        works: half of the victims or more were reached.
    """

    sent: Array
    plain: int
    works: bool

    @property
    def cost(self) -> float:
        """Queries as a multiple of those of the plain attack."""
        return len(self.sent) / self.plain


def campaign(tasks: Sequence[Task], yardsticks: Sequence[Yardstick], strategy: Strategy) -> Campaign:
    """One attack on each task's victim; each may send ``MOST_TIMES`` the requests of the plain one.

    Those that fail have been paid for, but count for nothing: ``plain`` is the sum over victims reached, or over all
    if fewer than half were.
    """
    streams, reached = [], []
    for task, yardstick in zip(tasks, yardsticks, strict=True):
        budget = MOST_TIMES * yardstick.queries // (1 + strategy.decoys)
        made = attempt(task, strategy, budget, yardstick.distortion)
        until = made.reached(yardstick.distortion)
        streams.append(made.sent[:until])
        reached.append(until is not None)
    works = 2 * sum(reached) >= len(tasks)
    plain = sum(y.queries for y, done in zip(yardsticks, reached, strict=True) if done or not works)
    rng = np.random.default_rng([tasks[0].victim, 3])
    sent = shuffled(streams, rng)
    return Campaign(hidden(sent, ordinary(tasks[0], strategy.decoys * len(sent)), rng), plain, works)


def shuffled(streams: Sequence[Array], rng: np.random.Generator) -> Array:
    """All rows of the streams at random places, those of one stream in their order."""
    whose = rng.permutation(np.repeat(np.arange(len(streams)), [len(stream) for stream in streams]))
    return np.concatenate(streams)[np.argsort(np.argsort(whose, kind="stable"), kind="stable")]


def hidden(rows: Array, decoys: Array, rng: np.random.Generator) -> Array:
    """The rows in their order, decoys at random places between them, before the last."""
    total = len(rows) + len(decoys)
    ours = np.zeros(total, dtype=np.bool_)
    ours[rng.permutation(total - 1)[: len(rows) - 1]] = True
    ours[-1] = True
    sent = np.empty((total, rows.shape[1]))
    sent[ours], sent[~ours] = rows, decoys
    return sent
