"""The served model as an attacker meets it: every query is written down, and the budget ends."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from replay.simulate.datasets.examples import Array
from replay.simulate.served import ServedModel


class BudgetSpent(Exception):  # noqa: N818 - it is how an attack ends, not an error
    """The attacker has sent all the queries it may."""


class Oracle:
    """Answers queries with the served scores and keeps them as sent, in order, in ``queries``.

    ``allow(n)`` sets a lower limit for the next part of the attack; the budget of the whole always holds.
    """

    def __init__(self, model: ServedModel, budget: int) -> None:
        self.model = model
        self.queries: list[Array] = []
        self._budget = budget
        self._limit = budget

    @property
    def left(self) -> int:
        return max(self._budget - len(self.queries), 0)

    def allow(self, queries: int) -> None:
        """From here on at most ``queries`` more."""
        self._limit = min(len(self.queries) + queries, self._budget)

    def scores(self, x: Array) -> Array:
        """Class probabilities ``(n, classes)`` of rows of the unit cube, any shape of ``n * d`` numbers.

        Raises BudgetSpent if not all rows may be sent; those that may have been sent by then.
        """
        rows = self.model.data.space.to_wire(x)
        room = max(self._limit - len(self.queries), 0)
        self.queries.extend(rows[:room])
        if len(rows) > room:
            raise BudgetSpent
        return self.model.scores(rows)


@contextmanager
def seeded_globals(seed: int) -> Iterator[None]:
    """Attack libraries draw from the global generators of ``random`` and numpy: seed them, then put them back."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
