"""RAND Health Insurance Experiment: 20,190 person-years with counts, ticked boxes and amounts (public domain).

From the package statsmodels (BSD). Doctor's visits (count), log of coinsurance, individual-deductible plan (box), log
of the participation incentive, log of the largest payment, physical limitation (box, some imputed shares), index of
chronic diseases; the class is the person's own word on their health: excellent, good, or less. One person answers in
several years, often the same: honest rows repeat.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from replay.simulate.datasets.bundled import bundled
from replay.simulate.datasets.examples import split
from replay.simulate.datasets.instrument import Form
from replay.simulate.datasets.registry import DataSet
from replay.simulate.datasets.space import row_space
from replay.simulate.datasets.tables import foreign_rows, train_network

COLUMNS: Final = ("mdvis", "lncoins", "idp", "lpi", "fmde", "physlm", "disea")
_WHOLE: Final = ("mdvis", "idp")
_AMOUNTS: Final = ("lpi", "fmde", "disea")


def load() -> DataSet:
    """Raises MissingExtraError without statsmodels."""
    path = bundled("statsmodels", "datasets", "randhie", "randhie.csv")
    with path.open(encoding="utf-8") as file:
        names = file.readline().strip().split(",")
        table = dict(zip(names, np.loadtxt(file, delimiter=",").T, strict=True))
    x = np.stack([table[name] for name in COLUMNS], axis=1)
    y = np.where(table["hlthf"] + table["hlthp"] > 0, 2, np.where(table["hlthg"] > 0, 1, 0)).astype(np.int64)
    parts = split(x, y)
    whole, amounts = (np.isin(COLUMNS, chosen) for chosen in (_WHOLE, _AMOUNTS))
    return DataSet(
        name="claims",
        space=row_space(x, 3, whole),
        split=parts,
        device=partial(Form.draw, amounts=amounts, whole=whole),
        foreign=partial(foreign_rows, features=x.shape[1]),
        train=partial(train_network, parts.train, hidden=24, rounds=12),
    )
