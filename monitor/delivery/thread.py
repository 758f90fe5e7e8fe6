"""The thread that runs aiokafka's consumer for Faust."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import aiokafka
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from monitor.delivery.batch import Fetched
from monitor.delivery.unpack import FetchResults

if TYPE_CHECKING:
    from monitor.delivery.consumer import BatchConsumer

#: A broker without new records answers after so long. Faust's 1.5 s is how late a record can be on brokers that do not
#: answer a waiting fetch as soon as one comes; others notice no difference.
FETCH_WAIT_MS: Final = 50


class BatchConsumerThread(AIOKafkaConsumerThread):
    """Makes one ``Fetched`` of what a fetch brings of a batch partition."""

    consumer: BatchConsumer

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # Faust has no setting for it; it is read when the consumer starts
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        assert self._consumer is not None
        # Nothing has been fetched yet: partitions are subscribed to later.
        most = self.consumer.app.conf.broker_max_poll_records
        self._consumer._fetcher._records = FetchResults(self.consumer.batch_topics, most)

    def look_again(self) -> None:
        """Let a fetch that waits for records look whether it has some of partitions that became active meanwhile."""
        if self._consumer is not None and not self.should_stop:  # a loop that closes must not be called
            self.thread_loop.call_soon_threadsafe(self._wake, self._consumer._fetcher)

    @staticmethod
    def _wake(fetcher: Any) -> None:
        for waiter in list(fetcher._fetch_waiters):
            if not waiter.done():
                waiter.set_result(None)

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP] | None,  # None: a client, which reads what it is subscribed to
        timeout: float | None = None,  # noqa: ASYNC109 (Faust passes it)
        max_records: int | None = None,
    ) -> Mapping[TP, Any]:
        # The limit is one for a batch. Shared by all partitions, one that lags would take the place of the others, and
        # leave them a few records each: a batch of few costs nearly as much as one of many.
        if max_records is not None:
            max_records *= max(len(active_partitions or ()), 1)
        records = await super()._fetch_records(consumer, active_partitions, timeout, max_records)  # type: ignore[arg-type]  # Faust itself passes None on
        # No await from here on: generation and epoch are those in which the records were taken.
        topics = self.consumer.batch_topics
        generation = consumer._coordinator.generation
        return {
            tp: [Fetched(found, generation, self.consumer.epoch(tp, generation))] if tp.topic in topics else found
            for tp, found in records.items()
        }
