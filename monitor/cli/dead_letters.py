"""``vedette dead-letters``: what was no event, why, and sending it again after a fix."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote_from_bytes

import typer
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from monitor.cli.dead_letter_text import Row, as_json, hexdump, row_of, summary, table, written
from monitor.cli.options import ConfigOption
from monitor.codec import Limits
from monitor.config import load
from monitor.dead_letter_resend import Resent, resend
from monitor.dead_letter_spool import SPOOL, read_spool
from monitor.dead_letter_topic import DeadLetterTopic
from monitor.dead_letters import Letter, Replayed, Survey, Wanted, survey
from monitor.errors import UserError
from monitor.event import Reason
from monitor.settings import Settings
from responders.text import bounded, visible

dead_letters_app = typer.Typer(help="Dead letters: records that were no events.", no_args_is_help=True)

ReasonOption = Annotated[Reason | None, typer.Option(help="Only letters rejected for this reason.", show_default=False)]
TopicOption = Annotated[str, typer.Option(help="Only letters from this topic.", show_default=False)]
#: So many of the letters that are left are named.
_NAMED = 20


def register(app: typer.Typer) -> None:
    app.add_typer(dead_letters_app, name="dead-letters")


@dead_letters_app.command("list")
def list_letters(
    config: ConfigOption = None,
    reason: ReasonOption = None,
    topic: TopicOption = "",
    since_s: Annotated[float | None, typer.Option(help="Only letters of the last so many seconds.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show the newest so many; all are counted.")] = 50,
    lines: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Dead letters of the topic and of this worker's spool, oldest first, and how many for each reason."""
    settings = load(config)
    wanted = Wanted(reason, topic, None if since_s is None else (time.time() - since_s) * 1000)
    source = _Source(settings)
    newest: deque[Row] = deque(maxlen=limit)
    reasons: Counter[str] = Counter()
    replayed: set[str] = set()
    with Console(stderr=True).status("reading dead letters"):
        for item in source:
            if isinstance(item, Replayed):
                replayed.add(item.identity)
            elif item in wanted:
                newest.append(row_of(item))
                reasons[item.content.reason.value] += 1
    for row in newest:
        row.replayed = row.identity in replayed
        if lines:
            typer.echo(as_json(row))
    if newest and not lines:
        Console().print(table(newest))
    if not lines:
        Console().print(Text(summary(reasons, len(newest))))
    for line in source.complaints():
        Console(stderr=True).print(Text(line))


@dead_letters_app.command("show")
def show_letter(
    letter_id: Annotated[str, typer.Argument(help="Id, as `dead-letters list` prints it.")],
    config: ConfigOption = None,
    raw: Annotated[Path | None, typer.Option(help="Write the bytes, untouched, to this file.")] = None,
    max_bytes: Annotated[int, typer.Option("--bytes", min=0, help="Show so many bytes.")] = 512,
) -> None:
    """One dead letter: why, where from, and its bytes."""
    settings = load(config)
    letter = _find(settings, letter_id)
    content = letter.content
    if raw is not None:
        raw.write_bytes(content.raw)
        Console().print(Text(f"{len(content.raw)} bytes: {raw}"))
        return
    key = "none" if content.key is None else quote_from_bytes(content.key)
    for name, value in (
        ("id", letter.id),
        ("written", written(letter.time_ms)),
        ("reason", content.reason.value),
        ("detail", content.detail),
        ("origin", f"{content.topic}, partition {content.partition}, offset {content.offset}"),
        ("key", key),
        ("bytes", str(len(content.raw))),
    ):
        Console().print(Text(f"{name + ':':9}{visible(value, 500)}"))
    for line in hexdump(content.raw[:max_bytes]):
        Console().print(Text(line), no_wrap=True, crop=False)
    if len(content.raw) > max_bytes:
        Console().print(f"({len(content.raw) - max_bytes} more bytes; --raw FILE writes them all)")


@dead_letters_app.command("replay")
def replay_letters(
    config: ConfigOption = None,
    reason: ReasonOption = None,
    topic: TopicOption = "",
    ids: Annotated[list[str] | None, typer.Option("--id", help="Only this letter; may be repeated.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Send so many at most.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send without asking.")] = False,
) -> None:
    """Judge dead letters again by the present settings; those that are events now go back to the events topic.

    Each goes to the partition it came from, with its key. What is still no event is left, and said with its reason. A
    letter that was sent before is not sent again, whoever sent it: the dead-letter topic remembers. Exit code 1 if
    something that should have been sent was not.
    """
    settings = load(config)
    source = _Source(settings)
    wanted = Wanted(reason, topic, ids=frozenset(ids or ()))
    limits = Limits(max_bytes=settings.stream.max_event_bytes, max_future_s=settings.stream.max_future_s)
    with Console(stderr=True).status("judging dead letters again"):
        found = survey(source, wanted, limits, time.time(), limit)
    _report(found, source)
    if dry_run or not found.ready:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UserError("nobody to ask: add --yes to send, or --dry-run to look")
        typer.confirm(f"send {len(found.ready)} to {settings.topics.events.name}?", abort=True)
    done = _send(settings, source, found)
    Console().print(f"sent: {done.sent}")
    _name("refused", done.refused)
    if done.sent < len(found.ready):
        raise typer.Exit(1)


class _Source:
    """The topic, then the spool; can be gone through several times."""

    def __init__(self, settings: Settings) -> None:
        self._topic = DeadLetterTopic(settings.kafka, settings.topics.dead_letters.name)
        self._spool = Path(settings.data_dir) / SPOOL
        self._unreadable: list[int] = []

    def __iter__(self) -> Iterator[Letter | Replayed]:
        self._unreadable.clear()
        yield from self._topic.read()
        yield from read_spool(self._spool, self._unreadable.append)

    def complaints(self) -> list[str]:
        found = []
        if self._topic.foreign:
            found.append(f"{self._topic.foreign} records of the topic are no dead letters")
        if self._unreadable:
            lines = ", ".join(bounded([str(n) for n in self._unreadable], 10))
            found.append(f"{self._spool}: not readable: line {lines}")
        return found


def _find(settings: Settings, letter_id: str) -> Letter:
    parts = letter_id.split("/")
    found: Letter | None = None
    if len(parts) == 3 and all(p.isdecimal() and len(p) < 20 for p in parts[1:]):
        if parts[0] == settings.topics.dead_letters.name:
            found = DeadLetterTopic(settings.kafka, parts[0]).letter(int(parts[1]), int(parts[2]))
    elif parts[0] == "spool":
        spool = read_spool(Path(settings.data_dir) / SPOOL)
        found = next((letter for letter in spool if letter.id == letter_id), None)
    if found is None:
        raise UserError(f"no dead letter {letter_id!r}; `vedette dead-letters list` shows them")
    return found


def _send(settings: Settings, source: _Source, found: Survey) -> Resent:
    ready = set(found.ready)
    chosen = (item for item in source if isinstance(item, Letter) and item.id in ready)
    topics = settings.topics
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("sending", total=len(ready))
        return resend(
            settings.kafka,
            chosen,
            topics.events.name,
            topics.dead_letters.name,
            lambda n: progress.update(task, completed=n),
        )


def _report(found: Survey, source: _Source) -> None:
    console = Console()
    console.print(f"events now: {len(found.ready)}, sent before: {found.done}, still none: {len(found.left)}")
    if found.repeats:
        console.print(f"buried more than once, and counted once: {found.repeats}")
    _name("left", [(letter_id, str(rejection)) for letter_id, rejection in found.left])
    for line in source.complaints():
        Console(stderr=True).print(Text(line))


def _name(word: str, items: list[tuple[str, str]]) -> None:
    for line in bounded([f"{word} {letter_id}: {why}" for letter_id, why in items], _NAMED):
        Console().print(Text(visible(line, 400)))
