"""Configuration: every error at once, with its path; nothing secret in any text."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from monitor.config import ConfigError, load, parse
from monitor.secret import optional_secret
from monitor.settings import Settings


def errors(raw: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(raw)
    return caught.value.errors


def test_defaults_are_valid_and_dry_run() -> None:
    settings = parse({})
    assert settings == Settings()
    assert settings.response.mode == "dry-run"


def test_written_out_defaults_read_back() -> None:
    assert parse(msgspec.to_builtins(Settings())) == Settings()


def test_a_part_of_a_section_keeps_its_other_defaults() -> None:
    events = parse({"topics": {"events": {"partitions": 12}}}).topics.events
    assert (events.name, events.partitions) == ("inference-events", 12)


def test_internal_topics_are_named_after_their_group() -> None:
    topics = parse({"kafka": {"group": "team a"}, "topics": {"windows": {"name": "vedette-windows"}}}).topics
    names = (topics.state.name, topics.windows.name, topics.by_client.name)
    assert names == ("team-a-state", "vedette-windows", "team-a-by-client")
    assert (topics.windows.partitions, topics.by_client.partitions) == (1, None)
    assert parse({"topics": {"state": {"replication": 3}}}).topics.state.name == "vedette-state"


def test_the_state_follows_the_topic_that_is_judged() -> None:
    counts = {"events": {"partitions": 4}, "by_client": {"partitions": 8}, "state": {"partitions": 8}}
    assert parse({"topics": counts, "stream": {"rekey": True}}).topics.state.partitions == 8
    assert any("topics.events has 4" in e for e in errors({"topics": counts}))


def test_every_error_is_reported_at_once_with_its_path() -> None:
    found = errors(
        {
            "kafka": {"brokerz": ["a"], "session_timeout_s": "x", "security_protocol": "FOO"},
            "web": {"port": True},
            "response": {"policy": [{"actions": [{"type": "nuke"}]}, {}]},
            "windows": 3,
        }
    )
    assert [e.partition(":")[0] for e in found] == [
        "kafka.brokerz",
        "kafka.session_timeout_s",
        "kafka.security_protocol",
        "web.port",
        "response.policy[0].actions[0].type",
        "response.policy[1].actions",
        "windows",
    ]
    assert "did you mean 'brokers'" in found[0]


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"windows": {"size_s": 0}}, "windows.size_s"),
        ({"stream": {"idle_s": float("nan")}}, "stream.idle_s"),
        ({"detection": {"baseline": "/nowhere/b.vdb"}}, "detection.baseline"),
        (
            {"response": {"policy": [{"actions": [{"type": "block_ip", "ttl_s": None}]}]}},
            "response.policy[0].actions[0].ttl_s",
        ),
        (
            {"response": {"policy": [{"actions": [{"type": "block_ip", "ttl_s": 1e9}]}]}},
            "response.policy[0].actions[0].ttl_s",
        ),
        ({"response": {"allowlist": {"networks": ["10.0.0.0/33"]}}}, "response.allowlist.networks[0]"),
        ({"notifications": {"email": {"host": "mail.example.com"}}}, "notifications.email"),
        (
            {
                "notifications": {
                    "email": {"host": "m.example.com", "sender": "a@b.c", "recipients": ["d@e.f"], "security": "none"}
                }
            },
            "notifications.email.security",
        ),
        ({"notifications": {"slack": {"base_url": "http://slack.example.com/"}}}, "notifications.slack.base_url"),
        ({"kafka": {"security_protocol": "SASL_SSL"}}, "kafka.sasl_username"),
        ({"kafka": {"sasl_password_env": "VEDETTE_TEST_UNSET"}}, "kafka.sasl_password_env"),
        ({"kafka": {"brokers": []}}, "kafka.brokers"),
        ({"kafka": {"session_timeout_s": 91}}, "kafka.session_timeout_s"),
        ({"topics": {"findings": {"name": "inference-events"}}}, "topics.findings.name"),
        ({"topics": {"state": {"name": ""}}}, "topics.state.name"),
        ({"topics": {"state": {"partitions": 3}}}, "topics.state.partitions"),
        ({"topics": {"state": {"partitions": 0}}}, "topics.state.partitions"),
        ({"topics": {"windows": {"partitions": 0}}}, "topics.windows.partitions"),
        ({"stream": {"overload": {"behind_s": 60}}}, "stream.overload"),
        ({"stream": {"overload": {"lost_s": float("nan")}}}, "stream.overload"),
        ({"stream": {"overload": {"max_level": 4}}}, "stream.overload.max_level"),
        ({"stream": {"checkpoint_s": 0}}, "stream.checkpoint_s"),
        ([], "top level"),
    ],
)
def test_what_cannot_work_is_refused(raw: object, path: str) -> None:
    assert any(e.startswith(path) for e in errors(raw)), errors(raw)


def test_files(tmp_path: Path) -> None:
    good = tmp_path / "vedette.yaml"
    good.write_text("web: {port: 7000}\n")
    assert load(good).web.port == 7000
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    assert load(empty) == Settings()
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [\n")
    for path in (bad, tmp_path / "absent.yaml"):
        with pytest.raises(ConfigError, match=str(path)):
            load(path)


def test_secrets_come_from_environment_or_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEDETTE_TEST_SECRET", "hush")
    file = tmp_path / "secret"
    file.write_text("quiet\n")
    assert optional_secret("VEDETTE_TEST_SECRET", "", "s") == "hush"
    assert optional_secret("", str(file), "s") == "quiet"
    assert optional_secret("", "", "s") == ""
    settings = parse({"kafka": {"sasl_password_env": "VEDETTE_TEST_SECRET"}})
    assert "hush" not in repr(settings)
    with pytest.raises(ValueError, match="absent"):
        optional_secret("", str(tmp_path / "absent"), "s")
