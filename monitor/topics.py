"""Which topics a worker needs, with how many partitions and which settings of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.kafka_admin import TopicsReport, ensure_topics
from monitor.settings import InternalTopic, Settings, Topic

#: Room for a record's key, headers and framing beside its value.
_FRAMING_BYTES = 64 * 1024
#: Segments are rolled early: only closed ones are compacted, and all of them are read at a takeover.
COMPACTED: Final = {
    "cleanup.policy": "compact",
    "segment.bytes": str(64 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.2",
}


def internal_topics(settings: Settings, events_partitions: int) -> dict[str, Topic]:
    """The internal topics in use, by the name of their setting, for an events topic of so many partitions.

    State is kept for each partition that is judged: of ``by_client`` with ``stream.rekey``, else of the events topic.
    """
    topics = settings.topics
    found: dict[str, Topic] = {}
    judged = events_partitions
    if settings.stream.rekey:
        found["by_client"] = _counted(topics.by_client, events_partitions)
        judged = found["by_client"].partitions
    if settings.stream.state == "changelog":
        found["state"] = _counted(topics.state, judged)
    found["windows"] = _counted(topics.windows, 1)
    found["bands"] = _counted(topics.bands, judged)
    return found


def topic_configs(settings: Settings) -> Mapping[str, Mapping[str, str]]:
    """By topic name, what a topic is created with; a topic that exists keeps its own settings."""
    topics = settings.topics
    event_bytes = settings.stream.max_event_bytes + _FRAMING_BYTES
    room = {"max.message.bytes": str(event_bytes)}
    return {
        topics.events.name: room,
        topics.by_client.name: room,
        # a dead letter carries headers that its record did not have
        topics.dead_letters.name: {"max.message.bytes": str(event_bytes + _FRAMING_BYTES)},
        topics.windows.name: room,
        topics.bands.name: room,
        topics.state.name: COMPACTED | room,
    }


def ensure_worker_topics(settings: Settings, timeout_s: float = 10.0) -> TopicsReport:
    """Create what is absent: the events topic first, whose real number of partitions the internal ones take.

    Raises as ``ensure_topics``.
    """
    topics, configs = settings.topics, topic_configs(settings)
    first = ensure_topics(settings.kafka, [topics.events], create=topics.create, configs=configs, timeout_s=timeout_s)
    others = [topics.dead_letters, topics.findings]
    others += internal_topics(settings, first.partitions[topics.events.name]).values()
    second = ensure_topics(settings.kafka, others, create=topics.create, configs=configs, timeout_s=timeout_s)
    return TopicsReport(
        created=first.created + second.created,
        existing=first.existing + second.existing,
        partitions=first.partitions | second.partitions,
        warnings=first.warnings + second.warnings,
    )


def _counted(topic: InternalTopic, partitions: int) -> Topic:
    return Topic(topic.name, topic.partitions or partitions, topic.replication)
