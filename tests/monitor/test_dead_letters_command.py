"""``vedette dead-letters`` on real brokers: seen, written out, sent again once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from brokers import BrokerHandle, topic_name
from command_line import Ran, vedette
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from monitor.codec.dead_letter import encode_dead_letter
from monitor.config import load
from monitor.dead_letter_spool import append
from monitor.dead_letters import REPLAYED_HEADER
from monitor.event import Reason, Rejection
from monitor.intake import DeadLetter, Record
from monitor.kafka_admin import ensure_topics
from monitor.settings import Settings

HOSTILE = b'[red]x[/]\x1b[2J"id"'
LONG = b'{"id":"r-%d","ts":1763683200,"model":"digits","inputs":[0,1],"tags":{"pad":"%s"}}'


@dataclass
class Office:
    """An events topic of three partitions, a dead-letter topic of two, and a configuration that knows them."""

    broker: BrokerHandle
    folder: Path
    max_event_bytes: int = 200

    def __post_init__(self) -> None:
        self.config = self.folder / "vedette.yaml"
        names = {kind: topic_name(kind) for kind in ("events", "dead")}
        self.raw: dict[str, Any] = {
            "data_dir": str(self.folder),
            "kafka": {"brokers": [self.broker.bootstrap]},
            "topics": {
                "events": {"name": names["events"], "partitions": 3},
                "dead_letters": {"name": names["dead"], "partitions": 2},
            },
        }
        self.settings = self.limit(self.max_event_bytes)
        topics = self.settings.topics
        small = {names["events"]: {"max.message.bytes": "1000000"}}
        ensure_topics(self.settings.kafka, [topics.events, topics.dead_letters], configs=small)

    @property
    def events(self) -> str:
        return self.settings.topics.events.name

    @property
    def dead(self) -> str:
        return self.settings.topics.dead_letters.name

    def limit(self, max_event_bytes: int) -> Settings:
        """As if the operator had changed the limit."""
        self.config.write_text(yaml.safe_dump(self.raw | {"stream": {"max_event_bytes": max_event_bytes}}))
        return load(self.config)

    def bury(self, raws: list[tuple[bytes, Reason]], copies: int = 1) -> None:
        """As a worker does, one record after the other from partition 2 of the events topic."""
        producer = KafkaProducer(bootstrap_servers=self.broker.bootstrap)
        for offset, (raw, reason) in enumerate(raws):
            rejection = Rejection(reason, f"why {offset} {HOSTILE.decode()}")
            value, headers = encode_dead_letter(raw, rejection, self.events, 2, offset, b"acct-%d" % offset)
            for _ in range(copies):
                producer.send(self.dead, value=value, headers=headers, partition=offset % 2)
        producer.close()

    def run(self, command: str, *arguments: object) -> Ran:
        return vedette("dead-letters", command, *arguments, "-c", self.config, columns=100)

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("list", "--json").out.splitlines()]

    def arrived(self, enough: int) -> list[Any]:
        """What is in the events topic; waits for ``enough`` records and looks a moment for more."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=500
        )
        consumer.assign([TopicPartition(self.events, p) for p in range(3)])
        found: list[Any] = []
        for _ in range(20):
            found += list(consumer)
            if len(found) >= enough:
                break
        consumer.close()
        return found


@pytest.fixture
def office(broker: BrokerHandle, tmp_path: Path) -> Office:
    return Office(broker, tmp_path)


def test_the_list_shows_why_and_from_where_and_nothing_that_is_hostile(office: Office) -> None:
    office.bury([(b"", Reason.EMPTY), (HOSTILE, Reason.MALFORMED), (b"{}", Reason.MALFORMED)])
    ran = office.run("list")
    assert ran.code == 0
    assert "3 dead letters: malformed 2, empty 1" in ran.words
    assert all(f"{office.dead}/{place}" in ran.out for place in ("0/0", "0/1", "1/0"))
    assert "why 1 [red]x[/]" in ran.words
    assert "\x1b" not in ran.out + ran.err
    assert "(1 newest shown)" in office.run("list", "--limit", 1).words
    assert "1 dead letters: empty 1" in office.run("list", "--reason", "empty").words
    assert office.run("list", "--topic", "another").words.strip() == "no dead letters"
    assert "3 dead letters" in office.run("list", "--since-s", 3600).words


def test_the_list_as_json(office: Office) -> None:
    office.bury([(HOSTILE, Reason.MALFORMED)])
    out = office.run("list", "--json").out
    assert out.isascii()
    (row,) = [json.loads(line) for line in out.splitlines()]
    assert row["id"] == f"{office.dead}/0/0"
    assert (row["topic"], row["partition"], row["offset"], row["key"]) == (office.events, 2, 0, "acct-0")
    assert (row["reason"], row["bytes"], row["spooled"], row["replayed"]) == ("malformed", len(HOSTILE), False, False)


def test_records_of_others_are_counted_and_passed_over(office: Office) -> None:
    producer = KafkaProducer(bootstrap_servers=office.broker.bootstrap)
    producer.send(office.dead, value=b"what is this", headers=[("other", b"\xff")], partition=0)
    producer.close()
    office.bury([(b"{}", Reason.MISSING_FIELD)])
    ran = office.run("list")
    assert "1 dead letters: missing_field 1" in ran.words
    assert "1 records of the topic are no dead letters" in ran.words


def test_one_letter_whole(office: Office, tmp_path: Path) -> None:
    raw = HOSTILE + bytes(range(256)) * 3
    office.bury([(b"{}", Reason.EMPTY), (b"{}", Reason.EMPTY), (raw, Reason.MALFORMED)])
    ran = office.run("show", f"{office.dead}/0/1")
    assert ran.code == 0
    assert "reason: malformed" in ran.words
    assert f"origin: {office.events}, partition 2, offset 2" in ran.words
    assert "key: acct-2" in ran.words
    assert '00000000  5b 72 65 64 5d 78 5b 2f 5d 1b 5b 32 4a 22 69 64  [red]x[/].[2J"id' in ran.out
    assert f"({len(raw) - 512} more bytes" in ran.words
    assert "\x1b" not in ran.out
    assert office.run("show", f"{office.dead}/0/1", "--raw", tmp_path / "raw").code == 0
    assert (tmp_path / "raw").read_bytes() == raw


@pytest.mark.parametrize("letter", ["DEAD/0/77", "DEAD/9/0", "other/0/0", "spool/a/0/0/00", "[red]x[/]", "DEAD/x/0"])
def test_a_letter_that_is_not_there(office: Office, letter: str) -> None:
    office.bury([(b"{}", Reason.EMPTY)])
    ran = office.run("show", letter.replace("DEAD", office.dead))
    assert ran.code == 2
    assert "vedette dead-letters list" in ran.words


def test_what_is_valid_now_goes_back_once(office: Office) -> None:
    """Each in its old partition with its key; the rest stays; the second time nothing is sent."""
    long = [LONG % (i, b"x" * 300) for i in range(5)]
    office.bury([*((raw, Reason.TOO_LARGE) for raw in long), (b"{}", Reason.MISSING_FIELD)], copies=2)
    ran = office.run("replay", "--dry-run")
    assert "events now: 0, sent before: 0, still none: 6" in ran.words
    assert "too_large: record has" in ran.words

    office.limit(1000)
    assert "events now: 5, sent before: 0, still none: 1" in office.run("replay", "--dry-run").words
    asked = office.run("replay")
    assert asked.code == 2
    assert "--yes" in asked.words
    assert office.arrived(0) == [], "neither looking nor asking sends"

    ran = office.run("replay", "--yes")
    assert ran.code == 0, ran.err
    assert "buried more than once, and counted once: 6" in ran.words
    assert f"left {office.dead}/1/4: missing_field" in ran.words
    assert "sent: 5" in ran.words
    again = office.run("replay", "--yes")
    assert "events now: 0, sent before: 5, still none: 1" in again.words
    found = office.arrived(5)
    assert sorted(r.value for r in found) == long
    assert {r.partition for r in found} == {2}
    assert sorted(r.key for r in found) == [b"acct-%d" % i for i in range(5)]
    ids = {row["id"] for row in office.rows()}
    assert {dict(r.headers)[REPLAYED_HEADER].decode() for r in found} <= ids
    assert sum(row["replayed"] for row in office.rows()) == 10


def test_some_of_them(office: Office) -> None:
    office.bury([(LONG % (i, b"x" * 300), Reason.TOO_LARGE) for i in range(4)])
    office.limit(1000)
    one = office.run("replay", "--yes", "--id", f"{office.dead}/1/1")
    assert "sent: 1" in one.words
    assert "events now: 0" in office.run("replay", "--yes", "--reason", "empty").words
    limited = office.run("replay", "--yes", "--limit", 2)
    assert "events now: 2, sent before: 1" in limited.words
    found = office.arrived(3)
    assert len(found) == 3
    assert b'"r-3"' in next(r.value for r in found if dict(r.headers)[REPLAYED_HEADER] == f"{office.dead}/1/1".encode())


def test_what_was_spooled_goes_back_too(office: Office) -> None:
    raw = LONG % (1, b"x" * 300)
    record = Record(office.events, 1, 5, b"acct-9", raw)
    append(office.folder / "dead-letters.jsonl", DeadLetter(record, raw, Rejection(Reason.TOO_LARGE, "why")), 1.0)
    (row,) = office.rows()
    assert (row["spooled"], row["replayed"], row["time_ms"]) == (True, False, 1000)
    assert "in the spool" in office.run("list").out
    assert "acct-9" in office.run("show", row["id"]).words
    office.limit(1000)
    assert "sent: 1" in office.run("replay", "--yes").words
    (sent,) = office.arrived(1)
    assert (sent.value, sent.key, sent.partition) == (raw, b"acct-9", 1)
    assert "sent before: 1" in office.run("replay", "--yes").words
    assert office.rows()[0]["replayed"]


def test_an_event_that_its_topic_finds_too_large_is_told_and_the_others_go(office: Office) -> None:
    raws = [LONG % (0, b"x"), LONG % (1, b"x") + b" " * 2_000_000, LONG % (2, b"x")]
    spool = office.folder / "dead-letters.jsonl"
    for offset, raw in enumerate(raws):
        record = Record(office.events, 1, offset, b"k", raw)
        append(spool, DeadLetter(record, raw, Rejection(Reason.TOO_LARGE, "why")), 1.0)
    office.limit(3_000_000)
    ran = office.run("replay", "--yes")
    if office.broker.kind == "embedded":  # it takes records of any size
        assert "sent: 3" in ran.words
        return
    assert ran.code == 1
    assert "sent: 2" in ran.words
    assert "bytes are more than max.message.bytes" in ran.words
    assert sorted(r.value for r in office.arrived(2)) == [raws[0], raws[2]]


def test_a_topic_that_is_not_there(broker: BrokerHandle, tmp_path: Path) -> None:
    config = tmp_path / "vedette.yaml"
    topics = {"dead_letters": {"name": topic_name()}}
    config.write_text(yaml.safe_dump({"kafka": {"brokers": [broker.bootstrap]}, "topics": topics}))
    ran = vedette("dead-letters", "list", "-c", config)
    assert ran.code == 2
    assert "does not exist" in ran.words
