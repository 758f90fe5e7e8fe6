"""Slack over real HTTP, against the local stand-in: updates in place, threads, limits, failures."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from notices import notice, pending

from replay.stand_ins import Answer, SlackStandIn
from replay.stand_ins.slack import TOKEN
from responders.channel import SendError
from responders.slack import SlackBot
from responders.slack_webhook import SlackWebhook

CHANNEL = "C0SECURITY"


@pytest_asyncio.fixture
async def slack() -> AsyncIterator[SlackStandIn]:
    async with SlackStandIn() as stand_in:
        yield stand_in


def bot(slack: SlackStandIn, channel: str = CHANNEL, token: str = TOKEN) -> SlackBot:
    return SlackBot(token, channel, base_url=slack.base_url)


async def failure(channel: SlackBot | SlackWebhook, *, remote_ref: str = "") -> SendError:
    with pytest.raises(SendError) as caught:
        await channel.send(pending(notice(), remote_ref=remote_ref))
    return caught.value


async def test_first_message_is_posted_whole(slack: SlackStandIn) -> None:
    ref = await bot(slack).send(pending(notice()))
    [post] = slack.posts
    assert json.loads(ref) == {"channel": CHANNEL, "ts": post.ts}
    assert post.text.startswith("🟡 MEDIUM: Model extraction")
    assert post.blocks[0]["type"] == "header"
    assert not post.thread_ts
    assert slack.calls == ["chat.postMessage"]


async def test_update_changes_the_message_and_tells_its_thread_what_is_new(slack: SlackStandIn) -> None:
    first = notice(1)
    ref = await bot(slack).send(pending(first))
    second = notice(2, status="contained", timeline=(*first.timeline, (1.0, "novelty: 3e4 over 1e4")))
    assert await bot(slack).send(pending(second, first, ref)) == ref
    message, reply = slack.posts
    assert message.edits == 1
    assert "contained" in json.dumps(message.blocks)
    assert reply.thread_ts == message.ts
    assert reply.blocks[0]["text"]["text"] == "status: open → contained\n1970-01-01 00:00:01 UTC  novelty: 3e4 over 1e4"
    assert not reply.broadcast


async def test_rise_in_severity_is_told_to_the_channel_as_well(slack: SlackStandIn) -> None:
    ref = await bot(slack).send(pending(notice(1)))
    await bot(slack).send(pending(notice(2, severity="critical"), notice(1), ref))
    assert slack.posts[1].broadcast


async def test_update_without_news_leaves_the_thread_alone(slack: SlackStandIn) -> None:
    ref = await bot(slack).send(pending(notice(1)))
    await bot(slack).send(pending(notice(2, findings=9), notice(1), ref))
    assert len(slack.posts) == 1
    assert slack.posts[0].edits == 1


async def test_deleted_message_is_posted_anew(slack: SlackStandIn) -> None:
    ref = await bot(slack).send(pending(notice(1)))
    slack.posts.clear()
    renewed = await bot(slack).send(pending(notice(2), notice(1), ref))
    assert json.loads(renewed)["ts"] == slack.posts[0].ts
    assert renewed != ref


async def test_channel_may_be_given_by_name(slack: SlackStandIn) -> None:
    ref = await bot(slack, "#security").send(pending(notice()))
    assert json.loads(ref)["channel"] == CHANNEL


async def test_hostile_text_reaches_slack_as_plain_text_only(slack: SlackStandIn) -> None:
    hostile = notice(title="<!channel> *x* @here", subject="client:<https://evil.example|ok>", actions=("`<@U1>`",))
    await bot(slack).send(pending(hostile))
    [post] = slack.posts
    assert "<!channel>" not in post.text
    assert "&lt;!channel&gt;" in post.text
    marked_up = [b["text"]["text"] for b in post.blocks if b.get("text", {}).get("type") == "mrkdwn"]
    assert marked_up == ["*Actions*", "*Latest evidence*"]


async def test_rate_limit_is_reported_with_slacks_delay_and_not_slept_out(slack: SlackStandIn) -> None:
    slack.answer(Answer(429, retry_after="3600"))
    error = await failure(bot(slack))
    assert (error.retry_after_s, error.whole_channel, error.permanent, error.uncertain) == (3600.0, True, False, False)
    assert slack.calls == ["chat.postMessage"]


@pytest.mark.parametrize("retry_after", ["", "soon", "-1", "1e9", "٣"])
async def test_rate_limit_with_no_delay_that_makes_sense(slack: SlackStandIn, retry_after: str) -> None:
    slack.answer(Answer(429, retry_after=retry_after))
    assert (await failure(bot(slack))).retry_after_s == 30.0


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_server_error_passes_and_is_uncertain(slack: SlackStandIn, status: int) -> None:
    slack.answer(Answer(status, error="<html>upstream</html>"))
    error = await failure(bot(slack))
    assert (error.permanent, error.whole_channel, error.uncertain) == (False, True, True)


async def test_answer_that_is_not_slacks(slack: SlackStandIn) -> None:
    slack.answer(Answer(203, error="captive portal"))
    error = await failure(bot(slack))
    assert (error.permanent, error.whole_channel) == (False, True)


@pytest.mark.parametrize("code", ["invalid_auth", "channel_not_found", "not_in_channel", "missing_scope"])
async def test_wrong_configuration_needs_a_person(slack: SlackStandIn, code: str) -> None:
    slack.answer(Answer(error=code))
    error = await failure(bot(slack))
    assert (error.permanent, error.whole_channel) == (True, True)
    assert code in error.detail


async def test_refused_content_concerns_its_message_only(slack: SlackStandIn) -> None:
    slack.answer(Answer(error="invalid_blocks"))
    error = await failure(bot(slack))
    assert (error.permanent, error.whole_channel) == (True, False)


async def test_dead_service_is_certain_not_to_have_posted(slack: SlackStandIn) -> None:
    await slack.stop()
    error = await failure(bot(slack))
    assert (error.permanent, error.whole_channel, error.uncertain) == (False, True, False)


async def test_failed_thread_reply_is_tried_again_without_a_second_message(slack: SlackStandIn) -> None:
    first, second = notice(1), notice(2, status="resolved")
    ref = await bot(slack).send(pending(first))
    slack.answer(Answer(status=200, error="internal_error"))
    with pytest.raises(SendError):
        await bot(slack).send(pending(second, first, ref))
    await bot(slack).send(pending(second, first, ref))
    assert len(slack.messages()) == 1
    assert len(slack.posts) == 2


async def test_message_of_an_interrupted_try_is_found_and_updated() -> None:
    async with SlackStandIn(scopes=frozenset({"chat:write", "channels:history"})) as slack:
        lost = await bot(slack).send(pending(notice(1)))
        await bot(slack).send(pending(notice(1, incident_id="inc-other")))
        ref = await bot(slack).send(pending(notice(2, findings=7), uncertain=True))
        assert ref == lost
        assert len(slack.posts) == 2
        assert slack.posts[0].edits == 1


async def test_without_history_scope_an_interrupted_try_is_repeated(slack: SlackStandIn) -> None:
    await bot(slack).send(pending(notice(1)))
    await bot(slack).send(pending(notice(1), uncertain=True))
    assert len(slack.posts) == 2
    assert slack.posts[0].metadata == slack.posts[1].metadata, "both can be told to be about one incident"


async def test_rate_limited_search_waits_rather_than_posting_twice() -> None:
    async with SlackStandIn(scopes=frozenset({"chat:write", "channels:history"})) as slack:
        slack.answer(Answer(429, retry_after="60"))
        with pytest.raises(SendError) as caught:
            await bot(slack).send(pending(notice(1), uncertain=True))
        assert caught.value.retry_after_s == 60.0
        assert slack.posts == []


async def test_token_is_in_no_error_and_no_log(slack: SlackStandIn, caplog: pytest.LogCaptureFixture) -> None:
    secret = "xoxb-secret-1234567890"
    with caplog.at_level(logging.DEBUG):
        refused = await failure(bot(slack, token=secret))
        await slack.stop()
        unreachable = await failure(bot(slack, token=secret))
    for text in (caplog.text, str(refused), repr(refused), str(unreachable), repr(unreachable.__cause__)):
        assert secret not in text
    assert refused.permanent


@pytest.mark.parametrize(
    "url",
    [
        "http://slack.com/api/",
        "http://127.0.0.1.evil.example/api/",
        "http://localhost.evil.example/",
        "http://127.0.0.1@evil.example/",
        "https://user:pass@slack.com/api/",
        "ftp://slack.com/",
        "slack.com/api/",
        "https:///api/",
        "",
    ],
)
def test_other_addresses_than_https_or_loopback_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="Slack address") as caught:
        SlackBot("xoxb-x", CHANNEL, base_url=url)
    assert "evil" not in str(caught.value)
    with pytest.raises(ValueError, match="Slack address"):
        SlackWebhook(url)


@pytest.mark.parametrize("url", ["https://slack.com/api/", "http://localhost:1/api/", "http://[::1]:1/api/"])
def test_https_and_loopback_are_fine(url: str) -> None:
    SlackBot("xoxb-x", CHANNEL, base_url=url)
    SlackWebhook(url)


@pytest.mark.parametrize(("token", "channel"), [("", CHANNEL), ("xoxb-x", "")])
def test_bot_needs_token_and_channel(token: str, channel: str) -> None:
    with pytest.raises(ValueError, match="needs a channel"):
        SlackBot(token, channel)


async def test_loopback_goes_through_no_proxy(slack: SlackStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await bot(slack).send(pending(notice()))
    await SlackWebhook(slack.webhook_url).send(pending(notice()))
    assert len(slack.posts) == 2


async def test_webhook_posts_on_opening_escalation_and_change_of_status_only(slack: SlackStandIn) -> None:
    webhook = SlackWebhook(slack.webhook_url)
    ref, sent = "", None
    story = [
        (notice(1), 1),
        (notice(2, findings=9), 1),
        (notice(3, severity="critical"), 2),
        (notice(4, severity="medium"), 2),
        (notice(5, severity="critical"), 2),
        (notice(6, severity="critical", status="resolved"), 3),
        (notice(7, severity="critical", status="open"), 4),
    ]
    for newest, posts in story:
        ref = await webhook.send(pending(newest, sent, ref))
        sent = newest
        assert len(slack.posts) == posts


async def test_webhook_after_a_bot_and_bot_after_a_webhook(slack: SlackStandIn) -> None:
    by_bot = await bot(slack).send(pending(notice(1)))
    by_webhook = await SlackWebhook(slack.webhook_url).send(pending(notice(2), notice(1), by_bot))
    await bot(slack).send(pending(notice(3), notice(2), by_webhook))
    assert len(slack.messages()) == 3


@pytest.mark.parametrize(
    ("answer", "permanent", "whole_channel", "retry_after_s"),
    [
        (Answer(429, retry_after="12"), False, True, 12.0),
        (Answer(404, error="no_service"), True, True, None),
        (Answer(403, error="invalid_token"), True, True, None),
        (Answer(400, error="invalid_payload"), True, False, None),
        (Answer(500, error="rollup_error"), False, True, None),
        (Answer(502, error="<html>bad gateway</html>"), False, True, None),
    ],
)
async def test_webhook_failures(
    slack: SlackStandIn, answer: Answer, permanent: bool, whole_channel: bool, retry_after_s: float | None
) -> None:
    slack.answer(answer)
    error = await failure(SlackWebhook(slack.webhook_url))
    assert (error.permanent, error.whole_channel, error.retry_after_s) == (permanent, whole_channel, retry_after_s)


async def test_webhook_address_is_in_no_error_and_no_log(slack: SlackStandIn, caplog: pytest.LogCaptureFixture) -> None:
    webhook = SlackWebhook(slack.webhook_url)
    secret = slack.webhook_url.rsplit("/", 1)[1]
    with caplog.at_level(logging.DEBUG):
        await webhook.send(pending(notice()))
        await slack.stop()
        error = await failure(webhook)
    assert secret not in caplog.text
    assert secret not in f"{error} {error!r} {error.__cause__!r}"
