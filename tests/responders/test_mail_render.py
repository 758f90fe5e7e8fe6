"""E-mail rendering: threaded, bounded, and nothing in it that the notice could have put there."""

from __future__ import annotations

import email
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from notices import hostile_notices, notice

from responders.mail_render import MAX_SUBJECT, Thread, render
from responders.notice import Notice

SENDER = Address(addr_spec="vedette@example.org")
RECIPIENTS = (Address(addr_spec="oncall@example.org"), Address(addr_spec="soc@example.org"))
FIELDS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "References",
    "Auto-Submitted",
    "Importance",
    "MIME-Version",
    "Content-Type",
]
TAGS = {"html", "head", "meta", "body", "p", "strong", "h2", "h3", "table", "tr", "td", "ul", "li", "small"}


def rendered(newest: Notice, sent: Notice | None = None, thread: Thread | None = None) -> tuple[EmailMessage, Thread]:
    """As the recipient's client parses it."""
    message, after = render(newest, sent, thread, SENDER, RECIPIENTS, 1_763_683_300.0)
    parsed = email.message_from_bytes(message.as_bytes(), policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed, after


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(max_examples=120)
@given(hostile_notices)
def test_no_notice_can_add_a_header_or_a_tag(hostile: Notice) -> None:
    message, _ = rendered(hostile)
    assert message.keys() == FIELDS
    assert not message.defects
    assert [str(a) for a in message["To"].addresses] == ["oncall@example.org", "soc@example.org"]
    assert len(message["Subject"].encode("utf-16-le")) // 2 <= MAX_SUBJECT
    page = Tags(body(message, "html"))
    assert page.seen <= TAGS
    assert page.attributes <= {"style", "charset"}
    for text in (page.text, body(message, "plain")):
        assert "://" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text


@settings(max_examples=120)
@given(hostile_notices)
def test_lines_on_the_wire_are_what_smtp_allows(hostile: Notice) -> None:
    message, _ = render(hostile, None, None, SENDER, RECIPIENTS, 0.0)
    raw = message.as_bytes()
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_line_breaks_in_a_client_id_start_no_header() -> None:
    message, _ = rendered(notice(title="extraction by client:x\r\nBcc: victim@example.net"))
    assert message["Bcc"] is None
    assert r"\u000d\u000aBcc: victim@example.net" in message["Subject"]


def test_encoded_word_in_a_client_id_is_not_decoded() -> None:
    message, _ = rendered(notice(title="by =?utf-8?q?=E2=80=AEgnp?="))
    assert message["Subject"] == "[Vedette] MEDIUM: by = ?utf-8?q?=E2=80=AEgnp?="


@pytest.mark.parametrize("title", ["Übergriff  auf " + "模型 " * 20 + "😀", "long " * 30 + "words", "x" * 170])
def test_subject_arrives_as_it_was(title: str) -> None:
    message, _ = rendered(notice(title=title))
    assert message["Subject"] == f"[Vedette] MEDIUM: {title}"
    encoded_words = re.findall(
        rb"=\?\S+\?=", render(notice(title=title), None, None, SENDER, RECIPIENTS, 0.0)[0].as_bytes()
    )
    assert all(len(word) <= 75 for word in encoded_words)  # RFC 2047, 2


def test_same_revision_gives_the_same_message_id_and_another_gives_another() -> None:
    ids = [rendered(notice(revision))[0]["Message-ID"] for revision in (1, 1, 2)]
    assert ids[0] == ids[1] == "<inc-00000000000000a1.r1@example.org>"
    assert ids[2] != ids[0]


def test_incident_id_that_fits_no_message_id_is_hashed() -> None:
    message, _ = rendered(notice(incident_id="x> <evil@example.net"))
    assert message["Message-ID"].startswith("<")
    assert "evil" not in message["Message-ID"]


def test_updates_are_replies_with_an_unchanged_subject() -> None:
    first, thread = rendered(notice(1))
    second, thread = rendered(notice(2, severity="critical", title="worse"), notice(1), thread)
    third, _ = rendered(notice(3, status="resolved"), notice(2), thread)
    assert first["In-Reply-To"] is None
    assert second["In-Reply-To"] == first["Message-ID"]
    assert third["In-Reply-To"] == second["Message-ID"]
    assert second["Subject"] == third["Subject"] == f"Re: {first['Subject']}"
    root = first["References"]
    assert second["References"].split() == [root, first["Message-ID"]]
    assert third["References"].split() == [root, second["Message-ID"]]


def test_update_says_what_is_new() -> None:
    message, _ = rendered(notice(2, status="resolved"), notice(1), Thread("s", "<i@example.org>"))
    for kind in ("plain", "html"):
        assert "Since the last message" in body(message, kind)
        assert "status: open → resolved" in body(message, kind)


def test_what_a_message_says() -> None:
    message, _ = rendered(notice(severity="high", summary="a <b> & c"))
    assert message["Subject"] == "[Vedette] HIGH: Model extraction by client:acct-7 on model digits"
    assert message["Importance"] == "high"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.timestamp() == 1_763_683_300.0
    text, page = body(message, "plain"), Tags(body(message, "html")).text
    for said in ("a <b> & c", "AML.T0024.002", "throttle client acct-7 for 900 s: applied", "coverage: 2e4 over 1e4"):
        assert said in text
        assert said in page
    assert "DRY RUN" not in text


def test_dry_run_is_said_in_the_subject_and_first_in_the_text() -> None:
    message, _ = rendered(notice(dry_run=True))
    assert message["Subject"].startswith("[Vedette dry run] ")
    assert body(message, "plain").startswith("DRY RUN: nothing was done.")
    assert "<p><strong>DRY RUN: nothing was done.</strong>" in body(message, "html")
