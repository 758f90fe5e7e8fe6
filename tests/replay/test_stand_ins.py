"""The stand-ins refuse what the real services refuse; else tests against them would prove nothing."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import aiosmtplib
import pytest

from replay.stand_ins import SlackStandIn, SmtpStandIn, self_signed
from replay.stand_ins.block_kit import within_limits
from replay.stand_ins.slack import TOKEN


def plain(length: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": "x" * length}


@pytest.mark.parametrize(
    ("blocks", "fits"),
    [
        ([{"type": "header", "text": plain(150)}], True),
        ([{"type": "header", "text": plain(151)}], False),
        ([{"type": "header", "text": {"type": "plain_text", "text": "😀" * 76}}], False),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], False),
        ([{"type": "section", "text": plain(3000)}], True),
        ([{"type": "section", "text": plain(3001)}], False),
        ([{"type": "section", "text": plain(0)}], False),
        ([{"type": "section"}], False),
        ([{"type": "section", "fields": [plain(2000)] * 10}], True),
        ([{"type": "section", "fields": [plain(1)] * 11}], False),
        ([{"type": "section", "fields": [plain(2001)]}], False),
        ([{"type": "context", "elements": [plain(1)] * 11}], False),
        ([{"type": "context", "elements": []}], False),
        ([{"type": "section", "text": plain(1)}] * 50, True),
        ([{"type": "section", "text": plain(1)}] * 51, False),
        ([{"type": "marquee", "text": plain(1)}], False),
    ],
)
def test_block_kit_limits(blocks: list[dict[str, Any]], fits: bool) -> None:
    assert within_limits(blocks) is fits


async def call(slack: SlackStandIn, method: str, token: str = TOKEN, **body: object) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(slack.base_url + method, json=body, headers=headers) as answer,
    ):
        result: dict[str, Any] = await answer.json()
        return result


async def test_slack_refuses_what_slack_refuses() -> None:
    async with SlackStandIn() as slack:
        post: dict[str, Any] = {"channel": "C0SECURITY", "text": "x", "blocks": [{"type": "section", "text": plain(1)}]}
        assert (await call(slack, "chat.postMessage", token="xoxb-other", **post))["error"] == "invalid_auth"
        assert (await call(slack, "chat.postMessage", channel="C1"))["error"] == "channel_not_found"
        assert (await call(slack, "chat.update", ts="1.0", **post))["error"] == "message_not_found"
        assert (await call(slack, "conversations.history", **post))["error"] == "missing_scope"
        post["blocks"] = [{"type": "section", "text": plain(3001)}]
        assert (await call(slack, "chat.postMessage", **post))["error"] == "invalid_blocks"
        assert slack.posts == []
        assert (await call(slack, "conversations.list"))["channels"] == [{"id": "C0SECURITY", "name": "security"}]


async def test_what_a_stand_in_receives_can_be_awaited() -> None:
    async with SlackStandIn() as slack:
        waiting = asyncio.create_task(slack.until(lambda: len(slack.posts) == 2))
        for _ in range(2):
            assert not waiting.done()
            await call(slack, "chat.postMessage", channel="#security", text="x")
        await waiting


@pytest.mark.parametrize("encrypted", [True, False])
async def test_smtp_takes_nothing_before_starttls(tmp_path: Path, encrypted: bool) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.create_default_context(cafile=str(certificate[0]))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    async with SmtpStandIn("starttls", certificate) as server:
        client = aiosmtplib.SMTP(hostname="localhost", port=server.port, start_tls=encrypted, tls_context=context)
        async with client:
            if encrypted:
                await client.sendmail("a@example.org", ["b@example.org"], b"Subject: x\r\n\r\nx\r\n")
                assert server.mails[0].encrypted
            else:
                with pytest.raises(aiosmtplib.SMTPResponseException, match="STARTTLS"):
                    await client.sendmail("a@example.org", ["b@example.org"], b"Subject: x\r\n\r\nx\r\n")
                assert server.mails == []


def test_smtp_needs_a_certificate_for_encryption() -> None:
    with pytest.raises(ValueError, match="certificate"):
        SmtpStandIn("tls")
