"""Topics as the broker has them, held against what a worker needs: there, allowed, of a size, kept as they must be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from monitor.problem import Problem
from monitor.settings import Settings, Topic
from monitor.topics import internal_topics

#: What a worker does with each; whoever may do one of these may also describe the topic.
_RIGHTS: Final[Mapping[str, tuple[str, ...]]] = {
    "events": ("READ",),
    "dead_letters": ("WRITE",),
    "findings": ("WRITE",),
    "state": ("READ", "WRITE"),
    "windows": ("READ", "WRITE"),
    "bands": ("READ", "WRITE"),
    "by_client": ("READ", "WRITE"),
}
_UNKNOWN: Final = kafka_errors.UnknownTopicOrPartitionError.errno
_FORBIDDEN: Final = kafka_errors.TopicAuthorizationFailedError.errno


def check_topics(settings: Settings, admin: KafkaAdminClient) -> Iterator[Problem]:
    """Changes nothing. What a broker does not tell (rights, a topic's settings) is not judged.

    Raises KafkaError where the broker answers with what will pass.
    """
    names = settings.topics
    events = _describe(admin, [names.events.name])[names.events.name]
    count = len(events["partitions"]) or names.events.partitions
    wanted = {"events": names.events, "dead_letters": names.dead_letters, "findings": names.findings}
    wanted |= internal_topics(settings, count)
    found = _describe(admin, [topic.name for topic in wanted.values()])
    may_create = "CREATE" in (admin.describe_cluster().get("authorized_operations") or ())
    there = {}
    for key, topic in wanted.items():
        described = found[topic.name]
        if not described["error_code"]:
            there[key] = topic
            yield from _rights(settings, key, topic, described)
            yield from _count(key, topic, len(described["partitions"]))
        else:
            yield from _absent(settings, key, topic, described, may_create)
    configs = _configs(admin, [topic.name for topic in there.values()])
    for key, topic in there.items():
        yield from _kept(settings, key, topic, configs.get(topic.name, {}))


def _describe(admin: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, Any]]:
    return {str(found["name"]): found for found in admin.describe_topics(names)}


def _absent(
    settings: Settings, key: str, topic: Topic, described: dict[str, Any], may_create: bool
) -> Iterator[Problem]:
    where, code = f"topics.{key}", described["error_code"]
    if code == _FORBIDDEN:
        rights = " and ".join(right.capitalize() for right in _RIGHTS[key])
        yield Problem("error", where, f"{_user(settings)} may not even see topic {topic.name}", f"grant {rights} there")
    elif code != _UNKNOWN:
        error = kafka_errors.for_code(code)
        if error.retriable:
            raise error(f"topic {topic.name}")
        what = f"topic {topic.name} cannot be looked up: {error.__name__}"
        yield Problem("error", where, what, "see the broker's log")
    elif not settings.topics.create:
        how = f"create it with {topic.partitions} partitions, or set topics.create: true"
        yield Problem("error", where, f"topic {topic.name} does not exist", how)
    else:
        operations = described["authorized_operations"]
        if operations is not None and "CREATE" not in operations and not may_create:
            what = f"topic {topic.name} does not exist, and {_user(settings)} may not create it"
            yield Problem("error", where, what, f"grant Create, or create it with {topic.partitions} partitions")


def _rights(settings: Settings, key: str, topic: Topic, described: dict[str, Any]) -> Iterator[Problem]:
    operations = described["authorized_operations"]
    missing = [r for r in _RIGHTS[key] if operations is not None and r not in operations]
    if missing:
        verbs = " or ".join(right.lower() for right in missing)
        rights = " and ".join(right.capitalize() for right in missing)
        what = f"{_user(settings)} may not {verbs} topic {topic.name}"
        yield Problem("error", f"topics.{key}", what, f"grant {rights} there")


def _count(key: str, topic: Topic, have: int) -> Iterator[Problem]:
    if have == topic.partitions:
        return
    what = f"topic {topic.name} has {have} partitions, not {topic.partitions}"
    where = f"topics.{key}.partitions"
    if key == "state":
        cure = "delete it while no worker runs, or name another: an internal topic must fit the topic that is judged"
        yield Problem("error", where, what, cure)
    else:
        yield Problem("warning", where, what, "it is used as it is")


def _kept(settings: Settings, key: str, topic: Topic, config: Mapping[str, str]) -> Iterator[Problem]:
    where = f"topics.{key}"
    policy = config.get("cleanup.policy", "")
    if key == "state" and policy not in ("", "compact"):
        what = f"topic {topic.name} has cleanup.policy={policy}: state would be removed by age"
        yield Problem("error", where, what, "set cleanup.policy=compact there")
    elif key != "state" and "compact" in policy:
        what = f"topic {topic.name} has cleanup.policy={policy}: all but the newest record of a key are removed"
        yield Problem("warning", where, what, "set cleanup.policy=delete there")
    limit, needed = config.get("max.message.bytes", ""), settings.stream.max_event_bytes
    if key in ("events", "by_client", "dead_letters") and limit.isdecimal() and int(limit) < needed:
        told = {
            "events": "larger events are refused before anybody sees them",
            "by_client": "larger events stop the worker",
            "dead_letters": "larger dead letters go to the spool",
        }
        what = (
            f"topic {topic.name} has max.message.bytes={limit}, less than stream.max_event_bytes={needed}: {told[key]}"
        )
        cure = "raise the one or lower the other"
        yield Problem("error" if key == "by_client" else "warning", where, what, cure)


def _configs(admin: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """By topic; empty where the broker, or the right to ask, has nothing to say."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    answer = admin.describe_configs(resources, config_filter="all").get("topic", {})
    return {name: {k: str(v["value"]) for k, v in entries.items()} for name, entries in answer.items()}


def _user(settings: Settings) -> str:
    user = settings.kafka.sasl_username
    return f"user {user!r}" if user else "this client"
