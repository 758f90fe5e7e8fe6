"""A worker killed at random points, again and again, leaves exactly what one that was left alone leaves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import kill_worker
import pytest
from actions_kit import assert_log_is_whole, tree

from responders.decision import Status
from responders.ledger import Ledger
from responders.quarantine_store import REQUESTS

TESTS = Path(__file__).parents[1]


def run(folder: Path, phase: str, kill_after: int | None) -> bool:
    """True if the worker came to its end; else it was killed after printing that many lines."""
    worker = subprocess.Popen(
        [sys.executable, TESTS / "kill_worker.py", folder, phase],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])},
    )
    assert worker.stdout is not None
    with worker.stdout as lines:
        for n, _ in enumerate(lines, 1):
            if n == kill_after:
                worker.send_signal(signal.SIGKILL)
                break
    code = worker.wait()
    assert code in (0, -signal.SIGKILL)
    return code == 0


def files(folder: Path) -> dict[str, bytes | str]:
    return {name: data for name, data in tree(folder).items() if not name.startswith("vedette.db")}


@pytest.mark.parametrize("seed", [1, 2])
def test_each_action_takes_place_exactly_once(seed: int, tmp_path: Path) -> None:
    random_points = random.Random(seed)
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    for folder in (calm, killed):
        folder.mkdir()
        kill_worker.prepare(folder)
    for phase in ("apply", "expire"):
        kill_worker.work(calm, phase)
        kills = 0
        while not run(killed, phase, random_points.randint(1, 12) if kills < 5 else None):
            kills += 1
        assert kills >= 3
        assert files(killed) == files(calm)
    ledger = Ledger(killed / "vedette.db")
    for decision in kill_worker.decisions():
        record = ledger.get(decision.id)
        assert record is not None
        ended = decision.ttl_s == 500.0
        assert record.status is (Status.EXPIRED if ended else Status.APPLIED)
        assert_log_is_whole(ledger, decision.id)
        to = [entry.to_status for entry in ledger.log(decision.id)]
        assert to.count(Status.APPLIED) == 1
        assert to.count(Status.EXPIRED) == int(ended)
    ledger.close()
    for path in (killed / "quarantine").glob(f"*/{REQUESTS}"):
        ids = [json.loads(line)["id"] for line in path.read_bytes().splitlines()]
        assert len(ids) == len(set(ids)) == kill_worker.REQUESTS
