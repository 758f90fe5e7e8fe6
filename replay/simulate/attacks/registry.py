"""Every attack scenario by name. A new one is a function of an ``AttackContext`` and a line here."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from detectors.finding import Attack
from replay.simulate.attacks.context import AttackContext
from replay.simulate.datasets.examples import MissingExtraError
from replay.simulate.scenario import ScenarioError

AttackFunction = Callable[[AttackContext], None]


@dataclass(frozen=True, slots=True)
class AttackScenario:
    """``module`` is below ``replay.simulate.attacks`` and is imported on use; ``function`` is in it.

    ``pictures_only``: it moves pixels about, which rows of a table do not have.
    """

    family: Attack
    module: str
    function: str
    title: str
    pictures_only: bool = False

    def label(self, name: str) -> str:
        """The truth about a client that carries it out, as the labels file has it."""
        return f"{self.family.value}:{name}"

    def load(self) -> AttackFunction:
        """The function that carries it out. Raises MissingExtraError without the extra ``simulate``."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # the toolbox warns of deep-learning libraries not here
                module = import_module(f"replay.simulate.attacks.{self.module}")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != "art":
                raise
            raise MissingExtraError(
                "simulating attacks needs the Adversarial Robustness Toolbox: pip install 'vedette[simulate]'"
            ) from error
        return cast(AttackFunction, getattr(module, self.function))


ATTACKS: Final[dict[str, AttackScenario]] = {
    "hopskipjump": AttackScenario(Attack.EVASION, "decision_based", "hopskipjump", "HopSkipJump, labels only"),
    "boundary": AttackScenario(Attack.EVASION, "decision_based", "boundary", "Boundary attack, labels only"),
    "square": AttackScenario(Attack.EVASION, "score_based", "square", "Square attack, random search on scores", True),
    "zoo": AttackScenario(Attack.EVASION, "score_based", "zoo", "ZOO, finite differences on scores"),
    "pgd": AttackScenario(Attack.EVASION, "white_box", "pgd", "Projected gradient descent, white-box"),
    "fgm": AttackScenario(Attack.EVASION, "white_box", "fgm", "Fast gradient method, white-box"),
    "knockoff": AttackScenario(Attack.EXTRACTION, "extraction", "knockoff", "KnockoffNets with another domain"),
    "copycat": AttackScenario(Attack.EXTRACTION, "extraction", "copycat", "CopycatCNN with another domain"),
    "random-extraction": AttackScenario(Attack.EXTRACTION, "extraction", "random_extraction", "Uniform noise"),
    "signopt": AttackScenario(Attack.EVASION, "sign_opt", "sign_opt", "Sign-OPT, labels only"),
    "geoda": AttackScenario(Attack.EVASION, "geoda", "geoda", "GeoDA, labels only"),
    "simba": AttackScenario(Attack.EVASION, "simba", "simba", "SimBA, one direction a query, on scores"),
    "jacobian-augmentation": AttackScenario(Attack.EXTRACTION, "jacobian", "jacobian", "Jacobian-based augmentation"),
    "structured-synthetic": AttackScenario(Attack.EXTRACTION, "synthetic", "structured", "Inputs drawn from a model"),
    "mixup": AttackScenario(Attack.EXTRACTION, "synthetic", "mixup", "Convex mixtures of own examples"),
    "line-search": AttackScenario(Attack.EXTRACTION, "line_search", "line_search", "Lowd-Meek line searches"),
    "membership-boundary": AttackScenario(Attack.INFERENCE, "membership", "boundary", "Distance to the boundary"),
    "membership-noise": AttackScenario(Attack.INFERENCE, "membership", "noise", "Robustness to noise"),
    "membership-augmentation": AttackScenario(
        Attack.INFERENCE, "membership", "augmentation", "Robustness to shifts and turns", True
    ),
}


def attack_scenario(name: str) -> AttackScenario:
    """The scenario of that name. Raises ScenarioError, listing the names there are."""
    if name not in ATTACKS:
        raise ScenarioError(f"no attack {name!r}; there are {', '.join(sorted(ATTACKS))}")
    return ATTACKS[name]
