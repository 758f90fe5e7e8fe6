"""Sends dead letters back to the events topic, and notes it in the dead-letter topic once they have arrived.

First the event, then the note: a crash between the two sends an event again next time, never loses one. The pipeline
drops the second if it comes within ``clients.dedupe_s``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from kafka import KafkaProducer
from kafka import errors as kafka_errors

from monitor.codec.dead_letter import DeadLetter
from monitor.dead_letters import REPLAYED_HEADER, Letter, note_of
from monitor.kafka_admin import partition_counts
from monitor.kafka_auth import client_options
from monitor.kafka_connect import KafkaProblem
from monitor.settings import Kafka

_BATCH_LETTERS: Final = 200
_BATCH_BYTES: Final = 16 * 1024 * 1024
_MAX_RECORD_BYTES: Final = 64 * 1024 * 1024
_TIMEOUT_S: Final = 60.0
_TOO_LARGE: Final = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)


@dataclass(slots=True)
class Resent:
    """``sent`` letters have arrived and are noted; ``refused`` are (id, why) that the broker finds too large."""

    sent: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def resend(
    kafka: Kafka, letters: Iterable[Letter], events: str, dead: str, progress: Callable[[int], None] = lambda _n: None
) -> Resent:
    """Send the letters' bytes to topic ``events``, in batches, each noted in topic ``dead`` before the next.

    A letter goes to the partition it came from with its original key: that is where its client's state is, whatever
    partitioner the producer uses. From another topic, or a partition that is no more, the key decides.

    Args:
        progress: told how many letters have been dealt with, after each batch.

    Raises:
        KafkaProblem: topic, right or broker missing; what was noted before stays sent.
    """
    count = partition_counts(kafka, [events]).get(events)
    if not count:
        raise KafkaProblem(f"topic {events} does not exist")
    producer = KafkaProducer(
        **client_options(kafka),
        acks="all",
        # to an idempotent producer a single record that is too large is fatal; a repeated event is dropped anyway
        enable_idempotence=False,
        linger_ms=5,
        max_request_size=_MAX_RECORD_BYTES,
        delivery_timeout_ms=int(_TIMEOUT_S * 1000),
        request_timeout_ms=int(_TIMEOUT_S * 500),
        max_block_ms=int(_TIMEOUT_S * 1000),
    )
    done = Resent()
    batch: list[Letter] = []
    try:
        for letter in letters:
            batch.append(letter)
            if len(batch) >= _BATCH_LETTERS or sum(len(b.content.raw) for b in batch) >= _BATCH_BYTES:
                _send(producer, batch, (events, count, dead), done)
                progress(done.sent + len(done.refused))
                batch = []
        _send(producer, batch, (events, count, dead), done)
        progress(done.sent + len(done.refused))
    except kafka_errors.KafkaError as error:
        raise KafkaProblem(
            f"topic {events} or {dead} does not take records: {error!r}; {done.sent} letters were sent before"
        ) from error
    finally:
        with suppress(kafka_errors.KafkaError):  # all that counts has been awaited
            producer.close(timeout=5.0)
    return done


def _send(producer: Any, batch: list[Letter], topics: tuple[str, int, str], done: Resent) -> None:
    events, count, dead = topics
    waiting = []
    for letter in batch:
        content = letter.content
        headers = [(REPLAYED_HEADER, letter.id.encode())]
        partition = _home(content, events, count)
        with _own_trouble(letter, done):
            future = producer.send(events, value=content.raw, key=content.key, headers=headers, partition=partition)
            waiting.append((letter, future))
    notes = []
    for letter, future in waiting:
        with _own_trouble(letter, done):
            future.get(timeout=_TIMEOUT_S)
            value, headers = note_of(letter)
            # beside its letter, so that retention never removes the note first
            partition = 0 if letter.spooled else int(letter.id.split("/")[1])
            notes.append(producer.send(dead, value=value, headers=headers, partition=partition))
    for note in notes:
        note.get(timeout=_TIMEOUT_S)
        done.sent += 1


def _home(content: DeadLetter, events: str, count: int) -> int | None:
    return content.partition if content.topic == events and 0 <= content.partition < count else None


@contextmanager
def _own_trouble(letter: Letter, done: Resent) -> Iterator[None]:
    """Too large for the topic is the letter's own trouble; anything else is everybody's."""
    try:
        yield
    except _TOO_LARGE:
        size = len(letter.content.raw)
        done.refused.append((letter.id, f"{size} bytes are more than max.message.bytes of the topic allows"))
