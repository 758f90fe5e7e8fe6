"""State that is gone while the group's offsets are not: what was judged is not judged again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from brokers import Apache, BrokerHandle, topic_name
from delivery_kit import commit_as, make_topic
from structlog.testing import capture_logs
from world import World

from monitor.event import Event
from monitor.group_offsets import GroupOffsets
from monitor.settings import Kafka
from tests.stream.conftest import records


async def test_the_group_is_asked_once_until_partitions_change_hands(broker: BrokerHandle) -> None:
    topic, group = await make_topic(broker, 2), topic_name("group")
    offsets = GroupOffsets(Kafka(brokers=(broker.bootstrap,), group=group))
    assert await offsets.of(topic, 0) is None
    await commit_as(broker, group, topic, 7)
    assert await offsets.of(topic, 0) is None
    offsets.forget()
    assert [await offsets.of(topic, partition) for partition in (0, 1)] == [7, None]


@pytest.mark.kafka
async def test_a_broker_that_is_down_is_waited_for(own_apache: Apache) -> None:
    topic, group = await make_topic(own_apache, 1), topic_name("group")
    await commit_as(own_apache, group, topic, 7)
    await asyncio.to_thread(own_apache.stop)
    with capture_logs() as said:
        asking = asyncio.create_task(GroupOffsets(Kafka(brokers=(own_apache.bootstrap,), group=group)).of(topic, 0))
        await asyncio.to_thread(own_apache.start)
        assert await asyncio.wait_for(asking, 60.0) == 7
    assert "waiting for Kafka" in said[0]["event"]


def test_a_new_state_begins_where_the_group_has_read_to(
    broker: BrokerHandle, tmp_path: Path, baseline: Path, events: list[Event]
) -> None:
    """State is kept elsewhere from now on: the second worker judges what came since, and says that state is new."""
    world = World(broker, tmp_path, baseline, 3)
    first, second = events[:300], events[300:450]
    with world.worker() as worker:
        world.play(records(first))
        worker.until_judged(len(first))
        world.until_closed(worker)
    config = yaml.safe_load(world.config.read_text())
    config["stream"]["state"] = "local"
    world.config.write_text(yaml.safe_dump(config))
    log = world.folder / "worker.log"
    said = log.stat().st_size
    world.play(records(second))
    with world.worker() as worker:
        worker.until_ready()  # the figures of a scope begin anew with its state
        verdicts = worker.until_judged(len(second))
        world.until_closed(worker)
    assert sum(verdicts.values()) == len(second)
    events_bands_and_windows = 3 + 3 + 1
    said_new = log.read_text()[said:].count("no state, but the group has read this before")
    assert said_new == events_bands_and_windows
