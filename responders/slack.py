"""Slack by bot token: one message per incident, updated in place, with the news in its thread.

slack-sdk's own retry handlers stay off: its connection handler repeats a post that may have arrived, and its rate-limit
handler sleeps inside the call, where neither a stop nor a restart can see it. A 429 goes back to the outbox, which
keeps Slack's ``Retry-After`` for the whole channel, over restarts too.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from responders.channel import Pending, severity_rank
from responders.notice import Notice
from responders.notice_text import news
from responders.slack_blocks import LINES, MAX_FALLBACK, blocks, escaped, fallback, thread_blocks
from responders.slack_errors import FAILURES, api_failure, checked_url, error_code, silent_logger

SLACK_API: Final = "https://slack.com/api/"
#: What our messages carry, so that one sent just before a crash can be found again.
EVENT_TYPE: Final = "vedette_incident"

#: The message to update is out of reach: post another.
_GONE: Final = frozenset(
    [
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "channel_not_found",
        "not_in_channel",
        "is_archived",
    ]
)
_CHANNEL_ID: Final = re.compile(r"[CGD][A-Z0-9]{6,}")
#: Slack's clock and ours may differ by this much.
_SKEW_S: Final = 120.0

#: No formatting in the fallback text, no previews of links.
_POST: Final[dict[str, Any]] = {"mrkdwn": False, "unfurl_links": False, "unfurl_media": False}

_log = structlog.get_logger(__name__)


class SlackBot:
    """Posts as a bot (scope ``chat:write``); with ``channels:history`` it also finds a message whose record was lost.

    Args:
        token: bot token, ``xoxb-…``; never logged.
        channel: channel id (``C…``), or name with ``#``.
        base_url: another API address; https, or http to a loopback address. ValueError otherwise.
    """

    update_interval_s = 0.0

    def __init__(self, token: str, channel: str, *, base_url: str = SLACK_API, timeout_s: float = 15.0) -> None:
        if not token or not channel:
            raise ValueError("Slack: a bot token needs a channel")
        url, local = checked_url(base_url)
        self._channel = channel
        self._client = AsyncWebClient(
            token=token, base_url=url, timeout=max(int(timeout_s), 1), logger=silent_logger(), retry_handlers=[]
        )
        if local:
            self._client.proxy = None  # slack-sdk takes a proxy from the environment, even for this machine

    async def send(self, item: Pending) -> str:
        """See ``Channel.send``. The reference is the message's channel id and time stamp."""
        ref = _ref(item.remote_ref)
        message = _message(item.notice)
        lines = [] if item.sent is None else news(item.notice, item.sent, LINES // 2)
        worse = item.sent is not None and severity_rank(item.notice.severity) > severity_rank(item.sent.severity)
        try:
            if ref is None and item.uncertain:
                ref = await self._found(item)
            if ref is None or not await self._updated(ref, message):
                answer = await self._client.chat_postMessage(channel=self._channel, **_POST, **message)
                ref = str(answer["channel"]), str(answer["ts"])
            elif lines:
                await self._tell_thread(ref, lines, broadcast=worse)
        except FAILURES as error:
            raise api_failure(error) from None  # the cause may hold the request, and with it the token
        return json.dumps({"channel": ref[0], "ts": ref[1]})

    async def _updated(self, ref: tuple[str, str], message: dict[str, Any]) -> bool:
        try:
            await self._client.chat_update(channel=ref[0], ts=ref[1], **message)
        except SlackApiError as error:
            if error_code(error) in _GONE:
                return False
            raise
        return True

    async def _tell_thread(self, ref: tuple[str, str], lines: list[str], *, broadcast: bool) -> None:
        """An update is silent in Slack: its news goes into the thread, a rise in severity into the channel as well."""
        await self._client.chat_postMessage(
            channel=ref[0],
            thread_ts=ref[1],
            reply_broadcast=broadcast,
            text=escaped("; ".join(lines), MAX_FALLBACK),
            blocks=thread_blocks(lines),
            parse="none",
            link_names=False,
            **_POST,
        )

    async def _found(self, item: Pending) -> tuple[str, str] | None:
        """The message about this incident, if an interrupted try did post it and we may look."""
        if not _CHANNEL_ID.fullmatch(self._channel):
            return None
        try:
            answer = await self._client.conversations_history(
                channel=self._channel,
                oldest=f"{item.first_queued_at - _SKEW_S:.6f}",
                limit=200,
                include_all_metadata=True,
            )
        except SlackApiError as error:
            if error_code(error) != "missing_scope":
                raise
            _log.info("cannot look for a message sent before an interruption", error="missing_scope")
            return None
        messages: list[dict[str, Any]] = answer.get("messages") or []
        for message in messages:
            metadata = message.get("metadata") or {}
            payload = metadata.get("event_payload") or {}
            if metadata.get("event_type") == EVENT_TYPE and payload.get("incident_id") == item.notice.incident_id:
                return self._channel, str(message["ts"])
        return None


def _ref(remote_ref: str) -> tuple[str, str] | None:
    """None too if the channel was a webhook before."""
    found = json.loads(remote_ref) if remote_ref else {}
    return (found["channel"], found["ts"]) if "ts" in found else None


def _message(notice: Notice) -> dict[str, Any]:
    """What ``chat.postMessage`` and ``chat.update`` have in common."""
    payload = {"incident_id": notice.incident_id, "revision": notice.revision}
    return {
        "text": fallback(notice),
        "blocks": blocks(notice),
        "parse": "none",
        "link_names": False,
        "metadata": {"event_type": EVENT_TYPE, "event_payload": payload},
    }
