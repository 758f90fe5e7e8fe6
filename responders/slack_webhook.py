"""Slack by incoming webhook, which can only post: on opening, on a rise in severity, on a change of status."""

from __future__ import annotations

import json
import re
from typing import Any

from slack_sdk.webhook.async_client import AsyncWebhookClient

from responders.channel import Pending, severity_rank
from responders.notice import Notice
from responders.slack_blocks import blocks, fallback
from responders.slack_errors import FAILURES, answer_failure, api_failure, checked_url, silent_logger


class SlackWebhook:
    """A channel to one webhook.

    Args:
        url: the secret address, https, or http to a loopback address (ValueError otherwise); never logged.
    """

    update_interval_s = 0.0

    def __init__(self, url: str, *, timeout_s: float = 15.0) -> None:
        address, local = checked_url(url)
        self._client = AsyncWebhookClient(
            address, timeout=max(int(timeout_s), 1), logger=silent_logger(), retry_handlers=[]
        )
        if local:
            self._client.proxy = None  # slack-sdk takes a proxy from the environment, even for this machine

    async def send(self, item: Pending) -> str:
        """See ``Channel.send``. The reference is the severity and status that were posted last."""
        notice = item.notice
        if _told(item.remote_ref, notice):
            return item.remote_ref
        message = {
            "text": fallback(notice),
            "blocks": blocks(notice),
            "mrkdwn": False,
            "parse": "none",
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        try:
            answer = await self._client.send_dict(message)
        except FAILURES as error:
            raise api_failure(error) from None  # the cause may hold the secret address
        if answer.status_code != 200:
            # Slack answers with one word; anything else comes from something in between.
            code = answer.body if re.fullmatch(r"[a-z_]{1,60}", answer.body) else ""
            raise answer_failure(answer.status_code, code, answer.headers)
        return json.dumps({"severity": notice.severity, "status": notice.status})


def _told(remote_ref: str, notice: Notice) -> bool:
    told: dict[str, Any] = json.loads(remote_ref) if remote_ref else {}
    same = told.get("status") == notice.status
    return same and severity_rank(told["severity"]) >= severity_rank(notice.severity)
