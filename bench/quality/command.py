"""What the quality benchmarks that have goals are asked on the command line, and how they end."""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from threadpoolctl import threadpool_limits

from bench.stream.goals import Run

_T = TypeVar("_T")


def settle() -> None:
    """For a process that measures: one thread, and no warnings that the toolbox finds no deep-learning libraries."""
    threadpool_limits(1)
    warnings.simplefilter("ignore", UserWarning)


@dataclass(frozen=True)
class Asked:
    """``command``: the one that makes the same tables again."""

    command: str
    sets: list[str]
    seeds: int
    jobs: int
    quick: bool

    def processes(self) -> ProcessPoolExecutor:
        """Of ``--jobs`` processes with one thread each."""
        return ProcessPoolExecutor(self.jobs, get_context("spawn"), settle)

    def each(self, work: Callable[[str, int], _T]) -> list[_T]:
        """What ``work`` gives of each data set and seed, in processes of its own; says when one is judged."""
        cases = [(name, seed) for name in self.sets for seed in range(1, self.seeds + 1)]
        results: dict[tuple[str, int], _T] = {}
        with self.processes() as processes:
            waiting = {processes.submit(work, *case): case for case in cases}
            for done, future in enumerate(as_completed(waiting), start=1):
                results[waiting[future]] = future.result()
                name, seed = waiting[future]
                print(f"{done} of {len(cases)} recordings judged: {name}, seed {seed}", file=sys.stderr, flush=True)
        return [results[case] for case in cases]

    @contextmanager
    def run(self) -> Iterator[Run]:
        """To publish tables with. Exits with 1, and a list, where a figure falls short."""
        with tempfile.TemporaryDirectory() as scratch:
            run = Run(Path(scratch), self.command, self.quick)
            yield run
        if run.short:
            print("falls short:\n  " + "\n  ".join(run.short), file=sys.stderr)
            sys.exit(1)


def asked(
    program: str, text: str | None, sets: Sequence[str], seeds: int, *, quick_set: int, jobs_help: str = ""
) -> Asked:
    """Arguments of ``python -m PROGRAM``.

    Args:
        text: its description. sets, seeds: what it measures unless told.
        quick_set: index of the one set, of those it was told, that ``--quick`` measures.
        jobs_help: what ``--jobs`` counts; none if there is one job.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--sets", default=",".join(sets))
    if jobs_help:
        parser.add_argument("--jobs", type=int, default=1, help=jobs_help)
    parser.set_defaults(jobs=1)
    args = parser.parse_args()
    names = args.sets.split(",")
    unknown = [name for name in names if name not in sets]
    if unknown:
        parser.error(f"no data set {', '.join(unknown)}; there are {', '.join(sets)}")
    if args.quick:
        names, args.seeds = [names[quick_set]], 1
    command = f"python -m {program} --seeds {args.seeds} --sets {','.join(names)}"
    return Asked(command, names, args.seeds, args.jobs, args.quick)
