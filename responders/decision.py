"""Decisions and what became of them, as data."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec


class ActionType(str, Enum):
    """What can be done about an incident."""

    QUARANTINE = "quarantine"
    ROLLBACK = "rollback"
    BLOCK_IP = "block_ip"
    THROTTLE = "throttle"
    NOTIFY = "notify"


class Decision(msgspec.Struct, frozen=True):
    """One thing to do about one incident. The id is deterministic: deciding twice is deciding once.

    Attributes:
        scope, value: what it acts on: ``client``/account id, ``ip``/address, ``model``/name.
        ttl_s: seconds after being applied when it is taken back; None only where nothing needs to expire (notify,
            rollback).
        decided_ts: event time of the evidence that led here.
        simulated: True in dry-run: recorded and reported, never carried out.
        params: action-specific plain data (throttle rate, addresses, versions).
    """

    id: str
    type: ActionType
    scope: str
    value: str
    model: str
    incident_id: str
    origin: str
    reason: str
    decided_ts: float
    ttl_s: float | None
    simulated: bool
    params: dict[str, Any] = {}


class Status(str, Enum):
    """The life of an action in the ledger."""

    PENDING = "pending"
    APPLYING = "applying"
    APPLIED = "applied"
    SIMULATED = "simulated"
    REFUSED = "refused"
    FAILED = "failed"
    REVERTING = "reverting"
    REVERTED = "reverted"
    EXPIRED = "expired"


class Why(str, Enum):
    """Why an action was or was not taken; never a bare boolean."""

    DONE = "done"
    ALREADY_SO = "already_so"
    DRY_RUN = "dry_run"
    ALLOWLISTED = "allowlisted"
    CAP_REACHED = "cap_reached"
    SHARED_ADDRESS = "shared_address"
    INVALID_TARGET = "invalid_target"
    NOTHING_TO_DO = "nothing_to_do"
    CHANGED_SINCE = "changed_since"
    TRANSIENT_ERROR = "transient_error"
    PERMANENT_ERROR = "permanent_error"
    UNDONE_BY_OPERATOR = "undone_by_operator"
    TTL_PASSED = "ttl_passed"


class Outcome(msgspec.Struct, frozen=True):
    """What came of apply or revert. ``undo`` is all that ``revert`` needs later, plain data."""

    ok: bool
    why: Why
    detail: str = ""
    undo: dict[str, Any] = {}
    retry: bool = False
