"""A notice as Slack Block Kit. Pure.

Limits are those of Slack's Block Kit reference. Everything that may be hostile goes into ``plain_text`` objects, in
which Slack reads no mentions, links, emoji or formatting; ``mrkdwn`` objects hold our own constant words only. The
fallback text cannot be plain, so it is escaped and posted with parsing switched off.
"""

from __future__ import annotations

from typing import Final

from responders.notice import Notice
from responders.notice_text import DRY_RUN, DRY_RUN_MEANING, actions, evidence, facts, headline, mark
from responders.text import visible

Block = dict[str, object]

MAX_BLOCKS: Final = 50
MAX_HEADER: Final = 150
MAX_TEXT: Final = 3000
MAX_FIELD: Final = 2000
MAX_FIELDS: Final = 10
#: Our own bound: the fallback is what a phone's notification shows.
MAX_FALLBACK: Final = 400
#: Lines of a list; with the 280 units and the time of each, a list stays within ``MAX_TEXT``.
LINES: Final = 8


def blocks(notice: Notice) -> list[Block]:
    """The message about an incident as it is now."""
    made: list[Block] = [{"type": "header", "text": _plain(f"{mark(notice)} {headline(notice)}", MAX_HEADER)}]
    if notice.dry_run:
        made.append(_section(_words(f"*{DRY_RUN}* {DRY_RUN_MEANING}")))
    made += [_section(_plain(notice.summary, MAX_TEXT)), *_fact_sections(facts(notice))]
    if notice.actions:
        made += _listed("*Actions*", actions(notice.actions, LINES))
    if notice.timeline:
        made += _listed("*Latest evidence*", evidence(notice.timeline, LINES // 2))
    made.append({"type": "context", "elements": [_plain(f"{notice.incident_id} · revision {notice.revision}", 300)]})
    return made


def thread_blocks(lines: list[str]) -> list[Block]:
    """Visible lines, for the message's thread."""
    return [_section(_plain("\n".join(lines), MAX_TEXT, lines=True))]


def fallback(notice: Notice) -> str:
    """The message in one line, for notifications and screen readers: escaped, at most ``MAX_FALLBACK`` units."""
    dry_run = f"[{DRY_RUN}] " if notice.dry_run else ""
    return escaped(f"{mark(notice)} {dry_run}{headline(notice)}. {notice.summary}", MAX_FALLBACK)


def escaped(text: str, limit: int) -> str:
    """Made visible, Slack's control characters (&, <, >) as entities, at most ``limit`` units; no entity is cut."""
    room = limit
    while True:
        out = visible(text, room).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        over = len(out.encode("utf-16-le")) // 2 - limit
        if over <= 0:
            return out
        # Each unit dropped shortens the result by one at least, and by the five of "&amp;" at most.
        room -= max(over // 5, 1)


def _fact_sections(pairs: list[tuple[str, str]]) -> list[Block]:
    """Fields run in two columns: labels left, values right."""
    step = MAX_FIELDS // 2
    return [
        {"type": "section", "fields": [_plain(text, MAX_FIELD) for pair in pairs[i : i + step] for text in pair]}
        for i in range(0, len(pairs), step)
    ]


def _listed(title: str, lines: list[str]) -> list[Block]:
    return [_section(_words(title)), _section(_plain("\n".join(lines), MAX_TEXT, lines=True))]


def _section(text: Block) -> Block:
    return {"type": "section", "text": text}


def _plain(text: str, limit: int, *, lines: bool = False) -> Block:
    return {"type": "plain_text", "text": visible(text, limit, lines=lines), "emoji": False}


def _words(text: str) -> Block:
    """Our own words, never a notice's."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
