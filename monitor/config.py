"""Read ``vedette.yaml``: defaults, then every error at once with its path, then a frozen ``Settings``."""

from __future__ import annotations

import difflib
import ipaddress
import types
import typing
from pathlib import Path
from typing import Any

import msgspec
import yaml

from monitor.errors import UserError
from monitor.secret import CredentialsError, optional_secret
from monitor.settings import Settings
from responders.decision import ActionType
from responders.slack_errors import checked_url

#: Actions that must expire: they hurt somebody if the verdict was wrong.
_MUST_EXPIRE = {ActionType.QUARANTINE, ActionType.BLOCK_IP, ActionType.THROTTLE}


class ConfigError(UserError, ValueError):
    """Everything that is wrong with a configuration; ``errors`` are lines of ``path: what is wrong and what to do``."""

    def __init__(self, source: str, errors: list[str]) -> None:
        lines = "\n".join(f"  {e}" for e in errors)
        super().__init__(f"{source}: {len(errors)} error{'s' if len(errors) != 1 else ''}\n{lines}")
        self.errors = errors


def load(path: Path | None, *, baseline_needed: bool = True) -> Settings:
    """Settings from a YAML file, or the defaults if ``path`` is None.

    ``baseline_needed=False`` is for making the baseline that the file names.

    Raises ConfigError naming every error; unreadable files and bad YAML are errors too.
    """
    if path is None:
        return Settings()
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"is not YAML: {' '.join(str(error).split())}"]) from error
    return parse(raw if raw is not None else {}, str(path), baseline_needed=baseline_needed)


def parse(raw: object, source: str = "configuration", *, baseline_needed: bool = True) -> Settings:
    """Settings from plain data (what YAML gives). Raises ConfigError naming every error."""
    errors: list[str] = []
    settings = _struct(Settings, raw, "", errors)
    if isinstance(settings, Settings):
        errors += _semantic_errors(settings)
        if baseline_needed:
            errors += _baseline_errors(settings)
    if errors or not isinstance(settings, Settings):
        raise ConfigError(source, errors)
    return settings


def _struct(
    kind: type[msgspec.Struct], raw: object, path: str, errors: list[str], base: msgspec.Struct | None = None
) -> object:
    """``raw`` over ``base`` (the default of the field, if any), so that a part of a section can be set."""
    if not isinstance(raw, dict):
        errors.append(f"{path or 'top level'}: expected a mapping, got {type(raw).__name__}")
        return None
    before = len(errors)
    fields = {f.encode_name: f for f in msgspec.structs.fields(kind)}
    types_by_name = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in raw.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in fields:
            near = difflib.get_close_matches(str(key), list(fields), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(fields)}"
            errors.append(f"{where}: unknown setting; {hint}")
            continue
        name = fields[key].name
        default = getattr(base, name) if base is not None else fields[key].default
        values[name] = _value(types_by_name[name], value, where, errors, default)
    for name, f in fields.items():
        if f.required and base is None and name not in raw:
            errors.append(f"{path}.{name}: required".lstrip("."))
    if len(errors) > before:
        return None
    return msgspec.structs.replace(base, **values) if base is not None else kind(**values)


def _value(kind: Any, raw: object, path: str, errors: list[str], default: object) -> object:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(kind, raw, path, errors, default if isinstance(default, msgspec.Struct) else None)
    args = typing.get_args(kind)
    item = args[0] if typing.get_origin(kind) is tuple else None
    if item is not None and isinstance(item, type) and issubclass(item, msgspec.Struct) and isinstance(raw, list):
        return tuple(_struct(item, value, f"{path}[{i}]", errors) for i, value in enumerate(raw))
    if isinstance(raw, bool) and (kind in (int, float) or isinstance(kind, types.UnionType)):
        errors.append(f"{path}: expected a number, got {raw}")
        return None
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        errors.append(f"{path}: {str(error).replace('Expected', 'expected')}")
        return None


def _semantic_errors(s: Settings) -> list[str]:
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
        "topics.events.partitions topics.dead_letters.partitions topics.findings.partitions"
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
    if not 0 <= s.web.port <= 65535:
        errors.append(f"web.port: {s.web.port} is no port")
    errors += _policy_errors(s) + _secret_errors(s)
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


def _baseline_errors(s: Settings) -> list[str]:
    path = s.detection.baseline
    if not path or Path(path).is_file():
        return []
    return [f"detection.baseline: no file {path!r}; make one with `vedette calibrate CLEAN... -o FILE`"]


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
