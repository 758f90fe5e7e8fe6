"""A notice in words, the same in every channel: headline, facts, evidence, actions, and what is new. Pure.

All lines are made visible (see ``responders.text``) and bounded, but not yet escaped for any markup.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from responders.channel import severity_rank
from responders.notice import Notice
from responders.text import bounded, utc, visible

DRY_RUN: Final = "DRY RUN: nothing was done."
DRY_RUN_MEANING: Final = "The actions below are what would have been done."

MAX_LINE: Final = 280
MAX_LABEL: Final = 80
_MAX_TITLE: Final = 400
_MAX_FACTS: Final = 20
_MARKS: Final = ("🔵", "🟡", "🟠", "🔴")
_SETTLED: Final = ("resolved", "false_positive")


def headline(notice: Notice) -> str:
    """Severity (status, once settled) and title."""
    word = notice.status.replace("_", " ") if notice.status in _SETTLED else notice.severity
    return f"{visible(word, 20).upper()}: {visible(notice.title, _MAX_TITLE)}"


def mark(notice: Notice) -> str:
    """The one sign that makes messages quick to tell apart."""
    return "✅" if notice.status in _SETTLED else _MARKS[severity_rank(notice.severity)]


def facts(notice: Notice) -> list[tuple[str, str]]:
    """Label and value: the notice's own facts, after those that every notice has and it does not name itself."""
    technique = f" ({notice.technique})" if notice.technique else ""
    common = (
        ("Attack", f"{notice.attack}{technique}"),
        ("Severity", notice.severity),
        ("Status", notice.status.replace("_", " ")),
        ("Model", notice.model),
        ("Subject", notice.subject),
        ("First seen", utc(notice.first_seen)),
        ("Last seen", utc(notice.last_seen)),
        ("Findings", str(notice.findings)),
    )
    own = notice.facts[:_MAX_FACTS]
    named = {label.casefold() for label, _ in own}
    pairs = [*(pair for pair in common if pair[0].casefold() not in named), *own]
    if len(own) < len(notice.facts):
        pairs.append(("Facts not shown", str(len(notice.facts) - len(own))))
    return [(visible(label, MAX_LABEL), visible(value, MAX_LINE)) for label, value in pairs]


def evidence(timeline: tuple[tuple[float, str], ...], keep: int) -> list[str]:
    """The newest timeline lines, oldest first."""
    lines = [f"{utc(ts)}  {visible(text, MAX_LINE)}" for ts, text in timeline[-keep:]]
    left_out = len(timeline) - len(lines)
    return [f"({left_out} earlier)", *lines] if left_out else lines


def actions(taken: tuple[str, ...], keep: int) -> list[str]:
    """One line per action."""
    return [visible(line, MAX_LINE) for line in bounded(list(taken), keep)]


def news(notice: Notice, sent: Notice, keep: int) -> list[str]:
    """What the notice says that ``sent`` did not: changed status and severity, new evidence, outcomes of actions."""
    lines = [
        f"{name}: {visible(old.replace('_', ' '), 40)} → {visible(new.replace('_', ' '), 40)}"
        for name, old, new in (("status", sent.status, notice.status), ("severity", sent.severity, notice.severity))
        if old != new
    ]
    # Counted, not compared as sets: the same line may come twice.
    new_evidence = Counter(notice.timeline) - Counter(sent.timeline)
    new_actions = Counter(notice.actions) - Counter(sent.actions)
    return [
        *lines,
        *evidence(tuple(new_evidence.elements()), keep),
        *actions(tuple(new_actions.elements()), keep),
    ]
