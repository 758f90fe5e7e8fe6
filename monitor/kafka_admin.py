"""Topics: created where absent, taken as they are where present; errors that say what to mend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from kafka import KafkaAdminClient, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import OffsetSpec

from monitor.kafka_connect import BrokerUnreachable, KafkaProblem, admin_client
from monitor.settings import Kafka, Topic

_UNKNOWN_TOPIC = kafka_errors.UnknownTopicOrPartitionError.errno
NO_CONFIGS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({})
_TOPIC_EXISTS = kafka_errors.TopicAlreadyExistsError.errno


@dataclass(frozen=True, slots=True)
class TopicsReport:
    """What ``ensure_topics`` found and did; ``partitions`` is the true count of each topic."""

    created: tuple[str, ...]
    existing: tuple[str, ...]
    partitions: dict[str, int]
    warnings: tuple[str, ...]


def ensure_topics(
    kafka: Kafka,
    topics: Sequence[Topic],
    *,
    create: bool = True,
    configs: Mapping[str, Mapping[str, str]] = NO_CONFIGS,
    timeout_s: float = 10.0,
) -> TopicsReport:
    """Make sure that the topics exist. An existing topic is never changed; another partition count is a warning.

    Args:
        configs: by topic name, the topic's own settings (``cleanup.policy`` and the like) where it is created.

    Raises:
        BrokerUnreachable: no broker answers within ``timeout_s``, or one answers with what will pass.
        KafkaProblem: the login is refused, rights are missing, a topic cannot be created, or is absent with
            ``create=False``.
    """
    wanted = {topic.name: topic for topic in topics}
    with admin_client(kafka, timeout_s) as admin:
        before = _partitions(admin, wanted, kafka)
        missing = [topic for topic in wanted.values() if topic.name not in before]
        if missing and not create:
            names = ", ".join(f"{t.name} ({t.partitions} partitions)" for t in missing)
            raise KafkaProblem(f"topics do not exist: {names}; create them, or set topics.create: true")
        created = _create(admin, missing, configs, kafka) if missing else ()
        if missing:
            admin.wait_for_topics([topic.name for topic in missing], timeout_ms=int(timeout_s * 1000))
        now = _partitions(admin, wanted, kafka)
    return TopicsReport(
        created=created,
        existing=tuple(name for name in wanted if name not in created),
        partitions=now,
        warnings=tuple(
            f"topic {name} has {now[name]} partitions, not the {topic.partitions} configured; it is used as it is"
            for name, topic in wanted.items()
            if now[name] != topic.partitions
        ),
    )


def partition_counts(kafka: Kafka, names: Iterable[str], *, timeout_s: float = 10.0) -> dict[str, int]:
    """Number of partitions of each topic; absent topics are absent. Raises as ``ensure_topics``."""
    with admin_client(kafka, timeout_s) as admin:
        return _partitions(admin, names, kafka)


def end_offsets(kafka: Kafka, name: str, *, timeout_s: float = 10.0) -> dict[int, int]:
    """Per partition the offset the next record will get. Raises as ``ensure_topics``, or KafkaProblem if absent.

    Right on Apache Kafka only: the embedded broker answers with its last batch's base offset + 1, too low where
    that batch holds several records. Never decide there by this figure that everything has been read.
    """
    with admin_client(kafka, timeout_s) as admin:
        count = _partitions(admin, [name], kafka).get(name)
        if count is None:
            raise KafkaProblem(f"topic {name} does not exist")
        wanted = {TopicPartition(name, partition): OffsetSpec.LATEST for partition in range(count)}
        return {tp.partition: int(found.offset) for tp, found in admin.list_partition_offsets(wanted).items()}


def _partitions(admin: KafkaAdminClient, names: Iterable[str], kafka: Kafka) -> dict[str, int]:
    counts = {}
    for found in admin.describe_topics(list(names)):
        if not found["error_code"]:
            counts[str(found["name"])] = len(found["partitions"])
        elif found["error_code"] != _UNKNOWN_TOPIC:
            raise _refusal("look up", str(found["name"]), found["error_code"], None, kafka)
    return counts


def _create(
    admin: KafkaAdminClient, topics: Sequence[Topic], configs: Mapping[str, Mapping[str, str]], kafka: Kafka
) -> tuple[str, ...]:
    """Names really created: another worker may have been quicker with some."""
    new = {
        t.name: {
            "num_partitions": t.partitions,
            "replication_factor": t.replication,
            "configs": dict(configs.get(t.name, {})),
        }
        for t in topics
    }
    answers: list[dict[str, Any]] = admin.create_topics(new, raise_errors=False)["topics"]
    for answer in answers:
        if answer["error_code"] not in (0, _TOPIC_EXISTS):
            raise _refusal("create", answer["name"], answer["error_code"], answer.get("error_message"), kafka)
    return tuple(answer["name"] for answer in answers if not answer["error_code"])


def _refusal(verb: str, topic: str, code: int, message: str | None, kafka: Kafka) -> KafkaProblem:
    error = kafka_errors.for_code(code)
    if issubclass(error, kafka_errors.AuthorizationError):
        user = f"user {kafka.sasl_username!r}" if kafka.sasl_username else "this client"
        cure = "grant it Describe, Create, Read and Write there"
        return KafkaProblem(f"{user} may not {verb} topic {topic}: {cure} ({error.__name__})")
    passes = error.retriable  # a broker that has just started may not know yet who leads
    what = f"cannot {verb} topic {topic}: {message or error.description} ({error.__name__})"
    return (BrokerUnreachable if passes else KafkaProblem)(what)
