"""Which topic a worker judges, and how many partitions the topics it works with really have."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class Layout:
    """Attributes:
    judged: the topic whose records are judged: the events topic, or where they are keyed by client again.
    partitions: of ``judged``.
    sources: partitions of the events topic.
    windows: partitions of the topic of window shares.
    bands: partitions of the topic of fingerprints.
    state: partitions of the state topic, 0 if state is local.
    """

    judged: str
    partitions: int
    sources: int
    windows: int
    bands: int
    state: int

    def windows_partition(self, model: str) -> int:
        """Where a model's shares go."""
        return zlib.crc32(model.encode("utf-8", "surrogatepass")) % self.windows


def layout(settings: Settings, partitions: Mapping[str, int]) -> Layout:
    """From the numbers of partitions that ``ensure_worker_topics`` found."""
    topics = settings.topics
    judged = topics.by_client.name if settings.stream.rekey else topics.events.name
    return Layout(
        judged=judged,
        partitions=partitions[judged],
        sources=partitions[topics.events.name],
        windows=partitions[topics.windows.name],
        bands=partitions[topics.bands.name],
        state=partitions.get(topics.state.name, 0),
    )
