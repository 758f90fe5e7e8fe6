"""Topics on real brokers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from brokers import Apache, BrokerHandle, topic_name
from kafka import KafkaProducer

from monitor.kafka_admin import end_offsets, ensure_topics, partition_counts
from monitor.kafka_connect import KafkaProblem
from monitor.settings import Topic


def test_absent_topics_are_created_and_found_again(broker: BrokerHandle) -> None:
    one, other = topic_name(), topic_name()
    report = ensure_topics(broker.kafka, [Topic(one, partitions=3), Topic(other, partitions=1)])
    assert (set(report.created), report.existing, report.warnings) == ({one, other}, (), ())
    assert report.partitions == {one: 3, other: 1}

    again = ensure_topics(broker.kafka, [Topic(one, partitions=3), Topic(other, partitions=1)], create=False)
    assert (again.created, again.existing, again.warnings) == ((), (one, other), ())
    assert partition_counts(broker.kafka, [one, other, topic_name()]) == {one: 3, other: 1}


def test_an_existing_topic_is_used_as_it_is(broker: BrokerHandle) -> None:
    name = topic_name()
    ensure_topics(broker.kafka, [Topic(name, partitions=2)])
    report = ensure_topics(broker.kafka, [Topic(name, partitions=5)])
    assert report.partitions == {name: 2}
    assert report.warnings == (f"topic {name} has 2 partitions, not the 5 configured; it is used as it is",)


def test_absent_topics_can_be_an_error(broker: BrokerHandle) -> None:
    name = topic_name()
    with pytest.raises(KafkaProblem, match=rf"{name} \(4 partitions\).*topics\.create"):
        ensure_topics(broker.kafka, [Topic(name)], create=False)
    assert partition_counts(broker.kafka, [name]) == {}


def test_workers_that_start_together_do_not_collide(broker: BrokerHandle) -> None:
    name, together = topic_name(), threading.Barrier(4)

    def start(_: int) -> dict[str, int]:
        together.wait(timeout=30)
        return ensure_topics(broker.kafka, [Topic(name, partitions=2)]).partitions

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(4))) == [{name: 2}] * 4


@pytest.mark.kafka
def test_end_offsets_are_exact_and_outlive_a_restart(own_apache: Apache) -> None:
    name = topic_name()
    ensure_topics(own_apache.kafka, [Topic(name, partitions=2)])
    producer = KafkaProducer(bootstrap_servers=own_apache.bootstrap)
    for _ in range(7):
        producer.send(name, value=b"v", partition=1)
    producer.close()
    assert end_offsets(own_apache.kafka, name) == {0: 0, 1: 7}
    own_apache.restart()
    assert end_offsets(own_apache.kafka, name) == {0: 0, 1: 7}
    own_apache.restart(hard=True)
    assert end_offsets(own_apache.kafka, name) == {0: 0, 1: 7}


def test_end_offsets_of_an_absent_topic(broker: BrokerHandle) -> None:
    name = topic_name()
    with pytest.raises(KafkaProblem, match=f"topic {name} does not exist"):
        end_offsets(broker.kafka, name)
