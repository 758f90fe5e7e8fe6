"""Which topics a worker reads and writes, with their true numbers of partitions."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from monitor.kafka_admin import ensure_topics
from monitor.settings import InternalTopic, Settings, Topic

#: Segments of a changelog are rolled early: only closed ones are compacted, and all of them are read at a takeover.
COMPACTED = {"cleanup.policy": "compact", "segment.bytes": str(64 * 1024 * 1024), "min.cleanable.dirty.ratio": "0.2"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Attributes:
    judged: the topic whose records are judged: the events topic, or where they are keyed by client again.
    partitions: of ``judged``.
    windows: partitions of the topic of window shares.
    state: partitions of the state topic, 0 if state is local.
    """

    judged: str
    partitions: int
    windows: int
    state: int

    def windows_partition(self, model: str) -> int:
        """Where a model's shares go."""
        return zlib.crc32(model.encode("utf-8", "surrogatepass")) % self.windows


def prepare(settings: Settings) -> tuple[Layout, tuple[str, ...]]:
    """Make sure that all topics exist; the layout, and warnings. Raises what ``ensure_topics`` does."""
    topics, kafka, create = settings.topics, settings.kafka, settings.topics.create
    report = ensure_topics(kafka, [topics.events, topics.dead_letters, topics.findings], create=create)
    events = report.partitions[topics.events.name]
    internal = [topics.windows]
    if settings.stream.rekey:
        internal.append(topics.by_client)
    counts = dict(report.partitions)
    warnings = report.warnings
    more = ensure_topics(kafka, [_sized(topic, events) for topic in internal], create=create)
    counts |= more.partitions
    judged = topics.by_client.name if settings.stream.rekey else topics.events.name
    state = 0
    if settings.stream.state == "changelog":
        kept = ensure_topics(kafka, [_sized(topics.state, counts[judged])], create=create, config=COMPACTED)
        state = kept.partitions[topics.state.name]
        warnings += kept.warnings
    return Layout(judged, counts[judged], counts[topics.windows.name], state), warnings + more.warnings


def _sized(topic: InternalTopic, partitions: int) -> Topic:
    return Topic(topic.name, topic.partitions or partitions, topic.replication)
