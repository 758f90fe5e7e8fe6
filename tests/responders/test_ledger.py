"""The ledger: once per id, whole history, nobody's change lost."""

from __future__ import annotations

import math
import multiprocessing
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import msgspec
import pytest
from actions_kit import claim_all, decision
from hypothesis import given, settings
from hypothesis import strategies as st

from responders.decision import ActionType, Decision, Status, Why
from responders.ledger import Ledger
from responders.record import ActionRecord


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "vedette.db")
    yield opened
    opened.close()


def with_status(ledger: Ledger, action_id: str, status: Status, **fields: object) -> ActionRecord:
    record = ledger.get(action_id)
    assert record is not None
    saved = ledger.save(msgspec.structs.replace(record, status=status, **fields), 20.0)
    assert saved is not None
    return saved


def test_deciding_twice_is_deciding_once(ledger: Ledger) -> None:
    first, second = decision(id="a"), decision(id="b")
    assert ledger.record([first], 10.0) == ["a"]
    assert ledger.record([first, second, second], 11.0) == ["b"]
    assert ledger.record([], 12.0) == []
    assert [r.decision for r in ledger.find()] == [second, first]
    assert [r.recorded_at for r in ledger.find()] == [11.0, 10.0]


def test_a_known_id_keeps_its_first_decision_and_status(ledger: Ledger) -> None:
    ledger.record([decision(id="a", ttl_s=60.0)], 10.0)
    with_status(ledger, "a", Status.APPLIED)
    assert ledger.record([decision(id="a", ttl_s=9999.0)], 30.0) == []
    record = ledger.get("a")
    assert record is not None
    assert (record.status, record.decision.ttl_s) == (Status.APPLIED, 60.0)


def test_what_was_recorded_is_there_after_reopening(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record([decision(id="a", rate_per_s=2.5, addresses=["203.0.113.9"])], 10.0)
    saved = with_status(ledger, "a", Status.APPLIED, why=Why.DONE, undo={"address": "x"}, expires_at=99.0)
    ledger.close()
    again = Ledger(tmp_path / "vedette.db")
    assert again.get("a") == saved
    assert [entry.to_status for entry in again.log("a")] == [Status.PENDING, Status.APPLIED]
    again.close()


def test_a_change_from_an_outdated_record_is_refused_and_not_logged(ledger: Ledger) -> None:
    ledger.record([decision(id="a")], 10.0)
    read_by_both = ledger.get("a")
    assert read_by_both is not None
    mine = msgspec.structs.replace(read_by_both, status=Status.APPLYING)
    theirs = msgspec.structs.replace(read_by_both, status=Status.REVERTED)
    assert ledger.save(mine, 11.0) is not None
    assert ledger.save(theirs, 11.0) is None
    record = ledger.get("a")
    assert record is not None
    assert record.status is Status.APPLYING
    assert len(ledger.log("a")) == 2


def test_the_log_says_who_went_where_and_why(ledger: Ledger) -> None:
    ledger.record([decision(id="a")], 10.0)
    with_status(ledger, "a", Status.REFUSED, why=Why.CAP_REACHED, detail="too many")
    last = ledger.log("a")[-1]
    assert (last.ts, last.from_status, last.to_status) == (20.0, Status.PENDING, Status.REFUSED)
    assert (last.why, last.detail) == (Why.CAP_REACHED, "too many")


@pytest.mark.parametrize("statement", ["UPDATE action_log SET why = 'done'", "DELETE FROM action_log"])
def test_the_log_cannot_be_rewritten(ledger: Ledger, tmp_path: Path, statement: str) -> None:
    ledger.record([decision(id="a")], 10.0)
    other = sqlite3.connect(tmp_path / "vedette.db")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(statement)
    other.close()


def test_a_decision_that_would_not_come_back_is_refused_with_its_whole_batch(ledger: Ledger) -> None:
    nan = msgspec.structs.replace(decision(id="nan"), decided_ts=math.nan)
    surrogate = decision(value="\ud800", id="surrogate")
    for bad in (nan, surrogate):
        with pytest.raises(ValueError):  # noqa: PT011 - two libraries' messages; the type is the promise
            ledger.record([decision(id="good"), bad], 10.0)
    assert ledger.find() == []


@given(
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    ttl_s=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    detail=st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
)
@settings(max_examples=50)
def test_hostile_text_comes_back_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, value: str, ttl_s: float | None, detail: str
) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "vedette.db")
    hostile = decision(ActionType.QUARANTINE, value, id=value or "empty", incident_id=value, ttl_s=ttl_s, note=value)
    ledger.record([hostile], 1.0)
    saved = with_status(ledger, hostile.id, Status.FAILED, detail=detail, undo={value: [detail]})
    assert ledger.get(hostile.id) == saved
    assert saved.decision == hostile
    assert ledger.log(hostile.id)[-1].detail == detail
    assert ledger.find(incident_id=value) == [saved]
    ledger.close()


def test_pending_leaves_out_what_waits_for_its_next_try(ledger: Ledger) -> None:
    ledger.record([decision(id="a"), decision(id="b")], 10.0)
    with_status(ledger, "a", Status.PENDING, next_try_at=30.0)
    assert [r.decision.id for r in ledger.pending(29.9)] == ["b"]
    assert [r.decision.id for r in ledger.pending(30.0)] == ["a", "b"]


def test_due_is_what_ran_out_and_what_is_being_taken_back(ledger: Ledger) -> None:
    ledger.record([decision(id=i) for i in "abcde"], 10.0)
    with_status(ledger, "a", Status.APPLIED, expires_at=50.0)
    with_status(ledger, "b", Status.APPLIED, expires_at=None)
    with_status(ledger, "c", Status.REVERTING, expires_at=99.0)
    with_status(ledger, "d", Status.REVERTING, next_try_at=60.0)
    with_status(ledger, "e", Status.EXPIRED, expires_at=50.0)
    assert [r.decision.id for r in ledger.due(49.0)] == ["c"]
    assert [r.decision.id for r in ledger.due(50.0)] == ["a", "c"]
    assert [r.decision.id for r in ledger.due(60.0)] == ["a", "c", "d"]


def test_active_is_what_is_in_force(ledger: Ledger) -> None:
    ledger.record(
        [
            decision(id="block"),
            decision(ActionType.QUARANTINE, id="quarantine"),
            decision(ActionType.ROLLBACK, id="rollback"),
            decision(ActionType.NOTIFY, id="message"),
            decision(id="pending"),
        ],
        10.0,
    )
    with_status(ledger, "block", Status.APPLIED, expires_at=50.0)
    with_status(ledger, "quarantine", Status.APPLIED, expires_at=60.0)
    with_status(ledger, "rollback", Status.APPLIED)
    with_status(ledger, "message", Status.APPLIED)
    assert [r.decision.id for r in ledger.active(49.0)] == ["block", "quarantine", "rollback"]
    assert [r.decision.id for r in ledger.active(50.0)] == ["quarantine", "rollback"]
    assert [r.decision.id for r in ledger.active(49.0, ActionType.BLOCK_IP)] == ["block"]
    assert ledger.active(49.0, ActionType.THROTTLE) == []


def test_find_filters_by_everything_and_is_bounded(ledger: Ledger) -> None:
    ledger.record([decision(id=f"a{i}", incident_id=f"inc-{i % 2}") for i in range(6)], 10.0)
    with_status(ledger, "a1", Status.FAILED)
    with_status(ledger, "a3", Status.FAILED)
    assert [r.decision.id for r in ledger.find(status=Status.FAILED)] == ["a3", "a1"]
    assert [r.decision.id for r in ledger.find(incident_id="inc-0")] == ["a4", "a2", "a0"]
    assert [r.decision.id for r in ledger.find(incident_id="inc-1", status=Status.PENDING)] == ["a5"]
    assert ledger.find(kind=ActionType.THROTTLE) == []
    assert [r.decision.id for r in ledger.find(limit=2)] == ["a5", "a4"]
    assert ledger.counts() == {Status.PENDING: 4, Status.FAILED: 2}


def test_counts_for_the_caps(ledger: Ledger) -> None:
    ledger.record([decision(id=i) for i in "abcdef"] + [decision(ActionType.NOTIFY, id="message")], 10.0)
    with_status(ledger, "message", Status.APPLIED, claimed_at=200.0)
    with_status(ledger, "a", Status.APPLIED, claimed_at=100.0, expires_at=150.0)
    with_status(ledger, "b", Status.REVERTING, claimed_at=200.0)
    with_status(ledger, "c", Status.SIMULATED, claimed_at=200.0, expires_at=300.0)
    with_status(ledger, "d", Status.EXPIRED, claimed_at=200.0)
    with_status(ledger, "e", Status.REFUSED)
    kind = ActionType.BLOCK_IP
    # past its time but not yet taken back still counts: it is in force
    assert ledger.count_active(kind, 250.0, simulated=False, but="") == 2
    assert ledger.count_active(kind, 250.0, simulated=False, but="a") == 1
    assert ledger.count_active(kind, 250.0, simulated=True, but="") == 1
    assert ledger.count_active(kind, 300.0, simulated=True, but="") == 0
    assert ledger.count_active(ActionType.THROTTLE, 250.0, simulated=False, but="") == 0
    assert ledger.count_since(100.0, simulated=False, but="") == 2
    assert ledger.count_since(99.0, simulated=False, but="d") == 2
    assert ledger.count_since(100.0, simulated=True, but="") == 1


def test_the_file_is_private(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record([decision()], 10.0)
    for path in tmp_path.glob("vedette.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_threads_share_a_ledger(ledger: Ledger) -> None:
    def work(k: int) -> None:
        for i in range(20):
            ledger.record([decision(id=f"a{i}")], float(k))
            record = ledger.get(f"a{i}")
            assert record is not None
            ledger.save(msgspec.structs.replace(record, attempts=record.attempts + 1), 1.0)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger.find()) == 20
    for record in ledger.find():
        assert len(ledger.log(record.decision.id)) == 1 + record.revision == 1 + record.attempts


def test_processes_that_claim_the_same_actions_claim_each_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    won: SimpleQueue[str] = context.SimpleQueue()
    ids = [f"a{i}" for i in range(25)]
    processes = [context.Process(target=claim_all, args=(tmp_path / "vedette.db", ids, won)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    claimed = []
    while not won.empty():
        claimed.append(won.get())
    assert sorted(claimed) == sorted(ids)


def test_lives_beside_other_tables(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "vedette.db")
    other.execute("CREATE TABLE findings (id TEXT)")
    other.commit()
    ledger = Ledger(tmp_path / "vedette.db")
    some: Decision = decision()
    ledger.record([some], 1.0)
    other.execute("INSERT INTO findings VALUES ('f')")
    other.commit()
    assert ledger.get(some.id) is not None
    ledger.close()
    other.close()


def test_a_second_connection_does_not_expose_the_log_to_other_processes(tmp_path: Path) -> None:
    """Beside a worker with several connections, another process may open and close the file: nothing is lost by it."""
    path = tmp_path / "vedette.db"
    first, second = Ledger(path), Ledger(path)
    log = path.with_name("vedette.db-wal")
    first.record([decision()], 1.0)
    before = log.stat().st_ino
    look = "import sys, pathlib, responders.ledger as l; l.Ledger(pathlib.Path(sys.argv[1])).close()"
    subprocess.run([sys.executable, "-c", look, str(path)], check=True, timeout=60)
    assert log.stat().st_ino == before
    second.record([decision(id="act-2")], 2.0)
    third = Ledger(path)
    assert [r.decision.id for r in third.find()] == ["act-2", "act-1"]
    for ledger in (first, second, third):
        ledger.close()
