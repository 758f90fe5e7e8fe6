"""Dead letters as an operator meets them: named, chosen, judged again. Pure; reading and sending are elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from monitor.codec import Limits, decode_record
from monitor.codec.dead_letter import DeadLetter, Headers, decode_dead_letter
from monitor.event import Reason, Rejection

#: On a record sent again: which dead letter it was. On a record of the dead-letter topic: what has been sent again.
REPLAYED_HEADER: Final = "vedette-replayed"


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter and where it lies.

    Attributes:
        id: ``TOPIC/PARTITION/OFFSET`` of the dead letter, or ``spool/`` and its identity.
        time_ms: when it was written, epoch milliseconds; None if unknown.
    """

    id: str
    content: DeadLetter
    time_ms: int | None = None

    @property
    def spooled(self) -> bool:
        return self.id.startswith("spool/") and self.id.count("/") > 2

    @property
    def identity(self) -> str:
        """What was rejected, however often it was buried: origin and a digest of the bytes."""
        return identity_of(self.content)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A note in the dead-letter topic: the letter of this identity has been sent again."""

    identity: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters are meant; what is empty asks nothing. ``since_ms`` also keeps letters of unknown time."""

    reason: Reason | None = None
    topic: str = ""
    since_ms: float | None = None
    ids: frozenset[str] = frozenset()

    def __contains__(self, letter: Letter) -> bool:
        return (
            (self.reason is None or letter.content.reason is self.reason)
            and (not self.topic or letter.content.topic == self.topic)
            and (self.since_ms is None or letter.time_ms is None or letter.time_ms >= self.since_ms)
            and (not self.ids or letter.id in self.ids)
        )


@dataclass(slots=True)
class Survey:
    """What judging letters again would do.

    Attributes:
        ready: ids of letters that hold events now, in order; the same rejected bytes once.
        left: (id, rejection) of those that are still no events.
        done: letters that were sent again before.
        repeats: letters whose bytes and origin another letter of ``ready`` has too.
    """

    ready: list[str] = field(default_factory=list)
    left: list[tuple[str, Rejection]] = field(default_factory=list)
    done: int = 0
    repeats: int = 0


def identity_of(content: DeadLetter) -> str:
    """``TOPIC/PARTITION/OFFSET/DIGEST`` of the rejected bytes, not of the letter."""
    digest = hashlib.blake2b(content.raw, digest_size=8).hexdigest()
    return f"{content.topic}/{content.partition}/{content.offset}/{digest}"


def read_letter(
    topic: str,
    partition: int,
    offset: int,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    time_ms: int | None,
) -> Letter | Replayed:
    """A record of the dead-letter topic. Raises ValueError for one that is neither letter nor note."""
    for name, content in headers:
        if name == REPLAYED_HEADER:
            return Replayed(content.decode())
    return Letter(f"{topic}/{partition}/{offset}", decode_dead_letter(value, headers), time_ms)


def note_of(letter: Letter) -> tuple[bytes, Headers]:
    """Value and headers of the record that says that a letter has been sent again."""
    return b"", [(REPLAYED_HEADER, letter.identity.encode())]


def judge_again(letter: Letter, limits: Limits, now: float) -> Rejection | None:
    """None if the bytes hold at least one event by the present limits, else why not.

    Of a compact record some requests may still be bad: sent again, they come back as dead letters of their own.
    """
    decoded = decode_record(letter.content.raw, limits, now)
    if decoded.events:
        return None
    return decoded.rejections[0][0]


def survey(
    items: Iterable[Letter | Replayed], wanted: Wanted, limits: Limits, now: float, limit: int | None = None
) -> Survey:
    """Judge the wanted letters again; ``limit`` bounds how many are made ready. Keeps ids, not bytes."""
    found = Survey()
    judged: dict[str, tuple[str, Rejection | None]] = {}
    replayed: set[str] = set()
    for item in items:
        if isinstance(item, Replayed):
            replayed.add(item.identity)
        elif item in wanted:
            identity = item.identity
            if identity in judged:
                found.repeats += 1
            else:
                judged[identity] = (item.id, judge_again(item, limits, now))
    # a note comes after its letter, so that nothing is settled before the end
    for identity, (letter_id, rejection) in judged.items():
        if identity in replayed:
            found.done += 1
        elif rejection is not None:
            found.left.append((letter_id, rejection))
        elif limit is None or len(found.ready) < limit:
            found.ready.append(letter_id)
    return found
