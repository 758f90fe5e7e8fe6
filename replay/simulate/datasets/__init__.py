"""The data sets of simulations: real examples split for good, a model trained on one part, traffic from the others."""

from replay.simulate.datasets.registry import DATA_SETS, DataSet, data_set

__all__ = ["DATA_SETS", "DataSet", "data_set"]
