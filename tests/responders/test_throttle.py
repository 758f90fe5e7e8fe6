"""The throttle file: the strictest hold counts, the file stays JSON, and ours."""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import Any

import pytest
from actions_kit import decision

from responders.actions.throttle import ThrottleAction
from responders.decision import ActionType, Decision, Why


def throttle(id: str = "act-1", value: str = "acct-7", ttl_s: float | None = 900.0, **more: Any) -> Decision:
    return decision(ActionType.THROTTLE, value, id=id, ttl_s=ttl_s, **{"rate_per_s": 2.0, **more})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "throttle.json"


@pytest.fixture
def action(path: Path) -> ThrottleAction:
    return ThrottleAction(path)


def test_what_a_gateway_reads(action: ThrottleAction, path: Path) -> None:
    assert action.apply(throttle(), 100.0).why is Why.DONE
    hold = {"decision": "act-1", "incident": "inc-1", "rate_per_s": 2.0, "until": 1000.0}
    assert json.loads(path.read_text()) == {
        "client:acct-7": {"rate_per_s": 2.0, "until": 1000.0, "decision": "act-1", "holds": [hold]}
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert action.revert(throttle(), {}, 200.0).why is Why.DONE
    assert path.read_text() == "{}\n"


def test_the_lowest_rate_counts_while_it_lasts(action: ThrottleAction, path: Path) -> None:
    action.apply(throttle(), 100.0)
    action.apply(throttle("act-2", rate_per_s=0.5, ttl_s=60.0), 100.0)
    action.apply(throttle("act-3", rate_per_s=9.0), 100.0)

    def in_force() -> tuple[float, float, str]:
        entry = json.loads(path.read_text())["client:acct-7"]
        return entry["rate_per_s"], entry["until"], entry["decision"]

    assert in_force() == (0.5, 160.0, "act-2")
    action.revert(throttle("act-2"), {}, 160.0)
    assert in_force() == (2.0, 1000.0, "act-1")


def test_addresses_are_normalised(action: ThrottleAction, path: Path) -> None:
    by_address = throttle(value="::ffff:203.0.113.9", scope="ip")
    action.apply(by_address, 100.0)
    assert list(json.loads(path.read_text())) == ["ip:203.0.113.9"]
    assert action.verify(throttle(value="203.0.113.9", scope="ip"), {})
    assert not action.verify(throttle(value="203.0.113.9"), {})


@pytest.mark.parametrize("rate", [None, 0, -1.0, "2", True, math.nan, math.inf, 10**400, [1]])
def test_a_rate_is_a_positive_number(action: ThrottleAction, path: Path, rate: object) -> None:
    outcome = action.apply(throttle(rate_per_s=rate), 100.0)
    assert (outcome.why, outcome.retry) == (Why.INVALID_TARGET, False)
    assert not path.exists()
    assert action.plan(throttle(rate_per_s=rate)).isprintable()


def test_no_end_or_a_wrong_scope_is_refused(action: ThrottleAction, path: Path) -> None:
    assert action.apply(throttle(ttl_s=None), 100.0).why is Why.INVALID_TARGET
    assert action.apply(throttle(scope="model"), 100.0).why is Why.INVALID_TARGET
    assert not path.exists()


@pytest.mark.parametrize("value", ["../../etc", "a\x00b", '"},"client:other":{"', "x" * 10_000, "\u202eevil", ""])
def test_hostile_clients_are_only_text(action: ThrottleAction, path: Path, value: str) -> None:
    action.apply(throttle(value=value), 100.0)
    assert list(json.loads(path.read_text())) == [f"client:{value}"]
    assert action.plan(throttle(value=value)).isprintable()
    action.revert(throttle(value=value), {}, 100.0)
    assert json.loads(path.read_text()) == {}


@pytest.mark.parametrize("content", ['{"client:acct-7": {"rate": 1}}', "[]", "{", '{"a": 1}'])
def test_a_file_of_another_form_is_left_alone(action: ThrottleAction, path: Path, content: str) -> None:
    path.write_text(content)
    for outcome in (action.apply(throttle(), 100.0), action.revert(throttle(), {}, 100.0)):
        assert (outcome.why, outcome.retry) == (Why.PERMANENT_ERROR, False)
        assert "throttle.json" in outcome.detail
    assert path.read_text() == content


def test_an_empty_file_is_an_empty_table(action: ThrottleAction, path: Path) -> None:
    path.touch(mode=0o600)
    assert action.apply(throttle(), 100.0).ok
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_lost_ledger_left_goes_when_its_time_is_up(action: ThrottleAction, path: Path) -> None:
    action.apply(throttle("orphan", value="acct-1", ttl_s=50.0), 100.0)
    action.apply(throttle(), 200.0)
    assert list(json.loads(path.read_text())) == ["client:acct-7"]


def test_a_retry_claimed_later_lasts_as_long_as_its_record_says(action: ThrottleAction, path: Path) -> None:
    action.apply(throttle(ttl_s=100.0), 100.0)
    assert action.apply(throttle(ttl_s=100.0), 150.0).why is Why.ALREADY_SO
    assert json.loads(path.read_text())["client:acct-7"]["until"] == 250.0


def test_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    outcome = ThrottleAction(tmp_path / "missing" / "throttle.json").apply(throttle(), 100.0)
    assert (outcome.why, outcome.retry) == (Why.PERMANENT_ERROR, False)
    assert "no such folder" in outcome.detail
