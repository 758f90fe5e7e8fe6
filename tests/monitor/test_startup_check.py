"""The start-up check: everything at once, each with what to do; on real brokers, with rights on Apache Kafka."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import msgspec
import pytest
import yaml
from brokers import BrokerHandle, apache, free_port, topic_name
from command_line import vedette
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.structs import OffsetAndMetadata

from monitor.check_host import check_host
from monitor.kafka_admin import ensure_topics, partition_counts
from monitor.kafka_connect import BrokerUnreachable
from monitor.problem import Problem
from monitor.settings import Detection, InternalTopic, Kafka, Settings, Stream, Topic, Topics, Web
from monitor.startup_check import check, startup_error
from monitor.topics import ensure_worker_topics, internal_topics


def settings_for(kafka: Kafka, folder: Path, baseline: Path) -> Settings:
    """Everything as it should be, with topics that do not exist yet."""
    topics = Topics(
        events=Topic(topic_name("events"), partitions=3),
        dead_letters=Topic(topic_name("dead"), partitions=1),
        findings=Topic(topic_name("findings"), partitions=1),
        state=InternalTopic(topic_name("state")),
        windows=InternalTopic(topic_name("windows"), partitions=1),
        bands=InternalTopic(topic_name("bands")),
        by_client=InternalTopic(topic_name("by-client")),
    )
    return Settings(
        data_dir=str(folder / "data"),
        kafka=msgspec.structs.replace(kafka, group=topic_name("group")),
        topics=topics,
        stream=Stream(max_event_bytes=100_000),
        detection=Detection(baseline=str(baseline)),
        web=Web(port=free_port()),
    )


def found(settings: Settings) -> list[tuple[str, str, str]]:
    return [(p.level, p.where, p.what) for p in check(settings)]


@pytest.fixture(autouse=True)
def _logging_stays() -> Iterator[None]:
    """``vedette run`` sets the process's logging up; the tests share a process."""
    with mock.patch("monitor.logs.setup"):
        yield


@pytest.fixture
def good(broker: BrokerHandle, tmp_path: Path, baseline: Path) -> Settings:
    return settings_for(broker.kafka, tmp_path, baseline)


def test_all_is_well_before_and_after_the_topics_are_made(good: Settings) -> None:
    assert check(good) == []
    names = [good.topics.events.name, good.topics.state.name]
    assert partition_counts(good.kafka, names) == {}, "looking makes nothing"
    assert not Path(good.data_dir).exists()
    ensure_worker_topics(good)
    assert check(good) == []


def test_everything_is_told_at_once(good: Settings, tmp_path: Path) -> None:
    """Machine and broker together, each with a cure; the errors are one error for whoever starts a worker."""
    (tmp_path / "data").write_text("a file")
    topics = msgspec.structs.replace(good.topics, create=False)
    wrong = msgspec.structs.replace(good, detection=Detection(), topics=topics)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = msgspec.structs.replace(wrong, web=Web(port=taken.getsockname()[1]))
        problems = check(wrong)
    assert [p.where for p in problems] == [
        "detection.baseline",
        "data_dir",
        "web.port",
        *(f"topics.{key}" for key in ("events", "dead_letters", "findings", "state", "windows", "bands")),
    ]
    assert all(p.cure for p in problems)
    assert "create it with 3 partitions" in next(p.cure for p in problems if p.where == "topics.state")
    error = startup_error(problems)
    assert error is not None
    assert all(str(p) in str(error) for p in problems)
    assert startup_error([Problem("warning", "a", "b", "c")]) is None


def test_internal_topics_must_fit(good: Settings) -> None:
    topics = good.topics
    ensure_topics(
        good.kafka,
        [
            msgspec.structs.replace(topics.events, partitions=2),
            Topic(topics.state.name, partitions=4),
            Topic(topics.windows.name, partitions=2),
        ],
        configs={topics.state.name: {"cleanup.policy": "compact"}},
    )
    assert found(good) == [
        ("warning", "topics.events.partitions", f"topic {topics.events.name} has 2 partitions, not 3"),
        ("error", "topics.state.partitions", f"topic {topics.state.name} has 4 partitions, not 2"),
        ("warning", "topics.windows.partitions", f"topic {topics.windows.name} has 2 partitions, not 1"),
    ]


def test_how_topics_are_kept(good: Settings) -> None:
    topics = good.topics
    configs = {
        topics.events.name: {"cleanup.policy": "compact", "max.message.bytes": "99999"},
        topics.dead_letters.name: {"max.message.bytes": "99999"},
        topics.state.name: {"cleanup.policy": "delete"},
    }
    internal = internal_topics(good, 3)
    ensure_topics(good.kafka, [topics.events, topics.dead_letters, *internal.values()], configs=configs)
    told = found(good)
    assert [(level, where) for level, where, _ in told] == [
        ("warning", "topics.events"),
        ("warning", "topics.events"),
        ("warning", "topics.dead_letters"),
        ("error", "topics.state"),
    ]
    assert "max.message.bytes=99999, less than stream.max_event_bytes=100000" in told[1][2]


def _produce(settings: Settings, partition: int, records: int) -> None:
    producer = KafkaProducer(bootstrap_servers=list(settings.kafka.brokers))
    for _ in range(records):
        producer.send(settings.topics.events.name, value=b"v", partition=partition)
    producer.close()


def _commit(settings: Settings, offsets: dict[int, int]) -> None:
    consumer = KafkaConsumer(bootstrap_servers=list(settings.kafka.brokers), group_id=settings.kafka.group)
    places = {TopicPartition(settings.topics.events.name, p): OffsetAndMetadata(n, "", -1) for p, n in offsets.items()}
    consumer.assign(list(places))
    consumer.commit(places)
    consumer.close()


def test_what_the_group_has_read_is_not_a_problem(good: Settings) -> None:
    """Also on a broker whose latest offset lies inside its last batch."""
    ensure_worker_topics(good)
    _produce(good, 1, 20)
    _commit(good, {0: 0, 1: 20})
    assert check(good) == []


def test_a_topic_made_anew_is_told(good: Settings) -> None:
    ensure_worker_topics(good)
    _produce(good, 1, 5)
    _commit(good, {0: 0, 1: 500})
    ((level, _, what),) = found(good)
    assert level == "error"
    assert "partition 1 ends at 5, the group has read to 500" in what


@pytest.mark.kafka
def test_events_that_retention_took_are_counted(tmp_path: Path, baseline: Path) -> None:
    with apache(tmp_path / "kafka") as running:
        settings = settings_for(running.kafka, tmp_path, baseline)
        ensure_worker_topics(settings)
        _produce(settings, 0, 10)
        _produce(settings, 2, 30)
        _commit(settings, {0: 4, 2: 25})
        with KafkaAdminClient(bootstrap_servers=running.bootstrap) as admin:
            name = settings.topics.events.name
            admin.delete_records({TopicPartition(name, 0): 10, TopicPartition(name, 2): 20})
        ((level, where, what),) = found(settings)
    assert (level, where) == ("warning", "topics")
    assert "6 records were removed by retention before they were read: 6 in partition 0" in what


def test_a_broker_that_is_not_there(tmp_path: Path, baseline: Path) -> None:
    settings = settings_for(Kafka(brokers=(f"127.0.0.1:{free_port()}",)), tmp_path, baseline)
    ((level, where, what),) = found(settings)
    assert (level, where) == ("error", "kafka.brokers")
    assert "Connection refused" in what
    with pytest.raises(BrokerUnreachable):
        check(settings, unreachable_is_error=False)


@pytest.mark.kafka
def test_a_broker_that_goes_down_and_comes_up(tmp_path: Path, baseline: Path) -> None:
    """At whatever question it stops answering: who waits for it is told to wait, never that something is wrong."""
    with apache(tmp_path / "kafka") as running, ThreadPoolExecutor(3) as threads:
        settings = settings_for(running.kafka, tmp_path, baseline)
        ensure_worker_topics(settings)
        _produce(settings, 0, 10)
        _commit(settings, {0: 10})
        up_again = threading.Event()

        def outcomes() -> set[str]:
            seen = set()
            while not up_again.is_set() or "well" not in seen:
                try:
                    seen |= {str(problem) for problem in check(settings, unreachable_is_error=False)} or {"well"}
                except BrokerUnreachable:
                    seen.add("wait")
            return seen

        looking = [threads.submit(outcomes) for _ in range(3)]
        try:
            for hard in (False, True, False, True):
                running.restart(hard=hard)
        finally:
            up_again.set()
        assert set().union(*(look.result(timeout=60.0) for look in looking)) == {"well", "wait"}


def test_a_group_that_cannot_be_looked_up(good: Settings) -> None:
    """To be waited for, or told among all other problems."""
    with mock.patch("monitor.startup_check.check_group", side_effect=kafka_errors.NodeNotReadyError("1")):
        with pytest.raises(BrokerUnreachable, match="NodeNotReadyError"):
            check(good, unreachable_is_error=False)
        ((level, where, what),) = found(good)
    assert (level, where) == ("error", "kafka.group")
    assert "NodeNotReadyError" in what


def test_a_password_that_is_not_there(tmp_path: Path, baseline: Path) -> None:
    kafka = Kafka(security_protocol="SASL_SSL", sasl_username="v", sasl_password_env="VEDETTE_TEST_UNSET")
    ((level, _, what),) = found(settings_for(kafka, tmp_path, baseline))
    assert level == "error"
    assert "VEDETTE_TEST_UNSET is not set" in what


def test_an_old_baseline_little_room_and_no_room(tmp_path: Path, baseline: Path) -> None:
    settings = settings_for(Kafka(), tmp_path, baseline)
    copy = tmp_path / "old.vdb"
    copy.write_bytes(baseline.read_bytes())
    now = time.time()
    os.utime(copy, (now, now - 100.5 * 86400))
    settings = msgspec.structs.replace(settings, detection=Detection(baseline=str(copy)))
    for free_mib, level in ((500, "warning"), (10, "error")):
        with mock.patch("shutil.disk_usage", return_value=mock.Mock(free=free_mib << 20)):
            problems = list(check_host(settings, now))
        assert [(p.level, p.what) for p in problems] == [
            ("warning", "made 100 days ago"),
            (level, f"{free_mib} MiB are free below {tmp_path}"),
        ]


def test_an_address_of_another_machine(tmp_path: Path, baseline: Path) -> None:
    for host in ("203.0.113.1", "no-such-host.invalid"):
        settings = settings_for(Kafka(), tmp_path, baseline)
        ((problem),) = check_host(msgspec.structs.replace(settings, web=Web(host=host, port=6066)), time.time())
        assert (problem.level, host in problem.what) == ("error", True)


@dataclass(frozen=True)
class Guarded:
    """Apache Kafka that lets ``worker`` do what its list says and no more."""

    bootstrap: str
    address: str

    def allow(self, kind: ResourceType, name: str, *operations: ACLOperation) -> None:
        with KafkaAdminClient(bootstrap_servers=self.bootstrap) as admin:
            admin.create_acls(
                [
                    ACL("User:worker", "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, name))
                    for operation in operations
                ]
            )

    @property
    def kafka(self) -> Kafka:
        return Kafka(
            brokers=(self.address,),
            security_protocol="SASL_PLAINTEXT",
            sasl_username="worker",
            sasl_password_env="TEST_KAFKA_PASSWORD",
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    address = f"127.0.0.1:{free_port()}"
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    properties = (
        f"listeners+=SASL_PLAINTEXT://{address}",
        f"advertised.listeners+=SASL_PLAINTEXT://{address}",
        "sasl.enabled.mechanisms=PLAIN",
        f'listener.name.sasl_plaintext.plain.sasl.jaas.config={login} user_worker="right";',
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users=User:ANONYMOUS",
    )
    with apache(tmp_path_factory.mktemp("guarded"), properties) as running:
        yield Guarded(running.bootstrap, address)


@pytest.mark.kafka
def test_rights_are_named_until_they_are_there(
    guarded: Guarded, tmp_path: Path, baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From no right at all to just enough: what is told is what was missing."""
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", "right")
    settings = settings_for(guarded.kafka, tmp_path, baseline)
    topics = settings.topics
    keys = ("events", "dead_letters", "findings", "state", "windows", "bands")
    names = {key: getattr(topics, key).name for key in keys}
    told = found(settings)
    assert [where for _, where, _ in told] == [*(f"topics.{key}" for key in keys), "kafka.group"]
    assert told[0][2] == f"user 'worker' may not even see topic {names['events']}"
    assert told[-1][2] == f"user 'worker' may not join group {settings.kafka.group}"

    for key in keys:
        guarded.allow(ResourceType.TOPIC, names[key], ACLOperation.DESCRIBE)
    guarded.allow(ResourceType.GROUP, settings.kafka.group, ACLOperation.DESCRIBE)
    told = found(settings)
    assert told[0][2] == f"topic {names['events']} does not exist, and user 'worker' may not create it"
    assert told[-1][1] == "kafka.group", "to see a group is not to join it"

    ensure_worker_topics(msgspec.structs.replace(settings, kafka=Kafka(brokers=(guarded.bootstrap,))))
    told = found(settings)
    assert [what for _, _, what in told[:-1]] == [
        f"user 'worker' may not {verb} topic {names[key]}"
        for key, verb in zip(keys, ("read", "write", "write", *["read or write"] * 3), strict=True)
    ]
    for key, rights in {
        "events": (ACLOperation.READ,),
        "dead_letters": (ACLOperation.WRITE,),
        "findings": (ACLOperation.WRITE,),
        "state": (ACLOperation.READ, ACLOperation.WRITE),
        "windows": (ACLOperation.READ, ACLOperation.WRITE),
        "bands": (ACLOperation.READ, ACLOperation.WRITE),
    }.items():
        guarded.allow(ResourceType.TOPIC, names[key], *rights)
    guarded.allow(ResourceType.GROUP, settings.kafka.group, ACLOperation.READ)
    assert found(settings) == []


@pytest.mark.kafka
def test_a_refused_login_ends_a_worker_at_once(
    guarded: Guarded, tmp_path: Path, baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting would not mend it: ``run`` does not wait, and neither shows the password."""
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", "wr0ng-0ne")
    settings = settings_for(guarded.kafka, tmp_path, baseline)
    config = tmp_path / "vedette.yaml"
    config.write_text(yaml.safe_dump(msgspec.to_builtins(settings)))
    for command, code in (("run", 2), ("check", 1)):
        ran = vedette(command, "-c", config)
        assert ran.code == code
        assert "refuses the login of 'worker' with PLAIN" in ran.words
        assert "wr0ng-0ne" not in ran.words


def test_the_command_shows_everything_and_starts_nothing(good: Settings, tmp_path: Path) -> None:
    config = tmp_path / "vedette.yaml"
    compact = {good.topics.state.name: {"cleanup.policy": "compact"}}
    ensure_topics(good.kafka, [Topic(good.topics.state.name, partitions=7)], configs=compact)
    config.write_text(yaml.safe_dump(msgspec.to_builtins(good)))
    ran = vedette("check", "-c", config)
    assert ran.code == 1
    assert "error: topics.state.partitions: topic" in ran.words
    assert "errors: 1, warnings: 0; mode: dry-run" in ran.words
    started = vedette("run", "-c", config)
    assert started.code == 2
    assert "cannot start: 1 error topics.state.partitions" in started.words
    assert not Path(good.data_dir).exists()
    fine = msgspec.structs.replace(good.topics, state=InternalTopic(topic_name("state")))
    config.write_text(yaml.safe_dump(msgspec.to_builtins(msgspec.structs.replace(good, topics=fine))))
    assert vedette("check", "-c", config).code == 0
