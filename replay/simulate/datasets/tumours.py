"""Breast cancer Wisconsin: 30 continuous measurements of cell nuclei, 569 people (scikit-learn, BSD; UCI, CC BY 4.0).

Columns are standardised; their heavy tails stay as they are.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from replay.simulate.datasets.examples import split
from replay.simulate.datasets.instrument import Instrument
from replay.simulate.datasets.registry import DataSet
from replay.simulate.datasets.space import row_space
from replay.simulate.datasets.tables import foreign_rows, train_network


def load() -> DataSet:
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    x = np.asarray(table.data, dtype=np.float64)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    parts = split(x, np.asarray(table.target, dtype=np.int64))
    people = np.concatenate([parts.a.x, parts.b.x])
    return DataSet(
        name="tumours",
        space=row_space(x, 2, np.zeros(x.shape[1], dtype=bool)),
        split=parts,
        device=partial(Instrument.draw, people=people, spread=x.std(axis=0), low=x.min(axis=0)),
        foreign=partial(foreign_rows, features=x.shape[1]),
        train=partial(train_network, parts.train, hidden=16, rounds=100),
    )
