"""How an attacker who knows the detectors changes its queries, and in which strengths it is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Strategy:
    """What happens to each query of an attack on its way to the service.

    Attributes:
        noise_sd: white Gaussian noise, in units of the noise of clean sensors: of full scale for pictures, of a
            feature's standard deviation for rows. Clean sensors have 0.01 to 0.06, old ones 0.07.
        moves: pictures only, a random shift by up to so many pixels, a turn by up to five degrees times it and a
            brightness changed by up to 5 % times it.
        resampled: rows only, share of the features, those that the model heeds least, taken from an own example.
        jitter: rows only, whole steps of the last decimal that each feature is moved by at most.
        votes: disguises of each query that are sent; the attack is given the mean answer.
        victims: attacks on so many different inputs at a time, their queries in random order.
        decoys: ordinary inputs sent to each query, at random places.
        guided: the attack is rewritten to learn from the disguise itself (``guided``, ``guided_scores``).
    """

    noise_sd: float = 0.0
    moves: float = 0.0
    resampled: float = 0.0
    jitter: int = 0
    votes: int = 1
    victims: int = 1
    decoys: int = 0
    guided: bool = False

    @property
    def name(self) -> str:
        parts = [
            f"noise {self.noise_sd:g}" if self.noise_sd else "",
            f"moved by {self.moves:g}" if self.moves else "",
            f"{self.resampled:.0%} of features resampled" if self.resampled else "",
            f"last decimal ±{self.jitter}" if self.jitter else "",
            f"mean of {self.votes}" if self.votes > 1 else "",
            f"{self.victims} victims shuffled" if self.victims > 1 else "",
            f"{self.decoys} decoy{'s' if self.decoys > 1 else ''}" if self.decoys else "",
            "guided by it" if self.guided else "",
        ]
        return ", ".join(part for part in parts if part) or "none"

    def fits(self, pictures: bool) -> bool:
        return not (self.resampled or self.jitter) if pictures else not self.moves


PLAIN: Final = Strategy()

STRATEGIES: Final = (
    PLAIN,
    *(Strategy(noise_sd=sd) for sd in (0.01, 0.02, 0.05, 0.1)),
    Strategy(noise_sd=0.05, votes=5),
    Strategy(noise_sd=0.1, votes=5),
    *(Strategy(noise_sd=sd, guided=True) for sd in (0.02, 0.03, 0.05, 0.1, 0.2)),
    Strategy(moves=0.5),
    Strategy(moves=1.0, votes=5),
    Strategy(moves=0.5, noise_sd=0.05, guided=True),
    Strategy(jitter=5),
    Strategy(jitter=50),
    Strategy(resampled=0.25),
    Strategy(resampled=0.5, votes=5),
    Strategy(resampled=0.25, noise_sd=0.05, guided=True),
    Strategy(victims=4),
    Strategy(victims=8),
    Strategy(decoys=4),
    Strategy(decoys=9),
    Strategy(noise_sd=0.05, guided=True, victims=4),
    *(Strategy(noise_sd=sd, guided=True, decoys=m) for sd in (0.03, 0.1, 0.2) for m in (1, 4)),
)

#: What ``--quick`` tries.
FEW: Final = (PLAIN, Strategy(noise_sd=0.05), Strategy(noise_sd=0.1, guided=True), Strategy(decoys=4))
