"""Which topics a worker creates, and how."""

from __future__ import annotations

import msgspec
from brokers import BrokerHandle, topic_name
from kafka.admin import ConfigResource, ConfigResourceType

from monitor.kafka_admin import ensure_topics, partition_counts
from monitor.kafka_connect import admin_client
from monitor.settings import InternalTopic, Settings, Stream, Topic, Topics
from monitor.topics import ensure_worker_topics, internal_topics


def settings_for(broker: BrokerHandle, stream: Stream = Stream()) -> Settings:  # noqa: B008 - frozen
    topics = Topics(
        events=Topic(topic_name("events"), partitions=4),
        dead_letters=Topic(topic_name("dead"), partitions=1),
        findings=Topic(topic_name("findings"), partitions=1),
        state=InternalTopic(topic_name("state")),
        windows=InternalTopic(topic_name("windows"), partitions=1),
        bands=InternalTopic(topic_name("bands")),
        by_client=InternalTopic(topic_name("by-client")),
    )
    return Settings(kafka=broker.kafka, topics=topics, stream=stream)


def test_internal_topics_take_the_partitions_that_the_events_really_have(broker: BrokerHandle) -> None:
    settings = settings_for(broker)
    topics = settings.topics
    ensure_topics(broker.kafka, [msgspec.structs.replace(topics.events, partitions=3)])
    report = ensure_worker_topics(settings)
    names = [topics.dead_letters.name, topics.findings.name, topics.state.name, topics.windows.name, topics.bands.name]
    assert sorted(report.created) == sorted(names)
    assert report.partitions == {topics.events.name: 3} | dict(zip(names, (1, 1, 3, 1, 3), strict=True))
    assert partition_counts(broker.kafka, [topics.by_client.name]) == {}
    assert ensure_worker_topics(settings).created == ()


def test_topics_are_made_to_keep_what_they_must(broker: BrokerHandle) -> None:
    settings = settings_for(broker, Stream(max_event_bytes=5_000_000))
    ensure_worker_topics(settings)
    topics = settings.topics
    names = [topics.state.name, topics.events.name, topics.dead_letters.name]
    with admin_client(broker.kafka) as admin:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        found = admin.describe_configs(resources, config_filter="all")["topic"]
    assert found[topics.state.name]["cleanup.policy"]["value"] == "compact"
    sizes = [int(found[name]["max.message.bytes"]["value"]) for name in names]
    assert 5_000_000 < sizes[0] == sizes[1] < sizes[2]


def test_which_internal_topics_are_in_use() -> None:
    def counts(stream: Stream, by_client: int | None = None) -> dict[str, int]:
        topics = Topics(by_client=InternalTopic("b", partitions=by_client))
        found = internal_topics(Settings(topics=topics, stream=stream), 6)
        return {key: topic.partitions for key, topic in found.items()}

    assert counts(Stream()) == {"state": 6, "windows": 1, "bands": 6}
    assert counts(Stream(state="local")) == {"windows": 1, "bands": 6}
    assert counts(Stream(rekey=True)) == {"by_client": 6, "state": 6, "windows": 1, "bands": 6}
    assert counts(Stream(rekey=True), by_client=12) == {"by_client": 12, "state": 12, "windows": 1, "bands": 12}
