"""The consumer group: may it be joined, and is what it has not read yet still there?"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import MemberToRemove, OffsetSpec

from monitor.group_offsets import committed
from monitor.kafka_auth import client_options
from monitor.problem import Problem
from monitor.settings import Settings

_LAST_BATCH_MS: Final = 1000


def check_group(settings: Settings, admin: KafkaAdminClient) -> Iterator[Problem]:
    """Changes nothing; waits up to three seconds for a coordinator."""
    group, where = settings.kafka.group, "kafka.group"
    user = f"user {settings.kafka.sasl_username!r}" if settings.kafka.sasl_username else "this client"
    try:
        read_to = committed(admin, group)
        # nobody of this name is in the group; asking to remove him needs the same right as joining
        nobody = MemberToRemove(member_id=f"vedette-check-{uuid.uuid4().hex}")
        admin.remove_group_members(group, [nobody])
    except kafka_errors.GroupAuthorizationFailedError:
        yield Problem("error", where, f"{user} may not join group {group}", "grant Read on that group")
        return
    except kafka_errors.CoordinatorNotAvailableError:
        what = "no broker answers for consumer groups"
        yield Problem("warning", where, what, "a broker that has just started needs a moment; else see its log")
        return
    except (kafka_errors.UnknownMemberIdError, kafka_errors.GroupIdNotFoundError):
        pass
    source = settings.topics.by_client if settings.stream.rekey else settings.topics.events
    offsets = {tp: offset for tp, offset in read_to.items() if tp.topic == source.name}
    yield from _gone(source.name, offsets, admin)
    yield from _anew(settings, source.name, offsets, admin)


def _gone(topic: str, offsets: dict[TopicPartition, int], admin: KafkaAdminClient) -> Iterator[Problem]:
    if not offsets:
        return
    try:
        first = admin.list_partition_offsets(dict.fromkeys(offsets, OffsetSpec.EARLIEST))
    except kafka_errors.UnknownTopicOrPartitionError:
        cure = "use another kafka.group and another data_dir, for what they remember is of another topic"
        yield Problem("error", "topics", f"topic {topic} is gone, or has fewer partitions than were read", cure)
        return
    lost = {tp.partition: _offset(first[tp]) - at for tp, at in sorted(offsets.items()) if _offset(first[tp]) > at}
    if lost:
        places = ", ".join(f"{n} in partition {partition}" for partition, n in lost.items())
        what = f"topic {topic}: {sum(lost.values())} records were removed by retention before they were read: {places}"
        yield Problem("warning", "topics", what, "they are lost; raise retention.ms, and watch vedette_lag_seconds")


def _anew(
    settings: Settings, topic: str, offsets: dict[TopicPartition, int], admin: KafkaAdminClient
) -> Iterator[Problem]:
    """A topic deleted and made again: its new records would be taken for ones that were judged long ago."""
    try:
        last = admin.list_partition_offsets(dict.fromkeys(offsets, OffsetSpec.LATEST))
    except kafka_errors.UnknownTopicOrPartitionError:
        return  # told already
    for tp, at in sorted(offsets.items()):
        # only a suspicion: the embedded broker's latest offset lies inside its last batch
        if at > _offset(last[tp]) and at > (end := _true_end(settings, tp, _offset(last[tp]))):
            what = f"topic {topic} was made anew: partition {tp.partition} ends at {end}, the group has read to {at}"
            cure = "use another kafka.group, another data_dir, and other internal topics"
            yield Problem("error", "topics", what, cure)


def _true_end(settings: Settings, tp: TopicPartition, latest: int) -> int:
    """The end of a partition whose last batch begins before ``latest``."""
    consumer = KafkaConsumer(**client_options(settings.kafka), enable_auto_commit=False, auto_offset_reset="earliest")
    with closing(consumer):
        consumer.assign([tp])
        consumer.seek(tp, max(latest - 1, 0))
        while consumer.poll(timeout_ms=_LAST_BATCH_MS):
            pass
        return int(consumer.position(tp))


def _offset(found: Any) -> int:
    return int(found.offset)
