"""Who died and is still in the group: only a successor that knows it to be dead makes it leave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka.admin import MemberToRemove

from monitor import succession
from monitor.kafka_connect import BrokerUnreachable
from monitor.settings import Kafka
from monitor.succession import Succession

KAFKA = Kafka(group="g")
Removed = list[tuple[str, str]]


class Admin:
    def __init__(self, removed: Removed) -> None:
        self._removed = removed

    def remove_group_members(self, group: str, members: list[MemberToRemove]) -> None:
        self._removed += [(group, member.member_id) for member in members]


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> Removed:
    """Members that a broker was asked to remove."""
    asked: Removed = []

    @contextmanager
    def admin_client(kafka: Kafka, timeout_s: float) -> Iterator[Admin]:
        yield Admin(asked)

    monkeypatch.setattr(succession, "admin_client", admin_client)
    return asked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "member-6066"


def died(path: Path, *member_ids: str, kafka: Kafka = KAFKA) -> None:
    """A worker was these members one after the other, and is gone."""
    worker = Succession(path, kafka)
    worker.take_over()
    for member_id in member_ids:
        worker.joined(member_id)
    worker._role.release()  # as the kernel does for the dead


def test_the_last_place_of_a_dead_worker_is_given_up(path: Path, removed: Removed) -> None:
    died(path, "a-longer-name", "b")
    Succession(path, KAFKA).take_over()
    assert removed == [("g", "b")]


def test_the_first_of_its_name_has_nobody_to_follow(path: Path, removed: Removed) -> None:
    Succession(path, KAFKA).take_over()
    assert removed == []


def test_a_worker_that_lives_stays(path: Path, removed: Removed) -> None:
    living, other = Succession(path, KAFKA), Succession(path, KAFKA)
    living.take_over()
    living.joined("a")
    other.take_over()
    other.joined("b")
    assert removed == []
    living._role.release()
    Succession(path, KAFKA).take_over()
    assert removed == [("g", "a")], "the other wrote nothing over it"


@pytest.mark.parametrize("kafka", [Kafka(group="other"), Kafka(group="g", brokers=("other:9092",))])
def test_places_in_other_groups_are_left_alone(path: Path, removed: Removed, kafka: Kafka) -> None:
    died(path, "a", kafka=kafka)
    Succession(path, KAFKA).take_over()
    assert removed == []


@pytest.mark.parametrize("written", [b"\x00\xff", b"{}", b'{"brokers": ["localhost:9092"], "group": "g", "id"'])
def test_what_cannot_be_read_is_nobody(path: Path, removed: Removed, written: bytes) -> None:
    path.write_bytes(written)
    Succession(path, KAFKA).take_over()
    assert removed == []


def test_where_the_broker_does_not_answer_the_session_ends_by_itself(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    died(path, "a")

    def refuse(kafka: Kafka, timeout_s: float) -> None:
        raise BrokerUnreachable("nobody there")

    monkeypatch.setattr(succession, "admin_client", refuse)
    Succession(path, KAFKA).take_over()


def test_a_folder_that_is_gone_is_no_reason_to_stop(tmp_path: Path, removed: Removed) -> None:
    lost = Succession(tmp_path / "absent" / "member-1", KAFKA)
    lost.take_over()
    lost.joined("a")
    assert removed == []
