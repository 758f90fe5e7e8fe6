"""Playing into real brokers: order, partitions, ticks, pace, and refusals that are told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest
from brokers import BrokerHandle, free_port, topic_name
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.consumer.fetcher import ConsumerRecord
from kafka.partitioner import DefaultPartitioner

import replay.sender
from monitor.codec.tick import decode_tick
from monitor.kafka_admin import ensure_topics
from monitor.kafka_connect import BrokerUnreachable, KafkaProblem
from monitor.settings import Kafka, Topic
from replay.embedded_broker import EmbeddedBroker
from replay.player import play_to_kafka
from replay.schedule import Record
from replay.sender import BATCH_RECORDS, DeliveryError, Played, partition_of

CLOSE_S = 91.0


def _new_topic(broker: BrokerHandle, partitions: int = 3) -> str:
    name = topic_name()
    ensure_topics(broker.kafka, [Topic(name, partitions=partitions)])
    return name


def _read(broker: BrokerHandle, topic: str, count: int, partitions: int = 3) -> dict[int, list[ConsumerRecord]]:
    """``count`` records from the start, by partition."""
    consumer = KafkaConsumer(
        bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=30000
    )
    consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
    found = defaultdict(list)
    for _ in range(count):
        record = next(consumer)
        found[record.partition].append(record)
    consumer.close()
    return found


def _records(count: int, step_s: float = 0.01) -> list[Record]:
    return [Record(1000.0 + i * step_s, b"client:%d" % (i % 40), b"%d" % i) for i in range(count)]


def test_every_record_arrives_once_in_order_and_a_client_stays_in_its_partition(broker: BrokerHandle) -> None:
    topic, records = _new_topic(broker), _records(BATCH_RECORDS * 2 + 500)
    told: list[Played] = []
    played = play_to_kafka(iter(records), broker.kafka, topic, CLOSE_S, progress=told.append)

    found = _read(broker, topic, len(records) + played.ticks)
    data = {p: [r for r in rs if decode_tick(r.value, r.headers) is None] for p, rs in found.items()}
    assert sorted(int(r.value) for rs in data.values() for r in rs) == list(range(len(records)))
    assert {p: len(rs) for p, rs in data.items()} == played.records
    for partition, rs in data.items():
        assert [int(r.value) for r in rs] == sorted(int(r.value) for r in rs)
        assert {partition_of(r.key, 3) for r in rs} == {partition}
    assert (played.first_ts, played.last_ts) == (1000.0, records[-1].ts)
    assert [p.total for p in told] == sorted(p.total for p in told)
    assert told[-1] == played


def test_ticks_reach_every_partition_and_never_overtake(broker: BrokerHandle) -> None:
    topic, records = _new_topic(broker), _records(120, step_s=0.5)
    played = play_to_kafka(records, broker.kafka, topic, CLOSE_S)
    found = _read(broker, topic, len(records) + played.ticks)
    assert set(found) == {0, 1, 2}
    for rs in found.values():
        promised, ticks = float("-inf"), []
        for record in rs:
            tick = decode_tick(record.value, record.headers)
            if tick is None:
                assert records[int(record.value)].ts >= promised
            else:
                ticks.append(tick)
                promised = max(promised, tick)
        assert ticks == [*(1000.0 + 5 * i for i in range(len(ticks) - 1)), records[-1].ts + CLOSE_S]
        assert len(ticks) * 3 == played.ticks


def test_pace_follows_event_time(broker: BrokerHandle) -> None:
    now, waits = [500.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    records = [
        Record(1000.0, b"a", b"0"),
        Record(1002.0, b"a", b"1"),
        Record(1001.0, b"b", b"2"),
        Record(1006.0, b"a", b"3"),
    ]
    topic = _new_topic(broker)
    play_to_kafka(records, broker.kafka, topic, CLOSE_S, speed=2.0, clock=lambda: now[0], sleep=sleep)
    assert waits == pytest.approx([1.0, 1.5, 0.5])  # to 1002, to the tick at 1005, to 1006; 1001 is late already


def test_nothing_to_play_sends_nothing(broker: BrokerHandle) -> None:
    played = play_to_kafka([], broker.kafka, _new_topic(broker), CLOSE_S)
    assert played == Played({0: 0, 1: 0, 2: 0})


def test_an_absent_topic_and_absent_brokers_are_told(broker: BrokerHandle) -> None:
    name = topic_name()
    with pytest.raises(KafkaProblem, match=f"topic {name} does not exist"):
        play_to_kafka(_records(1), broker.kafka, name, CLOSE_S)
    with pytest.raises(BrokerUnreachable):
        play_to_kafka(_records(1), Kafka(brokers=(f"127.0.0.1:{free_port()}",)), name, CLOSE_S)
    with pytest.raises(ValueError, match="speed"):
        play_to_kafka(_records(1), broker.kafka, name, CLOSE_S, speed=0.0)


def test_a_failing_source_is_not_mistaken_for_its_end(broker: BrokerHandle) -> None:
    topic = _new_topic(broker, partitions=1)

    def broken() -> Iterator[Record]:
        yield from _records(3)
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        play_to_kafka(broken(), broker.kafka, topic, CLOSE_S)


def test_a_broker_that_goes_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay.sender, "DELIVERY_TIMEOUT_S", 1.0)
    monkeypatch.setattr(replay.sender, "CLOSE_TIMEOUT_S", 0.1)
    with EmbeddedBroker() as server:
        kafka = Kafka(brokers=(server.bootstrap,))
        ensure_topics(kafka, [Topic("events", partitions=1)])

        def cut_off() -> Iterator[Record]:
            yield from _records(10)
            server.stop()
            yield from _records(10)

        with pytest.raises(DeliveryError):
            play_to_kafka(cut_off(), kafka, "events", CLOSE_S)


@pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True)
def test_a_refused_record_is_an_error(broker: BrokerHandle) -> None:
    topic = topic_name()
    with KafkaAdminClient(bootstrap_servers=broker.bootstrap) as admin:
        options = {"num_partitions": 1, "replication_factor": 1, "configs": {"max.message.bytes": "1000"}}
        admin.create_topics({topic: options}, wait_for_metadata=True)
    records = [*_records(2), Record(1001.0, b"k", b"x" * 2000), *_records(3)]
    with pytest.raises(DeliveryError, match=r"partition 0, was refused: .*max\.message\.bytes"):
        play_to_kafka(records, broker.kafka, topic, CLOSE_S)


@pytest.mark.parametrize("key", [b"", b"a", b"client:42", "client:ü".encode(), bytes(range(256))])
def test_partitions_are_those_of_kafkas_default_partitioner(key: bytes) -> None:
    class Cluster:
        def topics(self) -> set[str]:
            return {"t"}

        def partitions_for_topic(self, _: str) -> set[int]:
            return set(range(7))

        available_partitions_for_topic = partitions_for_topic

    assert partition_of(key, 7) == DefaultPartitioner().partition("t", key, key, b"", b"", Cluster())


def test_known_hashes_of_the_java_client() -> None:
    """Vectors of org.apache.kafka.common.utils.UtilsTest: murmur2 as signed ints."""
    for key, hashed in {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}.items():
        assert partition_of(key, 1 << 20) == (hashed & 0x7FFFFFFF) % (1 << 20)
