"""Every attack scenario by name. A new one is a function of an ``AttackContext`` and a line here."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, cast

from detectors.finding import Attack
from monitor.errors import UserError
from replay.simulate.attacks.context import AttackContext
from replay.simulate.scenario import ScenarioError

AttackFunction = Callable[[AttackContext], None]


class MissingExtraError(UserError, ImportError):
    """The attack libraries are not installed; the message says how to get them."""


@dataclass(frozen=True, slots=True)
class AttackScenario:
    """``module`` is below ``replay.simulate.attacks`` and is imported on use; ``function`` is in it."""

    family: Attack
    module: str
    function: str
    title: str

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
    "square": AttackScenario(Attack.EVASION, "score_based", "square", "Square attack, random search on scores"),
    "zoo": AttackScenario(Attack.EVASION, "score_based", "zoo", "ZOO, finite differences on scores"),
    "pgd": AttackScenario(Attack.EVASION, "white_box", "pgd", "Projected gradient descent, white-box"),
    "fgm": AttackScenario(Attack.EVASION, "white_box", "fgm", "Fast gradient method, white-box"),
    "knockoff": AttackScenario(Attack.EXTRACTION, "extraction", "knockoff", "KnockoffNets with photo patches"),
    "copycat": AttackScenario(Attack.EXTRACTION, "extraction", "copycat", "CopycatCNN with photo patches"),
    "random-extraction": AttackScenario(
        Attack.EXTRACTION, "extraction", "random_extraction", "extraction with random inputs"
    ),
}


def attack_scenario(name: str) -> AttackScenario:
    """The scenario of that name. Raises ScenarioError, listing the names there are."""
    if name not in ATTACKS:
        raise ScenarioError(f"no attack {name!r}; there are {', '.join(sorted(ATTACKS))}")
    return ATTACKS[name]
