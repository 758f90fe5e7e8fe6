"""The service as a disguised attack meets it, and how near to its victim the attack has come."""

from __future__ import annotations

import numpy as np

from bench.quality.evasion.disguise import Disguise
from replay.simulate.datasets.examples import Array, Labels
from replay.simulate.oracle import BudgetSpent, Oracle
from replay.simulate.served import ServedModel


class DisguisedOracle(Oracle):
    """Sends disguises of each query and answers with the mean of what they were answered.

    ``distortions`` has (queries sent, least distance so far) whenever the attack got nearer: Euclidean, in the unit
    cube, from the victim to a point the attack asked about that the model gives another class than the victim.
    What the attack asks about is judged as it is, before its disguise, and at no cost: no real attacker knows as much.
    The attack is over when the distance is ``goal`` or less.
    """

    def __init__(self, model: ServedModel, budget: int, disguise: Disguise, goal: float = 0.0) -> None:
        super().__init__(model, budget)
        self.distortions: list[tuple[int, float]] = []
        #: What the attacker knows of its last call: rows as sent, ``(n, d)``, and their answers, ``(n, classes)``.
        self.last: tuple[Array, Array] = (np.empty((0, 0)), np.empty((0, 0)))
        self._disguise = disguise
        self._goal = goal
        self._victim: Array | None = None
        self._home = -1

    def aim(self, victim: Array) -> None:
        """From here on the attack is one on ``victim`` ``(d,)``."""
        self._victim = victim
        self._home = int(self._classes(victim)[0])

    def scores(self, x: Array) -> Array:
        """As ``Oracle.scores``. Raises BudgetSpent if the budget ends or the goal is reached."""
        rows = np.asarray(x, dtype=np.float64).reshape(-1, self.model.data.space.features)
        votes, sent = self._disguise.strategy.votes, len(self.queries)
        copies = self._disguise.copies(rows)
        # A batch is sent in any order; answers are put back into that of the attack.
        order = self._disguise.rng.permutation(len(copies)) if self._disguise.strategy.victims > 1 else slice(None)
        answers = np.empty((len(copies), self.model.data.space.classes))
        spent = False
        try:
            answers[order] = super().scores(copies[order])
        except BudgetSpent:
            spent = True
        self._measure(rows, sent)
        if spent or (self.distortions and self.distortions[-1][1] <= self._goal):
            raise BudgetSpent
        self.last = (copies, answers)
        return np.asarray(answers.reshape(len(rows), votes, -1).mean(axis=1))

    def _measure(self, rows: Array, sent: int) -> None:
        """A row of a batch is known once all its disguises are sent, or the batch if it is shuffled."""
        if self._victim is None:
            return
        away = np.linalg.norm(rows - self._victim, axis=1)
        least = self.distortions[-1][1] if self.distortions else np.inf
        nearer = np.flatnonzero(away < least)
        shuffled = self._disguise.strategy.victims > 1
        for i in nearer[self._classes(rows[nearer]) != self._home].tolist() if len(nearer) else ():
            known = len(rows) if shuffled else i + 1
            after = sent + known * self._disguise.strategy.votes
            if away[i] < least and after <= len(self.queries):
                least = float(away[i])
                self.distortions.append((after, least))

    def _classes(self, rows: Array) -> Labels:
        return np.asarray(self.model.scores(self.model.data.space.to_wire(rows)).argmax(axis=1))
