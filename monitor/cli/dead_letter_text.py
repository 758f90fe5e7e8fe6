"""Dead letters as text: a table, one line, a JSON object, a hexdump. All that they quote is hostile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import quote_from_bytes

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text

from monitor.dead_letters import Letter
from responders.text import utc, visible


class Row(msgspec.Struct):
    """A dead letter without its bytes; ``key`` percent-encoded, ``replayed`` once it has been sent again."""

    id: str
    identity: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    key: str | None
    bytes: int
    time_ms: int | None
    spooled: bool
    replayed: bool = False


def row_of(letter: Letter) -> Row:
    c = letter.content
    key = None if c.key is None else quote_from_bytes(c.key)
    return Row(
        letter.id,
        letter.identity,
        c.reason.value,
        c.detail,
        c.topic,
        c.partition,
        c.offset,
        key,
        len(c.raw),
        letter.time_ms,
        letter.spooled,
    )


def as_json(row: Row) -> str:
    """One line of ASCII."""
    return json.dumps(msgspec.to_builtins(row))


def table(rows: Iterable[Row]) -> Table:
    """For 80 columns; ids are never cut, other commands take them."""
    shown = Table(Column("Dead letter", no_wrap=True), box=SIMPLE_HEAD)
    for name in ("Why", "From"):
        shown.add_column(name, overflow="fold")
    shown.add_column("Bytes", justify="right", no_wrap=True)
    shown.show_edge = shown.pad_edge = False
    for row in rows:
        marks = ["in the spool"] * row.spooled + ["sent again"] * row.replayed
        key = [] if row.key is None else [f"key {visible(row.key, 60)}"]
        shown.add_row(
            Text("\n".join([visible(row.id, 120), written(row.time_ms), *marks])),
            Text(f"{row.reason}\n{visible(row.detail, 200)}"),
            Text("\n".join([f"{visible(row.topic, 60)}/{row.partition}/{row.offset}", *key])),
            str(row.bytes),
        )
    return shown


def summary(reasons: Counter[str], shown: int) -> str:
    """One line: how many letters for each reason."""
    total = sum(reasons.values())
    if not total:
        return "no dead letters"
    hidden = f" ({shown} newest shown)" if shown < total else ""
    return f"{total} dead letters{hidden}: " + ", ".join(f"{name} {n}" for name, n in reasons.most_common())


def written(time_ms: int | None) -> str:
    """When it was buried; times come from producers and may be anything."""
    return "unknown time" if time_ms is None else utc(time_ms / 1000)


def hexdump(raw: bytes) -> Iterator[str]:
    """Sixteen bytes a line: place, hexadecimal, and what is printable ASCII."""
    for start in range(0, len(raw), 16):
        part = raw[start : start + 16]
        text = "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in part)
        yield f"{start:08x}  {part.hex(' '):47}  {text}"
