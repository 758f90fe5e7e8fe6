"""docs/configuration.md knows every setting, names its default, and its example is valid."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from monitor.config import parse
from monitor.settings import InternalTopic, Settings, Topic

DOC = Path(__file__).parents[2].joinpath("docs", "configuration.md").read_text(encoding="utf-8")
#: Structs that several settings share are told once.
TOLD_ONCE = (Topic, InternalTopic)


def settings_of(kind: type[msgspec.Struct], section: str = "", path: str = "") -> Iterator[tuple[str, str, object]]:
    """(section, setting as the section's table calls it, default), for every plain setting."""
    hints = typing.get_type_hints(kind)
    for f in msgspec.structs.fields(kind):
        inner = hints[f.name]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and inner not in TOLD_ONCE:
            name = f"{path}.{f.name}" if path else f.name
            yield from settings_of(inner, section or f.name, name if section else "")
        else:
            yield section, f"{path}.{f.name}" if path else f.name, f.default


def rows(section: str) -> dict[str, str]:
    """Setting → default, from the first table below a section's heading."""
    heading = f"## `{section}`" if section else "## Top level"
    found: dict[str, str] = {}
    for line in DOC.partition(f"{heading}\n")[2].partition("\n## ")[0].splitlines():
        cells = line.split(" | ")
        if line.startswith("| `") and len(cells) >= 3:
            for name in re.findall(r"`([^`]+)`", cells[0]):
                found.setdefault(name, cells[1].strip())
    return found


@pytest.mark.parametrize(("section", "name", "default"), list(settings_of(Settings)), ids=lambda v: str(v)[:30])
def test_every_setting_is_there_with_its_default(section: str, name: str, default: object) -> None:
    table = rows(section)
    assert name in table, f"docs/configuration.md: {section}.{name} is missing"
    if isinstance(default, bool):
        assert table[name] == str(default).lower()
    elif isinstance(default, int | float):
        assert float(table[name]) == default
    elif isinstance(default, str) and default:
        assert table[name] == f"`{msgspec.to_builtins(default)}`"


@pytest.mark.parametrize("kind", ["AlibiDetector", "PolicyRule", "PolicyAction", "Topic", "InternalTopic"])
def test_every_setting_of_a_list_entry_is_there(kind: str) -> None:
    import monitor.settings

    for f in msgspec.structs.fields(getattr(monitor.settings, kind)):
        assert f"`{f.name}`" in DOC, f"docs/configuration.md: {f.name} of {kind} is missing"


def test_nothing_is_there_that_is_no_setting() -> None:
    known = {(section, name) for section, name, _ in settings_of(Settings)}
    entries = {"model", "path", "name", "options", "min_rows", "actions", "attack", "min_severity"}
    entries |= {"type", "ttl_s", "rate_per_s"}
    for section in {"", *(section for section, _ in known)}:
        for name in rows(section):
            inside = section in ("detection", "response") and name in entries
            assert (section, name) in known or inside, f"docs/configuration.md: no setting {section}.{name}"


def test_the_example_is_valid(tmp_path: Path) -> None:
    raw = yaml.safe_load(DOC.partition("```yaml\n")[2].partition("```")[0])
    secret, baseline = tmp_path / "secret", tmp_path / "baseline.vdb"
    secret.write_text("hush")
    baseline.touch()
    raw["kafka"]["sasl_password_file"] = str(secret)
    raw["notifications"]["slack"].pop("token_env")
    raw["notifications"]["slack"]["token_file"] = str(secret)
    raw["detection"]["baseline"] = str(baseline)
    raw["response"]["registry_dir"] = str(tmp_path)
    raw["data_dir"] = str(tmp_path)
    raw["alerts_file"] = str(tmp_path / "alerts.jsonl")
    settings = parse(raw)
    assert settings.response.mode == "dry-run"
    assert len(settings.response.policy) == 3
