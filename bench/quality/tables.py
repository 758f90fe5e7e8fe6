"""The tables of ``bench.quality``, and which of their figures fall short of the goals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from bench.quality.methods import DEFAULT_BUDGET, VEDETTE
from bench.quality.scores import Caught, Scored
from bench.results import Table
from bench.stream.goals import Run
from replay.intervals import poisson_rate, wilson
from replay.simulate.query_patterns import VARIANTS, is_iterative

GOAL_FOUND: Final = 0.98
GOAL_FAMILY: Final = 0.90
GOAL_VARIANT: Final = 0.95
GOAL_HONEST_A_DAY: Final = 0.005
GOAL_ITERATIVE: Final = (10.0, 60.0)  # median, 95th percentile
GOAL_EXTRACTION: Final = 100.0
GOAL_BUDGET_SHARE: Final = 0.10
GOAL_GROUPS: Final = 0.95
GOAL_NAMED: Final = 0.80


def publish_all(run: Run, scored: Sequence[Scored], of: str = "quality") -> None:
    """Tables ``OF-found`` to ``OF-accounts``."""
    for table in (_found, _honest, _queries, _accounts):
        run.publish(table(run, scored, of))


def _found(run: Run, scored: Sequence[Scored], of: str) -> Table:
    others = [method for method in _methods(scored) if not method.startswith(VEDETTE)]
    title = "Attackers found, with 95 % Wilson intervals; Vedette by variant"
    table = Table(
        f"{of}-found",
        f"{title}, peers over all variants" if others else title,
        ("attack", *VARIANTS, "all", *others),
    )
    ours = list(_caught(scored, VEDETTE))

    def row(name: str, wanted: Callable[[Scored, Caught], bool]) -> float:
        mine = [caught for one, caught in ours if wanted(one, caught)]
        by_variant = [_share([c for c in mine if c.attacker.variant == variant]) for variant in VARIANTS]
        peers = [_share([c for one, c in _caught(scored, method) if wanted(one, c)]) for method in others]
        table.row(name, *by_variant, _share(mine), *peers)
        return _rate(mine)

    for family, attack in sorted({(caught.attacker.family, caught.attacker.attack) for _, caught in ours}):
        found = row(f"{family}: {attack}", lambda _, c, attack=attack: c.attacker.attack == attack)
        run.at_least(f"{of}-found, {attack}", found, GOAL_FAMILY)
    for family in sorted({caught.attacker.family for _, caught in ours}):
        row(f"**{family}**", lambda _, c, family=family: c.attacker.family == family)
    for data_set in dict.fromkeys(one.data_set for one in scored):
        row(f"**on {data_set}**", lambda one, _, data_set=data_set: one.data_set == data_set)
    run.at_least(f"{of}-found, all", row("**all**", lambda _, __: True), GOAL_FOUND)
    for variant in ("slowed", "interleaved"):
        mine = [caught for _, caught in ours if caught.attacker.variant == variant]
        run.at_least(f"{of}-found, {variant}", _rate(mine), GOAL_VARIANT)
    table.notes = "An attacker of 20 accounts is found when they are named as a group, or ten of them one by one."
    return table


def _honest(run: Run, scored: Sequence[Scored], of: str) -> Table:
    table = Table(
        f"{of}-honest",
        "Honest clients accused, of whatever it was, in eight hours of event time, with 95 % Poisson intervals",
        ("method", "accused", "share of clients a day", "who"),
    )
    for method in _methods(scored):
        mine = [one for one in scored if one.method == method]
        count, days = sum(len(one.flagged) for one in mine), sum(one.client_days for one in mine)
        rate = poisson_rate(count, days)
        who = Counter(f"{habit} ({by})" if by else habit for one in mine for habit, by in one.flagged.values())
        table.row(
            method,
            f"{count} of {sum(one.honest for one in mine)}",
            f"{rate.per_day:.2%} ({rate.low:.2%} to {rate.high:.2%})",
            ", ".join(f"{n} {name}" for name, n in who.most_common(4)) or "-",
        )
        if method.startswith(VEDETTE):
            budget = float(method.rpartition(" ")[2]) if "budget" in method else DEFAULT_BUDGET
            # Few client-days cannot show a small rate: the budget is broken where even the interval lies above it.
            run.at_most(f"{of}-honest, {method}, low end", rate.low, budget)
        if method == VEDETTE:
            run.at_most(f"{of}-honest, a day", rate.per_day, GOAL_HONEST_A_DAY)
    return table


def _queries(run: Run, scored: Sequence[Scored], of: str) -> Table:
    table = Table(
        f"{of}-queries",
        "Queries of an attack until it was found, camouflage left out; those never found count as the slowest",
        ("method", "attacks", "variant", "found", "median", "95th percentile", "median share of its queries"),
    )
    for method in (method for method in _methods(scored) if "budget" not in method):
        for iterative in (True, False):
            kind = "iterative" if iterative else "extraction from a pool"
            mine = [c for _, c in _caught(scored, method) if is_iterative(c.attacker.attack) is iterative]
            for variant in (*VARIANTS, "all"):
                chosen = [c for c in mine if variant in ("all", c.attacker.variant)]
                found = [c for c in chosen if c.queries is not None]
                queries = np.array([c.queries for c in found], dtype=np.float64)
                shares = np.array([c.queries / c.budget for c in found if c.queries is not None])
                # A median over the few found would flatter.
                padded = np.concatenate([queries, np.full(len(chosen) - len(found), np.inf)])
                middle, late = (_at(padded, q) for q in (0.5, 0.95))
                share = _at(np.concatenate([shares, np.full(len(chosen) - len(found), np.inf)]), 0.5)
                table.row(
                    method,
                    kind,
                    variant,
                    f"{len(found)} of {len(chosen)}",
                    _or_never(middle),
                    _or_never(late),
                    "not found" if np.isinf(share) else f"{share:.1%}",
                )
                if method == VEDETTE and variant == "plain" and iterative:
                    run.at_most(f"{of}-queries, iterative, median", middle, GOAL_ITERATIVE[0])
                    run.at_most(f"{of}-queries, iterative, 95th percentile", late, GOAL_ITERATIVE[1])
                if method == VEDETTE and variant == "plain" and not iterative:
                    run.at_most(f"{of}-queries, extraction, median", middle, GOAL_EXTRACTION)
                    run.at_most(f"{of}-queries, extraction, share of its queries", share, GOAL_BUDGET_SHARE)
    return table


def _accounts(run: Run, scored: Sequence[Scored], of: str) -> Table:
    table = Table(
        f"{of}-accounts",
        "One attack spread over 20 accounts, each with its own addresses",
        ("method", "named as one group", "members named, mean", "honest members", "accounts accused otherwise"),
    )
    for method in (method for method in _methods(scored) if "budget" not in method):
        mine = [c for _, c in _caught(scored, method) if c.attacker.group]
        groups = wilson(sum(c.as_group for c in mine), len(mine))
        named = float(np.mean([c.named for c in mine if c.as_group])) if groups.hits else 0.0
        strangers = sum(c.strangers for c in mine)
        alone = wilson(sum(c.found and not c.as_group for c in mine), len(mine))
        table.row(
            method, _of(groups.hits, groups.trials), f"{named:.0%}", str(strangers), _of(alone.hits, alone.trials)
        )
        if method == VEDETTE:
            run.at_least(f"{of}-accounts, named as one group", groups.share or 0.0, GOAL_GROUPS)
            run.at_least(f"{of}-accounts, members named", named, GOAL_NAMED)
            run.at_most(f"{of}-accounts, honest members", strangers, 0)
    return table


def _methods(scored: Iterable[Scored]) -> list[str]:
    return list(dict.fromkeys(one.method for one in scored))


def _caught(scored: Iterable[Scored], method: str) -> Iterable[tuple[Scored, Caught]]:
    return ((one, caught) for one in scored if one.method == method for caught in one.caught)


def _rate(caught: Sequence[Caught]) -> float:
    return sum(c.found for c in caught) / len(caught) if caught else 1.0


def _share(caught: Sequence[Caught]) -> str:
    return _of(sum(c.found for c in caught), len(caught))


def _of(hits: int, trials: int) -> str:
    share = wilson(hits, trials)
    if share.low is None or share.high is None:
        return "-"
    return f"{hits}/{trials} ({share.low:.0%}-{share.high:.0%})"


def _at(values: np.ndarray, share: float) -> float:
    """The order statistic: infinity where too few were found."""
    return float(np.sort(values)[max(int(np.ceil(share * len(values))) - 1, 0)]) if len(values) else np.inf


def _or_never(value: float) -> str:
    return "not found" if np.isinf(value) else f"{value:.0f}"
