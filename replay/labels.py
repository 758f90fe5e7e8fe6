"""Ground truth of a recording: who attacked, how, and when the inputs shifted."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from detectors.finding import Attack
from monitor.errors import UserError

BENIGN: Final = "benign"
_MAX_BYTES: Final = 64 * 1024 * 1024


class LabelsError(UserError, ValueError):
    """A labels file that cannot be used; the message says what is wrong and where."""


class Labels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Labels of one recording.

    Attributes:
        clients: client id (an address for a client without id) → ``benign`` or ``<attack>:<name>``, where
            ``<attack>`` is one of the kinds of ``detectors.finding.Attack``, e.g. ``evasion:hopskipjump``.
        shift_onset: model → event time, epoch seconds, from which its honest inputs come from another distribution.
        groups: name of a group → the clients through which one attacker works; each of them is in ``clients`` too.
    """

    clients: dict[str, str]
    shift_onset: dict[str, float] = {}
    groups: dict[str, tuple[str, ...]] = {}

    def attackers(self) -> dict[str, tuple[Attack, str]]:
        """Attacking clients with kind and name of their attack, in the order of the file."""
        return {client: split_label(label) for client, label in self.clients.items() if label != BENIGN}

    def honest(self) -> tuple[str, ...]:
        """The clients labelled benign."""
        return tuple(client for client, label in self.clients.items() if label == BENIGN)


def split_label(label: str) -> tuple[Attack, str]:
    """``evasion:hopskipjump`` → ``(Attack.EVASION, "hopskipjump")``. Raises LabelsError for anything else."""
    kind, colon, name = label.partition(":")
    if not colon or not name or kind not in set(Attack):
        kinds = ", ".join(attack.value for attack in Attack)
        raise LabelsError(f"label {label[:80]!r} is neither {BENIGN!r} nor '<attack>:<name>' with <attack> of {kinds}")
    return Attack(kind), name


def encode_labels(labels: Labels) -> bytes:
    """The labels as indented JSON with a newline at the end; the same labels give the same bytes."""
    fields = msgspec.to_builtins(labels)
    if not labels.groups:
        del fields["groups"]
    return msgspec.json.format(msgspec.json.encode(fields, order="deterministic"), indent=2) + b"\n"


def decode_labels(raw: bytes) -> Labels:
    """Labels from JSON, every label checked. Raises LabelsError."""
    if len(raw) > _MAX_BYTES:
        raise LabelsError(f"labels of {len(raw)} bytes; the limit is {_MAX_BYTES}")
    try:
        labels = msgspec.json.decode(raw, type=Labels)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LabelsError(f"not a labels file: {error}") from error
    for client, label in labels.clients.items():
        if label == BENIGN:
            continue
        try:
            split_label(label)
        except LabelsError as error:
            raise LabelsError(f"client {client[:80]!r}: {error}") from None
    return labels


def labels_path(recording: Path) -> Path:
    """Where the labels of a recording are kept: ``demo.jsonl.zst`` → ``demo.labels.json``, in the same folder."""
    return recording.with_name(f"{recording.name.partition('.')[0]}.labels.json")


def read_labels(path: Path) -> Labels:
    """Labels from a file. Raises LabelsError naming the file, OSError if it cannot be read."""
    try:
        return decode_labels(path.read_bytes())
    except LabelsError as error:
        raise LabelsError(f"{path}: {error}") from error
