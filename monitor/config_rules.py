"""What the types of settings cannot say: figures out of range, settings that exclude or need each other, secrets."""

from __future__ import annotations

import ipaddress
from typing import Any

from monitor.secret import CredentialsError, optional_secret
from monitor.settings import Settings
from responders.decision import ActionType
from responders.slack_errors import checked_url

#: Faust refuses a session that may last longer than a request of its own.
_MOST_SESSION_S = 90.0
#: Actions that must expire: they hurt somebody if the verdict was wrong.
_MUST_EXPIRE = {ActionType.QUARANTINE, ActionType.BLOCK_IP, ActionType.THROTTLE}


def semantic_errors(s: Settings) -> list[str]:
    """Lines of ``path: what is wrong and what to do``; none if all fits."""
    errors: list[str] = []

    def positive(path: str, value: float | None) -> None:
        if value is not None and not 0 < value < float("inf"):
            errors.append(f"{path}: must be a positive number, got {value}")

    numbers = (
        "stream.batch_events stream.batch_within_s stream.max_event_bytes stream.max_future_s stream.idle_s "
        "windows.size_s windows.sample_rows clients.ttl_s clients.dedupe_s clients.max_clients clients.max_state_mb "
        "detection.false_alarms.clients_per_day detection.false_alarms.windows_per_day response.resolve_after_s "
        "response.caps.max_active_blocks response.caps.max_client_share response.caps.max_actions_per_hour "
        "response.caps.max_ttl_s "
        "response.caps.max_clients_per_ip kafka.session_timeout_s "
        "topics.events.partitions topics.dead_letters.partitions topics.findings.partitions "
        "topics.state.partitions topics.windows.partitions topics.bands.partitions topics.by_client.partitions "
        "detection.groups.memory_s detection.groups.max_rows stream.checkpoint_s "
        "stream.overload.behind_s stream.overload.dwell_s retention.days"
    )
    for path in numbers.split():
        value: Any = s
        for part in path.split("."):
            value = getattr(value, part)
        positive(path, value)
    if s.windows.grace_s < 0:
        errors.append("windows.grace_s: must not be negative")
    if not s.kafka.brokers:
        errors.append("kafka.brokers: name at least one HOST:PORT")
    if s.kafka.session_timeout_s > _MOST_SESSION_S:
        errors.append(f"kafka.session_timeout_s: at most {_MOST_SESSION_S:g}")
    if not 0 <= s.web.port <= 65535:
        errors.append(f"web.port: {s.web.port} is no port")
    if s.stream.rekey and s.stream.delivery != "batch":
        errors.append("stream.rekey: needs stream.delivery batch; stock delivery can leave records out in a rebalance")
    errors += _topic_errors(s) + _overload_errors(s) + _policy_errors(s) + _secret_errors(s)
    for i, network in enumerate(s.response.allowlist.networks):
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            errors.append(f"response.allowlist.networks[{i}]: {error}")
    email = s.notifications.email
    if email.host and not (email.sender and email.recipients):
        errors.append("notifications.email: host is set; sender and recipients are required too")
    if email.security == "none" and email.host not in ("", "localhost", "127.0.0.1", "::1"):
        errors.append("notifications.email.security: none is for loopback hosts only; use starttls or tls")
    slack = s.notifications.slack
    try:
        checked_url(slack.base_url)
    except ValueError as error:
        errors.append(f"notifications.slack.base_url: {error}")
    if (slack.token_env or slack.token_file) and not slack.channel:
        errors.append("notifications.slack.channel: required with a bot token; a channel id (C...) or #name")
    return errors


def _topic_errors(s: Settings) -> list[str]:
    """Topics that must not be the same, and counts that cannot fit; what the broker has is checked at the start."""
    topics = s.topics
    named = [(f, getattr(topics, f)) for f in topics.__struct_fields__ if f != "create"]
    errors = [f"topics.{f}.name: must not be empty" for f, topic in named if not topic.name]
    taken: dict[str, str] = {}
    for f, topic in named:
        other = taken.setdefault(topic.name, f)
        if other != f:
            errors.append(f"topics.{f}.name: {topic.name!r} is topics.{other}.name already; give each its own topic")
    judged = (topics.by_client.partitions if s.stream.rekey else None) or topics.events.partitions
    if topics.state.partitions not in (None, judged):
        what = "topics.by_client" if s.stream.rekey else "topics.events"
        errors.append(f"topics.state.partitions: {topics.state.partitions}, but {what} has {judged}; leave it out")
    return errors


def _overload_errors(s: Settings) -> list[str]:
    o = s.stream.overload
    if o.behind_s < o.far_behind_s < o.lost_s < float("inf"):
        return []
    steps = f"{o.behind_s:g}, {o.far_behind_s:g}, {o.lost_s:g}"
    return [f"stream.overload: behind_s, far_behind_s and lost_s must increase, got {steps}"]


def _policy_errors(s: Settings) -> list[str]:
    errors: list[str] = []
    for i, rule in enumerate(s.response.policy):
        for j, action in enumerate(rule.actions):
            path = f"response.policy[{i}].actions[{j}]"
            if action.type in _MUST_EXPIRE and action.ttl_s is None:
                errors.append(f"{path}.ttl_s: {action.type.value} must expire; give seconds")
            if action.ttl_s is not None and not 0 < action.ttl_s <= s.response.caps.max_ttl_s:
                errors.append(f"{path}.ttl_s: must be in (0, caps.max_ttl_s = {s.response.caps.max_ttl_s:g}]")
            if action.type is ActionType.THROTTLE and not action.rate_per_s > 0:
                errors.append(f"{path}.rate_per_s: must be positive")
    return errors


def _secret_errors(s: Settings) -> list[str]:
    errors: list[str] = []
    slack = s.notifications.slack
    for path, env, file in (
        ("kafka.sasl_password", s.kafka.sasl_password_env, s.kafka.sasl_password_file),
        ("notifications.slack.token", slack.token_env, slack.token_file),
        ("notifications.slack.webhook", slack.webhook_env, slack.webhook_file),
        ("notifications.email.password", s.notifications.email.password_env, s.notifications.email.password_file),
    ):
        try:
            optional_secret(env, file, path)
        except CredentialsError as error:
            errors.append(str(error))
    if s.kafka.security_protocol.startswith("SASL") and not s.kafka.sasl_username:
        errors.append(f"kafka.sasl_username: required with security_protocol {s.kafka.security_protocol}")
    return errors
