"""Notices, plain and hostile, and outboxes for the tests of the notifiers."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from responders.channel import Pending
from responders.notice import Notice

HOSTILE_PARTS = [
    "<!channel>",
    "<!here>",
    "<@U012AB3CD>",
    "<#C0SECURITY>",
    "<https://evil.example|click>",
    "https://evil.example/x",
    "@here",
    "*bold* _it_ ~no~ `code` ```block```",
    "> quote",
    ":fire:",
    "&amp;&lt;",
    "\r\nBcc: victim@example.org\r\n\r\nbody",
    "\n.\r\nMAIL FROM:<x@y>",
    "\u202egnp.exe\u2066",
    "\u200b\u200d\ufeff",
    "\x00\x07\x1b[31m",
    "\ud800",
    "<script>alert(1)</script>",
    "' onmouseover='x",
    '"><img src=x onerror=y>',
    "=?utf-8?q?spoof?=",
    "😀" * 5,
]

#: Short, long, and made of what could mean something to a renderer.
hostile_text = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(HOSTILE_PARTS), max_size=4).map("".join),
    st.builds(str.__mul__, st.sampled_from([*HOSTILE_PARTS, "a", "&", "😀"]), st.sampled_from([2, 40, 300, 3001])),
    st.text(alphabet=st.characters(exclude_categories=()), max_size=40),
)

_times = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 4e9))

hostile_notices = st.builds(
    Notice,
    incident_id=hostile_text,
    revision=st.integers(0, 2**40),
    title=hostile_text,
    severity=st.one_of(st.sampled_from(["low", "medium", "high", "critical"]), hostile_text),
    status=st.one_of(st.sampled_from(["open", "contained", "resolved", "false_positive"]), hostile_text),
    attack=hostile_text,
    technique=hostile_text,
    model=hostile_text,
    subject=hostile_text,
    summary=hostile_text,
    first_seen=_times,
    last_seen=_times,
    findings=st.integers(0, 10**9),
    dry_run=st.booleans(),
    facts=st.lists(st.tuples(hostile_text, hostile_text), max_size=8).map(tuple),
    timeline=st.lists(st.tuples(_times, hostile_text), max_size=8).map(tuple),
    actions=st.lists(hostile_text, max_size=8).map(tuple),
)


def notice(revision: int = 1, **changes: Any) -> Notice:
    """Two revisions differ in their number of findings."""
    plain = Notice(
        incident_id="inc-00000000000000a1",
        revision=revision,
        title="Model extraction by client:acct-7 on model digits",
        severity="medium",
        status="open",
        attack="extraction",
        technique="AML.T0024.002",
        model="digits",
        subject="client:acct-7",
        summary="coverage crossed its line with evidence 2e4 against 1e4.",
        first_seen=1_763_683_200.0,
        last_seen=1_763_683_260.0,
        findings=revision,
        dry_run=False,
        facts=(("Detectors", "coverage"),),
        timeline=((1_763_683_200.0, "coverage: 2e4 over 1e4"),),
        actions=("throttle client acct-7 for 900 s: applied",),
    )
    return msgspec.structs.replace(plain, **changes)


def pending(
    newest: Notice, sent: Notice | None = None, remote_ref: str = "", *, channel: str = "slack", uncertain: bool = False
) -> Pending:
    return Pending(
        channel=channel,
        notice=newest,
        sent=sent,
        remote_ref=remote_ref,
        attempts=0,
        uncertain=uncertain,
        first_queued_at=0.0,
    )
