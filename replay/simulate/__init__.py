"""Labelled recordings with honest clients and real attacks."""

from replay.simulate.datasets.examples import MissingExtraError
from replay.simulate.presets import PRESET_NAMES, preset
from replay.simulate.save import save
from replay.simulate.scenario import Attacker, HonestClient, Scenario, ScenarioError, Shift
from replay.simulate.simulation import Simulated, simulate

__all__ = [
    "PRESET_NAMES",
    "Attacker",
    "HonestClient",
    "MissingExtraError",
    "Scenario",
    "ScenarioError",
    "Shift",
    "Simulated",
    "preset",
    "save",
    "simulate",
]
