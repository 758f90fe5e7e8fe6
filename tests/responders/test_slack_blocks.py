"""Block Kit rendering: Slack's limits hold for any text, and hostile text can do nothing."""

from __future__ import annotations

import html
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from notices import HOSTILE_PARTS, hostile_notices, hostile_text, notice

from replay.stand_ins.block_kit import within_limits
from responders.notice import Notice
from responders.notice_text import news
from responders.slack_blocks import LINES, MAX_FALLBACK, blocks, escaped, fallback, thread_blocks

OUR_WORDS = {
    "*DRY RUN: nothing was done.* The actions below are what would have been done.",
    "*Actions*",
    "*Latest evidence*",
}


def texts(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every text object of a message."""
    found: list[dict[str, Any]] = []
    for block in made:
        found += [block["text"]] if "text" in block else []
        found += block.get("fields", []) + block.get("elements", [])
    return found


def shown(made: list[dict[str, Any]]) -> str:
    return "\n".join(text["text"] for text in texts(made))


@settings(max_examples=150)
@given(hostile_notices)
def test_any_notice_is_within_slacks_limits_and_says_nothing_in_markup(hostile: Notice) -> None:
    made: list[Any] = blocks(hostile)
    assert within_limits(made)
    for text in texts(made):
        if text["type"] == "mrkdwn":
            assert text["text"] in OUR_WORDS
            assert text["verbatim"] is True
        else:
            assert text["type"] == "plain_text"
            assert text["emoji"] is False


@settings(max_examples=150)
@given(hostile_notices, hostile_notices)
def test_any_news_is_within_slacks_limits_and_plain(newer: Notice, older: Notice) -> None:
    lines = news(newer, older, LINES // 2)
    made: list[Any] = thread_blocks(lines)
    assert within_limits(made)
    assert {text["type"] for text in texts(made)} == {"plain_text"}


@given(hostile_notices)
def test_fallback_cannot_mention_or_link(hostile: Notice) -> None:
    text = fallback(hostile)
    assert len(text.encode("utf-16-le")) // 2 <= MAX_FALLBACK
    assert "<" not in text
    assert ">" not in text
    assert "\n" not in text


@given(hostile_text, st.integers(6, 200))
def test_escaping_cuts_no_entity(text: str, limit: int) -> None:
    out = escaped(text, limit)
    assert len(out.encode("utf-16-le")) // 2 <= limit
    # What is left of every ampersand is one of the three whole entities.
    assert out.count("&") == out.count("&amp;") + out.count("&lt;") + out.count("&gt;")


@given(st.text(alphabet="ab &<>;", min_size=1, max_size=60))
def test_escaping_loses_nothing_that_fits(text: str) -> None:
    assert html.unescape(escaped(text, 400)) == (text.strip() or "-")


def test_what_a_message_says() -> None:
    made: list[Any] = blocks(notice(severity="critical", facts=(("Model", "digits 3"), ("Addresses", "203.0.113.9"))))
    assert made[0]["text"]["text"] == "🔴 CRITICAL: Model extraction by client:acct-7 on model digits"
    fields = [field["text"] for block in made for field in block.get("fields", [])]
    facts = dict(zip(fields[::2], fields[1::2], strict=True))
    assert facts["Attack"] == "extraction (AML.T0024.002)"
    assert facts["Model"] == "digits 3", "a notice's own fact replaces the common one of that name"
    assert fields.count("Model") == 1
    assert facts["Addresses"] == "203.0.113.9"
    assert facts["First seen"] == "2025-11-21 00:00:00 UTC"
    assert "throttle client acct-7 for 900 s: applied" in shown(made)
    assert "2025-11-21 00:00:00 UTC  coverage: 2e4 over 1e4" in shown(made)
    assert "inc-00000000000000a1 · revision 1" in shown(made)
    assert "DRY RUN" not in shown(made)


def test_dry_run_is_said_first_and_in_the_notification() -> None:
    made: list[Any] = blocks(notice(dry_run=True))
    assert made[1]["text"]["text"].startswith("*DRY RUN: nothing was done.*")
    assert fallback(notice(dry_run=True)).startswith("🟡 [DRY RUN: nothing was done.] ")


def test_settled_incidents_look_settled() -> None:
    assert shown(blocks(notice(status="resolved"))).startswith("✅ RESOLVED: ")
    assert shown(blocks(notice(status="false_positive"))).startswith("✅ FALSE POSITIVE: ")


def test_hostile_text_stays_readable() -> None:
    title = "".join(HOSTILE_PARTS[:6])
    assert title in blocks(notice(title=title))[0]["text"]["text"]  # type: ignore[index]  # a header's text object
    assert r"\u202egnp.exe\u2066" in shown(blocks(notice(summary="\u202egnp.exe\u2066")))


def test_long_lists_show_the_newest_evidence_and_say_what_is_left_out() -> None:
    timeline = tuple((float(i), f"finding {i}") for i in range(50))
    text = shown(blocks(notice(timeline=timeline, actions=tuple(f"action {i}" for i in range(50)))))
    assert "finding 49" in text
    assert "(46 earlier)" in text
    assert "action 0" in text
    assert "(42 more)" in text


def test_news_are_what_changed() -> None:
    before = notice(timeline=((1.0, "a"),), actions=("block: applied",))
    after = notice(
        2,
        status="false_positive",
        severity="high",
        timeline=((1.0, "a"), (1.0, "a"), (2.0, "b")),
        actions=("block: reverted (undone by an operator)",),
    )
    assert news(after, before, 5) == [
        "status: open → false positive",
        "severity: medium → high",
        "1970-01-01 00:00:01 UTC  a",
        "1970-01-01 00:00:02 UTC  b",
        "block: reverted (undone by an operator)",
    ]
    assert news(before, before, 5) == []
