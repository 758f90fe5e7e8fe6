"""What detectors say: the finding, its subject, and deterministic ids."""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Any, Literal

import msgspec


class Attack(str, Enum):
    """Kind of attack a finding speaks of; part of the public alerts format."""

    EVASION = "evasion"
    EXTRACTION = "extraction"
    INFERENCE = "inference"
    POISONING = "poisoning"
    TAMPERING = "tampering"
    ABUSE = "abuse"
    SHIFT = "shift"


class Severity(str, Enum):
    """Severity, ordered by ``rank``."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


Scope = Literal["client", "ip", "group", "model", "source"]


class Subject(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whom a finding concerns; ``members`` only for scope ``group``."""

    scope: Scope
    value: str
    members: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.scope}:{self.value}"

    @classmethod
    def from_client_key(cls, key: str) -> Subject:
        """``client:ID`` or ``ip:ADDRESS``, as in ``EventBatch.clients``."""
        scope, _, value = key.partition(":")
        return cls(scope="ip" if scope == "ip" else "client", value=value)


class Finding(msgspec.Struct, frozen=True):
    """One line of the alerts file. Event ids and figures, never raw inputs."""

    id: str
    ts: float
    detector: str
    detector_version: str
    attack: Attack
    technique: str
    model: str
    version: str
    subject: Subject
    severity: Severity
    score: float
    threshold: float
    evidence: dict[str, Any]
    first_seen: float
    last_seen: float
    count: int


def stable_id(prefix: str, *parts: str) -> str:
    """``prefix-`` and 16 hex digits of BLAKE2b over the parts, length-prefixed so that joins cannot collide."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(4, "little"))
        digest.update(raw)
    return f"{prefix}-{digest.hexdigest()}"
