"""Accounts that began one attack together, as it is told and as it is remembered."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from detectors.suspicion import Suspicion

#: Client and event of a gang's oldest evidence when it was found.
Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Gang:
    """Attributes:
    name: of the gang, the same in everything that is said of it. detector: whose evidence it was first found by.
    members: all that were ever named, in that order. fresh: how many of them are new.
    suspicions: what is remembered against them by one detector, those that began first coming first.
    threshold: each of these is at least that. active: accounts that were active since the first began.
    """

    name: Name
    detector: str
    members: tuple[str, ...]
    fresh: int
    suspicions: tuple[Suspicion, ...]
    threshold: float
    active: int


class KnownGang(msgspec.Struct, array_like=True):
    """A gang that was found, when its first account began, and the last slot in which anything of it was seen."""

    name: Name
    detector: str
    members: tuple[str, ...]
    since_ts: float
    slot: int
