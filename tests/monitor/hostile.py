"""Records made to hurt: each with a name, its bytes, and the one reason for which it must be rejected.

``nasty_but_valid`` are the opposite: events that must get through unharmed although their texts are attacks on
whatever shows them.
"""

from __future__ import annotations

from monitor.codec.limits import Limits
from tests.monitor import hostile_compact, hostile_names, hostile_text, hostile_values
from tests.monitor.hostile_parts import Hostile
from tests.monitor.nasty import nasty_but_valid

__all__ = ["Hostile", "hostile_records", "nasty_but_valid"]


def hostile_records(limits: Limits | None = None) -> list[Hostile]:
    """All of them, names and bytes distinct.

    The oversized ones are one byte past ``limits.max_bytes``, two more just below it; all others have less than 400 kB.
    """
    limits = limits or Limits()
    return [
        *hostile_text.empty_and_foreign(),
        *hostile_text.broken_json(),
        *hostile_text.encodings(),
        *hostile_text.depth(),
        *hostile_text.sizes(limits),
        *hostile_values.missing_and_mistyped(),
        *hostile_values.numbers(),
        *hostile_values.shapes(limits),
        *hostile_values.outputs(),
        *hostile_names.names(),
        *hostile_names.times(),
        *hostile_names.addresses(),
        *hostile_names.tags(),
        *hostile_compact.containers(),
        *hostile_compact.requests(limits),
    ]
