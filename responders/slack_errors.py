"""Slack's answers as the outbox understands them: wait, ask a person, or try again. No secret gets into an error."""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from responders.channel import SendError
from responders.text import visible

#: Only a person can cure these, and they hold for every message of the channel.
_CONFIGURATION: Final = frozenset(
    [
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "missing_scope",
        "no_permission",
        "access_denied",
        "not_allowed_token_type",
        "enterprise_is_restricted",
        "ekm_access_denied",
        "org_login_required",
        "team_access_not_granted",
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "restricted_action",
        "restricted_action_read_only_channel",
        "invalid_token",
        "no_service",
        "no_team",
        "channel_is_archived",
        "action_prohibited",
        "posting_to_general_channel_denied",
        "user_not_found",
        "two_factor_setup_required",
        "team_disabled",
    ]
)
_PASSING: Final = frozenset(
    [
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
        "accesslimited",
        "rollup_error",
    ]
)
#: What slack-sdk raises: its own errors, the transport's, and AttributeError or ValueError on an answer it cannot read.
FAILURES: Final = (SlackClientError, aiohttp.ClientError, OSError, TimeoutError, AttributeError, ValueError)
#: Slack always names its delay; this is for a proxy that does not.
_UNNAMED_RETRY_AFTER_S: Final = 30.0


def silent_logger() -> logging.Logger:
    """For slack-sdk, which at DEBUG logs whole messages and, in its webhook client, the secret address."""
    logger = logging.getLogger("slack_sdk.vedette")
    logger.setLevel(logging.WARNING)
    return logger


def checked_url(url: str) -> tuple[str, bool]:
    """The address if it is https, or http to this machine, and whether it is this machine.

    Raises ValueError without naming the address: a webhook's is a secret.
    """
    parts = urlsplit(url)
    local = _is_loopback(parts.hostname or "")
    if not parts.hostname or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not local):
        raise ValueError("Slack address: must be https, or http to a loopback address")
    if parts.username is not None or parts.password is not None:
        raise ValueError("Slack address: must not hold a user name or password")
    return url, local


def error_code(error: SlackApiError) -> str:
    """Slack's name for what went wrong, "" if the answer was none of Slack's."""
    data = getattr(error.response, "data", None)
    code = data.get("error") if isinstance(data, dict) else None
    return visible(code, 80) if isinstance(code, str) else ""


def api_failure(error: Exception) -> SendError:
    """What an exception from a slack-sdk client means for delivery."""
    if isinstance(error, SlackApiError):
        # A body that slack-sdk cannot read comes with the transport's own response object.
        status = getattr(error.response, "status_code", getattr(error.response, "status", 0))
        return answer_failure(status, error_code(error), getattr(error.response, "headers", {}))
    reason = f": {os.strerror(error.errno)}" if isinstance(error, OSError) and error.errno else ""
    unreachable = isinstance(error, aiohttp.ClientConnectorError)
    return SendError(f"Slack not reached: {type(error).__name__}{reason}", uncertain=not unreachable)


def answer_failure(status: int, code: str, headers: Mapping[str, str]) -> SendError:
    """What an HTTP answer other than success means for delivery."""
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return SendError("Slack: rate limited", retry_after_s=_retry_after_s(headers))
    if code in _CONFIGURATION:
        return SendError(f"Slack: {code}; check the token or webhook, its scopes and the channel", permanent=True)
    if status >= 500 or code in _PASSING or not code:
        return SendError(f"Slack: HTTP {status} {code}".rstrip(), uncertain=True)
    return SendError(f"Slack refused the message: {code}", permanent=True, whole_channel=False)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    value = next((v for k, v in headers.items() if k.lower() == "retry-after"), "")
    return float(value) if value.isascii() and value.isdigit() else _UNNAMED_RETRY_AFTER_S


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
