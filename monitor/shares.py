"""What a partition tells the models: its share of a window, and how far its time has come. Data, and their bytes.

A partition sends the share of a window once its own time has passed it, and then its progress. What has been sent can
be sent again after a crash: a share is the whole of what the partition counted, so the newest one replaces the others.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from monitor.window_state import encode
from monitor.windows import NEVER, PartitionWindows, WindowPlan

#: A partition beyond reason would make everybody wait for all below it.
PartitionNumber = Annotated[int, msgspec.Meta(ge=0, lt=2**20)]


class Share(msgspec.Struct, array_like=True, frozen=True, tag="share"):
    """All that a partition counted of one model's window so far; ``window`` as ``monitor.window_state`` encodes it.

    ``rows`` is the number of clean rows in it, for those who do not open it.
    """

    partition: PartitionNumber
    index: int
    model: str
    rows: int
    window: bytes


class Progress(msgspec.Struct, array_like=True, frozen=True, tag="progress"):
    """The partition adds nothing more to windows with an index below ``horizon``.

    ``idle``: it has nothing to read; until it speaks again nobody waits for it.
    """

    partition: PartitionNumber
    horizon: int
    idle: bool


class Part(msgspec.Struct, array_like=True, frozen=True, tag="part"):
    """Some of what a source says of one model's window; pieces are numbered, and the newest of a number counts.

    From a partition to the bands: rows to be compared (``detectors.band_entries.encode``). From a partition of the
    bands to the models: links between rows. ``rows``: clean rows in the window, in one piece; 0 in the others.
    """

    source: PartitionNumber
    index: int
    model: str
    number: Annotated[int, msgspec.Meta(ge=0)]
    rows: Annotated[int, msgspec.Meta(ge=0)]
    data: bytes


class Suspects(msgspec.Struct, array_like=True, frozen=True, tag="suspects"):
    """Some of what a partition says of one model's accounts in a window; pieces are numbered, and the newest of a
    number counts. ``data`` as ``monitor.suspects`` encodes it.
    """

    partition: PartitionNumber
    index: int
    model: str
    number: Annotated[int, msgspec.Meta(ge=0)]
    data: bytes


class Reached(msgspec.Struct, array_like=True, frozen=True, tag="reached"):
    """A partition of the bands has compared all windows with an index below ``horizon``."""

    source: PartitionNumber
    horizon: int


#: What a partition tells the models of their windows; and all that is sent on the topics of windows and bands.
Message = Share | Progress
AnyMessage = Message | Suspects | Part | Reached

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(AnyMessage)


def encode_message(message: AnyMessage) -> bytes:
    return _ENCODER.encode(message)


def decode_message(raw: bytes) -> AnyMessage:
    """Raises msgspec.DecodeError for bytes that ``encode_message`` cannot have made."""
    try:
        message: AnyMessage = _DECODER.decode(raw)
    except (UnicodeDecodeError, RecursionError) as e:  # text that is no UTF-8, nesting without end
        raise msgspec.DecodeError(str(e)) from None
    return message


class Announcer:
    """What one partition has told the models; ``announce`` says what is to be told next."""

    def __init__(self, plan: WindowPlan, partition: int) -> None:
        self._plan = plan
        self._partition = partition
        #: Not part of any checkpoint: after a restart the last progress is told again, which changes nothing.
        self._told: tuple[int, bool] | None = None

    def announce(self, windows: PartitionWindows, watermark: float, *, idle: bool = False) -> list[Message]:
        """Shares of windows that are over since the last call, which leave ``windows``; then the progress.

        ``idle``: there is nothing more to read for now; then the open windows are told of as they stand.
        """
        due = windows.passed(watermark)
        now = (horizon(self._plan, watermark), idle)
        if idle and now != self._told:
            due += windows.open()
        messages: list[Message] = [
            Share(self._partition, index, model, window.rows, encode(window, self._plan.baseline))
            for (index, model), window in due
        ]
        if now != self._told:
            self._told = now
            messages.append(Progress(self._partition, *now))
        return messages


def horizon(plan: WindowPlan, watermark: float) -> int:
    """The least index of a window that is not over at the watermark."""
    if watermark == float("-inf"):
        return NEVER
    index = int((watermark - plan.grace_s) // plan.size_s)
    # the division may round; ``passed`` is what decides
    while plan.passed(index, watermark):
        index += 1
    while not plan.passed(index - 1, watermark):
        index -= 1
    return index
