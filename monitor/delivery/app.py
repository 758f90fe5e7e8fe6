"""The Faust app that reads some of its topics in batches."""

from __future__ import annotations

from typing import Any

import faust
from faust.exceptions import ImproperlyConfigured
from faust.types.transports import TransportT

from monitor.delivery.consumer import BatchTransport
from monitor.delivery.topic import BatchTopic

#: More in a batch is no faster; what is in flight is delivered again after a crash.
MAX_RECORDS = 2000
#: The group's leader gives partitions of a topic to nobody if the broker, just started, says that there is no such
#: topic. It looks again after so long; by Faust's own setting, after five minutes in which nobody reads them.
METADATA_MAX_AGE_MS = 5000


class BatchApp(faust.App):
    """A ``faust.App`` with ``batch_topic``; its other topics, tables and agents work as they always do.

    ``broker_max_poll_records`` is the most records that a batch may hold, 2000 unless set; None leaves it to
    ``consumer_max_fetch_size``, which counts bytes as they travel, compressed. ``consumer_metadata_max_age_ms`` is 5000
    unless set.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self.batch_topics: set[str] = set()
        defaults = {"broker_max_poll_records": MAX_RECORDS, "consumer_metadata_max_age_ms": METADATA_MAX_AGE_MS}
        super().__init__(*args, **(defaults | options))

    def batch_topic(self, *topics: str, **options: Any) -> BatchTopic:
        """Like ``topic``, with its options, for agents that iterate over ``batches(stream)``."""
        return BatchTopic(self, topics=topics, **options)

    def _new_transport(self) -> TransportT:
        url = self.conf.broker_consumer[0]
        if url.scheme not in ("kafka", "aiokafka"):
            raise ImproperlyConfigured(f"batch delivery works with the aiokafka driver (kafka://), not {url.scheme}://")
        return BatchTransport(self.conf.broker_consumer, self)
