"""Read ``vedette.yaml``: defaults, then every error at once with its path, then a frozen ``Settings``."""

from __future__ import annotations

import difflib
import re
import types
import typing
from pathlib import Path
from typing import Any

import msgspec
import yaml

from monitor.config_rules import semantic_errors
from monitor.errors import UserError
from monitor.settings import Settings

#: Internal topics, and what follows the group in their names.
_INTERNAL = {"state": "state", "windows": "windows", "bands": "bands", "by_client": "by-client"}


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
    if isinstance(settings, Settings) and isinstance(raw, dict) and not errors:
        settings = _named_after_group(settings, raw)
        errors += semantic_errors(settings)
        if baseline_needed:
            errors += _baseline_errors(settings)
    if errors or not isinstance(settings, Settings):
        raise ConfigError(source, errors)
    return settings


def _named_after_group(settings: Settings, raw: dict[str, Any]) -> Settings:
    """Internal topics without a name of their own are the group's: two groups must not write into one state."""
    prefix = re.sub(r"[^a-zA-Z0-9._-]", "-", settings.kafka.group)
    given = raw.get("topics", {})
    named = {
        field: msgspec.structs.replace(getattr(settings.topics, field), name=f"{prefix}-{suffix}")
        for field, suffix in _INTERNAL.items()
        if "name" not in given.get(field, {})
    }
    return msgspec.structs.replace(settings, topics=msgspec.structs.replace(settings.topics, **named))


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


def _baseline_errors(s: Settings) -> list[str]:
    path = s.detection.baseline
    if not path or Path(path).is_file():
        return []
    return [f"detection.baseline: no file {path!r}; make one with `vedette calibrate CLEAN... -o FILE`"]
