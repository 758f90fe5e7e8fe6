"""A notice as an e-mail: plain text and HTML, threaded. Pure.

Header fields are made of visible text only (``responders.text``), so no line break can start another field; HTML is
escaped; web addresses are defanged, for mail clients make links of plain text too.

Message-IDs name incident and revision (RFC 5322, 3.6.4), so a copy sent twice after a crash carries the same one. All
messages about an incident refer to one made-up root, so that they stay one thread even where a message was lost.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import html
import re
from collections.abc import Sequence
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Final

import msgspec

from responders.channel import severity_rank
from responders.notice import Notice
from responders.notice_text import DRY_RUN, DRY_RUN_MEANING, actions, evidence, facts, headline, news
from responders.text import defanged, visible

MAX_SUBJECT: Final = 200
_MAX_SUMMARY: Final = 4000
_LINES: Final = 20
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_CELL: Final = "padding:2px 12px 2px 0;vertical-align:top"


class _Wire(EmailPolicy):
    """SMTP's policy, but for the subject: the standard folding of a long one adds spaces and may start with one."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if name != "Subject":
            return super().fold_binary(name, value)
        charset = "us-ascii" if value.isascii() else "utf-8"
        folded = Header(str(value), charset, maxlinelen=75, header_name=name).encode(linesep=self.linesep)
        return f"{name}: {folded}{self.linesep}".encode("ascii")


_POLICY: Final = _Wire(linesep="\r\n", cte_type="7bit")


class Thread(msgspec.Struct, frozen=True):
    """What later messages about the incident need of the earlier ones.

    ``subject`` stays as it was first: mail services that thread by subject would split the thread otherwise.
    """

    subject: str
    last_id: str


def render(
    notice: Notice,
    sent: Notice | None,
    thread: Thread | None,
    sender: Address,
    recipients: Sequence[Address],
    now: float,
) -> tuple[EmailMessage, Thread]:
    """The message, a reply within ``thread`` if there is one, and the thread as it is after it."""
    message_id = f"<{_local(notice.incident_id)}.r{notice.revision}@{sender.domain}>"
    root_id = f"<{_local(notice.incident_id)}@{sender.domain}>"
    subject = thread.subject if thread else _subject(notice)
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = tuple(recipients)
    message["Subject"] = f"Re: {subject}" if thread else subject
    message["Date"] = dt.datetime.fromtimestamp(now, dt.UTC)
    message["Message-ID"] = message_id
    if thread:
        message["In-Reply-To"] = thread.last_id
    message["References"] = f"{root_id} {thread.last_id}" if thread else root_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation replies
    message["Importance"] = "high" if severity_rank(notice.severity) >= severity_rank("high") else "normal"
    since = [] if sent is None else news(notice, sent, _LINES // 2)
    # 7-bit and in short lines: every server on the way can take it.
    message.set_content(_text(notice, since), cte="quoted-printable")
    message.add_alternative(_html(notice, since), subtype="html", cte="quoted-printable")
    return message, Thread(subject=subject, last_id=message_id)


def _subject(notice: Notice) -> str:
    # "=?" would make what follows an encoded word (RFC 2047), whose content nobody has made visible.
    title = headline(notice).replace("=?", "= ?")
    return visible(f"[Vedette{' dry run' if notice.dry_run else ''}] {title}", MAX_SUBJECT)


def _local(incident_id: str) -> str:
    """The incident's id where it fits a Message-ID, else a hash of it."""
    if _SAFE_ID.fullmatch(incident_id):
        return incident_id
    return hashlib.blake2b(incident_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _lists(notice: Notice, since: list[str]) -> list[tuple[str, list[str]]]:
    lists = [
        ("Since the last message", since),
        ("Actions", actions(notice.actions, _LINES)),
        ("Latest evidence", evidence(notice.timeline, _LINES)),
    ]
    return [(title, lines) for title, lines in lists if lines]


def _text(notice: Notice, since: list[str]) -> str:
    parts = [f"{DRY_RUN} {DRY_RUN_MEANING}\n"] if notice.dry_run else []
    parts.append(f"{headline(notice)}\n\n{visible(notice.summary, _MAX_SUMMARY)}\n")
    parts.append("".join(f"{label}: {value}\n" for label, value in facts(notice)))
    parts += [f"{title}\n" + "".join(f"- {line}\n" for line in lines) for title, lines in _lists(notice, since)]
    parts.append(f"Incident {visible(notice.incident_id, 100)}, revision {notice.revision}\n")
    return defanged("\n".join(parts))


def _html(notice: Notice, since: list[str]) -> str:
    dry_run = f"<p><strong>{DRY_RUN}</strong> {DRY_RUN_MEANING}</p>" if notice.dry_run else ""
    rows = "".join(
        f'<tr><td style="{_CELL}"><strong>{_safe(label)}</strong></td><td style="{_CELL}">{_safe(value)}</td></tr>'
        for label, value in facts(notice)
    )
    lists = "".join(
        f"<h3>{title}</h3><ul>{''.join(f'<li>{_safe(line)}</li>' for line in lines)}</ul>"
        for title, lines in _lists(notice, since)
    )
    return (
        '<!DOCTYPE html><html><head><meta charset="utf-8"></head><body style="font-family:sans-serif">'
        f"{dry_run}<h2>{_safe(headline(notice))}</h2><p>{_safe(visible(notice.summary, _MAX_SUMMARY))}</p>"
        f"<table>{rows}</table>{lists}"
        f"<p><small>Incident {_safe(visible(notice.incident_id, 100))}, revision {notice.revision}</small></p>"
        "</body></html>\n"
    )


def _safe(text: str) -> str:
    return html.escape(defanged(text))
