"""Rooms within a mapping: names that begin alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

_T = TypeVar("_T")


def under(prefix: str, state: Mapping[str, _T]) -> dict[str, _T]:
    """What has names beginning with the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def over(prefix: str, state: Mapping[str, _T]) -> dict[str, _T]:
    """The same with the prefix before every name."""
    return {prefix + name: value for name, value in state.items()}
