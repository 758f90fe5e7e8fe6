"""The blocklist: others' lines untouched, ours gone in time, readable by a shell script."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from actions_kit import decision
from hypothesis import given
from hypothesis import strategies as st

from responders.actions.block_ip import BlockIpAction
from responders.blocklist import Blocklist, Hold
from responders.decision import Why
from responders.guard import Allowlist

DOCS = Path(__file__).parents[2] / "docs" / "responses.md"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "blocklist.txt"


@pytest.fixture
def action(path: Path) -> BlockIpAction:
    return BlockIpAction(path, Allowlist(networks=("198.51.100.0/24", "127.0.0.0/8")))


def test_one_line_an_address(action: BlockIpAction, path: Path) -> None:
    outcome = action.apply(decision(incident_id="inc-1"), 1763683200.25)
    assert (outcome.ok, outcome.why, outcome.undo) == (True, Why.DONE, {"address": "203.0.113.9"})
    assert path.read_text() == (
        "203.0.113.9  # until=2025-11-21T00:15:01Z incident=inc-1 vedette=act-1@1763684100.25\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_addresses_are_normalised(action: BlockIpAction, path: Path) -> None:
    action.apply(decision(value="2001:DB8:0::1"), 100.0)
    action.apply(decision(value="::ffff:192.0.2.1", id="act-2"), 100.0)
    assert [line.split()[0] for line in path.read_text().splitlines()] == ["2001:db8::1", "192.0.2.1"]
    assert action.verify(decision(value="192.0.2.1", id="act-2"), {})


def test_two_decisions_on_one_address_hold_it_until_the_last_ends(action: BlockIpAction, path: Path) -> None:
    short, long = decision(ttl_s=60.0), decision(id="act-2", incident_id="inc-2", ttl_s=600.0)
    action.apply(short, 100.0)
    action.apply(long, 110.0)
    line = path.read_text()
    assert line.count("203.0.113.9") == 1
    assert "until=1970-01-01T00:11:50Z incident=inc-1,inc-2 vedette=act-1@160.0,act-2@710.0" in line
    assert action.revert(short, {}, 160.0).ok
    assert not action.verify(short, {})
    assert action.verify(long, {})
    assert "203.0.113.9" in path.read_text()
    assert action.revert(long, {}, 710.0).ok
    assert path.read_text() == ""


@pytest.mark.parametrize("value", ["198.51.100.3", "::ffff:198.51.100.3"])
def test_the_allowlist_is_checked_here_too(action: BlockIpAction, path: Path, value: str) -> None:
    assert action.apply(decision(value=value), 100.0).why is Why.ALLOWLISTED
    assert not path.exists()


@pytest.mark.parametrize("value", ["0.0.0.0", "::", "fe80::1", "224.0.0.1", "no address", "203.0.113.9\n0.0.0.0/0"])
def test_bad_addresses_are_refused(action: BlockIpAction, path: Path, value: str) -> None:
    outcome = action.apply(decision(value=value), 100.0)
    assert (outcome.why, outcome.retry) == (Why.INVALID_TARGET, False)
    assert not path.exists()
    assert not action.verify(decision(value=value), {})


def test_a_block_without_an_end_is_refused(action: BlockIpAction) -> None:
    assert action.apply(decision(ttl_s=None), 100.0).why is Why.INVALID_TARGET


def test_hostile_ids_stay_in_their_field(action: BlockIpAction, path: Path) -> None:
    hostile = decision(id="a,b@1 #\n0.0.0.0/0", incident_id="x y,z\r\n::/0 \u202e")
    action.apply(hostile, 100.0)
    assert len(path.read_text().splitlines()) == 1
    assert path.read_text().isascii()
    assert action.verify(hostile, {})
    action.revert(hostile, {}, 200.0)
    assert path.read_text() == ""


def test_a_line_somebody_made_his_own_stays(action: BlockIpAction, path: Path) -> None:
    action.apply(decision(), 100.0)
    path.write_text("203.0.113.9  # mine now, for good\n")
    outcome = action.revert(decision(), {}, 200.0)
    assert (outcome.ok, outcome.why) == (True, Why.ALREADY_SO)
    assert path.read_text() == "203.0.113.9  # mine now, for good\n"


def test_what_a_lost_ledger_left_goes_when_its_time_is_up(action: BlockIpAction, path: Path) -> None:
    action.apply(decision(value="192.0.2.1", id="orphan", ttl_s=50.0), 100.0)
    action.apply(decision(), 200.0)
    assert "192.0.2.1" not in path.read_text()


def test_a_retry_claimed_later_lasts_as_long_as_its_record_says(action: BlockIpAction, path: Path) -> None:
    action.apply(decision(ttl_s=100.0), 100.0)
    assert action.apply(decision(ttl_s=100.0), 150.0).why is Why.ALREADY_SO
    assert "act-1@250.0" in path.read_text()


def test_plan_is_one_line(action: BlockIpAction) -> None:
    assert action.plan(decision()).startswith("would block 203.0.113.9 for 900 s in ")
    assert action.plan(decision(value="a\nb" * 9999, ttl_s=None)).isprintable()


def test_missing_folder_and_symlink_are_clear_errors(tmp_path: Path) -> None:
    missing = BlockIpAction(tmp_path / "missing" / "blocklist.txt", Allowlist())
    outcome = missing.apply(decision(), 100.0)
    assert (outcome.why, outcome.retry) == (Why.PERMANENT_ERROR, False)
    assert str(tmp_path / "missing") in outcome.detail
    (tmp_path / "passwd").write_text("root\n")
    (tmp_path / "link.txt").symlink_to("passwd")
    outcome = BlockIpAction(tmp_path / "link.txt", Allowlist()).apply(decision(), 100.0)
    assert outcome.why is Why.PERMANENT_ERROR
    assert (tmp_path / "passwd").read_text() == "root\n"


def test_a_full_disk_is_worth_a_retry(tmp_path: Path) -> None:
    # writing here fails with ENOSPC, always
    (tmp_path / "blocklist.txt").write_text("# mine\n")
    outcome = _apply_with_full_disk(BlockIpAction(tmp_path / "blocklist.txt", Allowlist()))
    assert outcome == (Why.TRANSIENT_ERROR, True)
    assert (tmp_path / "blocklist.txt").read_text() == "# mine\n"


def _apply_with_full_disk(action: BlockIpAction) -> tuple[Why, bool]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fchmod", _no_space)
        outcome = action.apply(decision(), 100.0)
    return outcome.why, outcome.retry


def _no_space(fd: int, mode: int) -> None:
    raise OSError(28, "No space left on device")


def test_writers_at_the_same_time_lose_nothing(action: BlockIpAction, path: Path) -> None:
    decisions = [decision(value=f"203.0.113.{i}", id=f"act-{i}") for i in range(1, 41)]

    def work(k: int) -> None:
        mine = BlockIpAction(path, Allowlist())
        for i in range(k, 40, 4):
            assert mine.apply(decisions[i], 100.0).why is Why.DONE
            if i % 2:
                assert mine.revert(decisions[i], {}, 100.0).why is Why.DONE

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    left = [line.split()[0] for line in path.read_text().splitlines()]
    assert sorted(left) == sorted(d.value for d in decisions[::2])


_others = st.lists(
    st.sampled_from([b"# head\n", b"192.0.2.1\n", b"192.0.2.1  # x\r\n", b"\n", b"  \t\n", b"\xff\x00\n", b"a\x0bb\n"])
)
_ids = st.text(min_size=1, max_size=8).filter(lambda s: s.isprintable())
_holds = st.builds(Hold, decision=_ids, incident=_ids | st.just(""), until=st.floats(0, 4e9))


@given(others=_others, tail=st.sampled_from([b"", b"no end"]), holds=st.lists(_holds, unique_by=lambda h: h.decision))
def test_the_format_keeps_every_foreign_byte(others: list[bytes], tail: bytes, holds: list[Hold]) -> None:
    foreign = b"".join(others) + tail
    blocklist = Blocklist(foreign)
    for i, hold in enumerate(holds):
        blocklist.add(f"203.0.113.{i % 3}", hold)
    written = blocklist.render()
    assert written.endswith(foreign)
    again = Blocklist(written)
    assert again.render() == written
    for i, hold in enumerate(holds):
        assert again.hold(f"203.0.113.{i % 3}", hold.decision) == hold
        assert again.drop(hold.decision)
    assert again.render() == foreign


@given(st.binary(max_size=300))
def test_any_file_is_somebody_elses_until_we_add_to_it(data: bytes) -> None:
    assert Blocklist(data).render() == data


@pytest.mark.parametrize(
    "line",
    [
        b"203.0.113.9  # until=2025-11-21T00:15:01Z incident=inc-1 vedette=act-1@9e99\n",
        b"203.0.113.9  # until=2025-11-21T00:15:01Z incident=inc-1 vedette=act-1@nan\n",
        b"203.0.113.9  # until=2025-11-21T00:15:01Z incident=a,b vedette=act-1@5.0\n",
        b"203.0.113.9  # until=2025-11-21T00:15:01Z incident=a vedette=act-1\n",
        b"203.0.113.9  # until=1970-01-01T00:00:06Z incident=a vedette=act-1@5.0\n",
    ],
)
def test_lines_that_only_look_like_ours_are_kept(line: bytes) -> None:
    blocklist = Blocklist(line)
    blocklist.drop_expired(1e12)
    assert blocklist.render() == line


def test_the_documented_script_turns_the_list_into_nginx_rules(action: BlockIpAction, path: Path) -> None:
    script = re.search(r"```awk\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert script is not None
    path.write_text("# by hand\n198.51.100.200\n\n198.51.100.201  # a neighbour\n")
    action.apply(decision(ttl_s=100.0), 1e9)
    action.apply(decision(value="2001:db8::1", id="act-2", ttl_s=200.0), 1e9)
    # the worker died; time goes on
    done = subprocess.run(
        ["awk", "-v", "now=2001-09-09T01:49:00Z", script[1], path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "deny 2001:db8::1;\ndeny 198.51.100.200;\ndeny 198.51.100.201;\n"
