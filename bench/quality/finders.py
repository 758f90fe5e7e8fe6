"""Which detector finds which attack, and after how many of its queries: attackers who hide nothing, each by itself.

    python -m bench.quality.finders [--quick] [--seeds 5] [--sets mnist,tumours,claims] [--jobs 2]

Prints the table and keeps it in bench/RESULTS.md. ``--quick``: one seed of one data set, nothing kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.quality.command import asked
from bench.quality.methods import DEFAULT_BUDGET, Said, calibrated, events_of, replayed
from bench.quality.recordings import SETS, recorded
from bench.quality.scores import queries_until
from bench.quality.truth import AttackerTruth, Truth
from bench.results import Table

#: Detectors named for one attack.
_MOST: Final = 3
_VARIANT: Final = "plain"


@dataclass(frozen=True, slots=True)
class First:
    """The first finding of one attacker by one detector, after so many of its queries; by "": there is none at all."""

    data_set: str
    attack: str
    by: str
    queries: int


def firsts(data_set: str, seed: int) -> list[First]:
    """Of one recording."""
    recording = recorded(data_set, seed)
    truth = recording.truth
    looked_at = {account for attacker in _plain(truth) for account in attacker.accounts}
    events = [event for event in events_of(recording.attacked) if event.client_id in looked_at]
    return firsts_of(data_set, truth, replayed(calibrated(recording.clean), events, DEFAULT_BUDGET))


def firsts_of(data_set: str, truth: Truth, said: Said) -> list[First]:
    """What was said of each plain attacker alone, not as one of a group."""
    found = []
    for attacker in _plain(truth):
        by: dict[str, int] = {}
        for accusation in sorted(said.accusations, key=lambda accusation: accusation.ts):
            if not accusation.as_group and not set(accusation.clients).isdisjoint(attacker.accounts):
                by.setdefault(accusation.by, queries_until(attacker, accusation.ts))
        found += [First(data_set, attacker.attack, name, queries) for name, queries in (by or {"": 0}).items()]
    return found


def table_of(found: Sequence[First], seeds: int) -> Table:
    """A row for each attack, a column for each data set."""
    sets = list(dict.fromkeys(first.data_set for first in found))
    table = Table(
        "quality-finders",
        "Which detector finds which attack, and after how many of its queries",
        ("attack", *sets),
        notes="The attack's queries until the detector first found it, median over the seeds in which it did; in how "
        f"many of {seeds}, if not all. The {_MOST} that find it most often, the first of them first; in bold one that "
        "no other follows. Default detectors and budget; whoever is found goes on, so that others find it too. A "
        "finding that several detectors make together is that of the one that holds most.",
    )
    for attack in sorted({first.attack for first in found}):
        of = [first for first in found if first.attack == attack]
        table.row(attack, *(_cell([first for first in of if first.data_set == name], seeds) for name in sets))
    return table


def _plain(truth: Truth) -> Iterable[AttackerTruth]:
    return (attacker for attacker in truth.attackers if attacker.variant == _VARIANT)


def _cell(found: Sequence[First], seeds: int) -> str:
    if not found:
        return "-"
    by: dict[str, list[int]] = {}
    for first in found:
        if first.by:
            by.setdefault(first.by, []).append(first.queries)
    ranked = sorted(by.items(), key=lambda one: (-len(one[1]), median(one[1])))[:_MOST]
    said = [
        f"`{name}` {median(queries):g}{'' if len(queries) == seeds else f' ({len(queries)} of {seeds})'}"
        for name, queries in sorted(ranked, key=lambda one: median(one[1]))
    ]
    return f"**{said[0]}**" if len(by) == 1 else ", ".join(said) or "not found"


def main() -> None:
    args = asked("bench.quality.finders", __doc__, SETS, 5, quick_set=0, jobs_help="recordings at a time")
    found = [first for firsts_found in args.each(firsts) for first in firsts_found]
    with args.run() as run:
        run.publish(table_of(found, args.seeds))


if __name__ == "__main__":
    main()
