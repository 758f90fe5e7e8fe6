"""Suspicions of accounts that began together, and who else was active, for tests of joint evidence."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.head_count import Heads, heads
from detectors.suspicion import Suspicion

SIZE_S = 60.0
C = 1e5


def suspicion(client: str, e_value: float, since_ts: float, **more: object) -> Suspicion:
    fields: dict[str, object] = {
        "detector": "synthetic",
        "ts": since_ts + 30.0,
        "event": f"e-{client}",
        "hits": 3,
        "rows": 4,
        **more,
    }
    return Suspicion(client=client, e_value=e_value, since_ts=since_ts, **fields)  # type: ignore[arg-type]  # by name


def together(
    accounts: int, e_value: float, begin_ts: float = 0.0, gap_s: float = 5.0, name: str = "a"
) -> list[Suspicion]:
    """Accounts that begin one after the other."""
    return [suspicion(f"client:{name}{i:03d}", e_value, begin_ts + i * gap_s) for i in range(accounts)]


def crowd(honest: int = 100, suspects: Iterable[Suspicion] = ()) -> Heads:
    """So many honest accounts, and the suspects."""
    return heads([f"client:h{i}" for i in range(honest)] + [s.client for s in suspects], "salt")
