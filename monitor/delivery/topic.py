"""Topics whose records are delivered in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import faust
from faust.exceptions import ImproperlyConfigured
from faust.types import EventT, Message

from monitor.delivery.batch import BatchMessage

if TYPE_CHECKING:
    from monitor.delivery.app import BatchApp

#: Batches that wait for an agent. Few: what has not been fetched yet comes in one larger fetch, and a batch that waits
#: grows. Faust's own default, 4096, is meant for single messages.
QUEUE_BATCHES = 2


class BatchTopic(faust.Topic):
    """A topic that is read in batches and written like any other. ``maxsize`` counts batches.

    An event's value is the sequence of records; serializers apply to what is sent only.
    """

    app: BatchApp

    def __init__(self, app: BatchApp, *, maxsize: int | None = None, **options: Any) -> None:
        super().__init__(app, maxsize=QUEUE_BATCHES if maxsize is None else maxsize, **options)
        if self.pattern or not self.acks:
            raise ImproperlyConfigured("batch topics are named, and acknowledged: no pattern=, no acks=False")
        app.batch_topics.update(self.topics)

    def _compile_decode(self) -> None:
        """Faust puts a compiled decoder in the place of ``decode``; ours stays."""

    async def decode(self, message: Message, *, propagate: bool = False) -> EventT[Any]:  # noqa: ARG002 (Faust passes it)
        """An event around the batch: nothing is decoded."""
        assert isinstance(message, BatchMessage)
        return self._create_event(None, message.records, None, message=message)
