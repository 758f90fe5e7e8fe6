"""Credentials: read from where they are said to be, never shown, and every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from monitor.app_credentials import faust_credentials
from monitor.kafka_auth import CredentialsError, Secret, client_options, sasl_password, tls_context
from monitor.settings import Kafka

PASSWORD = "correct horse"


@pytest.fixture
def sasl(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    return Kafka(
        brokers=("a:1", "b:2"),
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="vedette",
        sasl_password_env="KAFKA_PASSWORD",
    )


def test_plaintext_needs_nothing() -> None:
    assert client_options(Kafka()) == {"bootstrap_servers": ["localhost:9092"], "security_protocol": "PLAINTEXT"}
    assert faust_credentials(Kafka()) is None


def test_login_for_both_clients(sasl: Kafka) -> None:
    options = client_options(sasl)
    assert options == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "vedette",
        "sasl_plain_password": PASSWORD,
    }
    faust = credentials_to_aiokafka_auth(faust_credentials(sasl))
    assert {k: v for k, v in faust.items() if v is not None} == {
        k: v for k, v in options.items() if k != "bootstrap_servers"
    }


def test_login_over_tls_for_both_clients(sasl: Kafka) -> None:
    tls = Kafka(**{f: getattr(sasl, f) for f in sasl.__struct_fields__} | {"security_protocol": "SASL_SSL"})
    context = client_options(tls)["ssl_context"]
    faust = credentials_to_aiokafka_auth(faust_credentials(tls))
    assert (faust["security_protocol"], faust["sasl_plain_password"]) == ("SASL_SSL", PASSWORD)
    for ssl_context in (context, faust["ssl_context"]):
        assert ssl_context.check_hostname
        assert ssl_context.verify_mode.name == "CERT_REQUIRED"


def test_tls_without_login() -> None:
    auth = credentials_to_aiokafka_auth(faust_credentials(Kafka(security_protocol="SSL")))
    assert auth["security_protocol"] == "SSL"
    assert auth["ssl_context"].check_hostname


def test_no_representation_shows_a_password(sasl: Kafka) -> None:
    shown = [repr(sasl_password(sasl)), repr(client_options(sasl)), repr(faust_credentials(sasl)), repr(sasl)]
    assert not [text for text in shown if PASSWORD in text]
    assert Secret(PASSWORD) == PASSWORD


def test_a_password_file_loses_its_line_break(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    kafka = Kafka(security_protocol="SASL_SSL", sasl_username="v", sasl_password_file=str(file))
    assert sasl_password(kafka) == PASSWORD


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"sasl_username": "", "sasl_password_env": "KAFKA_PASSWORD"}, "kafka.sasl_username"),
        ({"sasl_username": "v"}, "sasl_password_env and"),
        ({"sasl_username": "v", "sasl_password_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE is not set"),
        ({"sasl_username": "v", "sasl_password_file": "/no/such/file"}, "/no/such/file"),
    ],
)
def test_what_is_missing_is_named(wrong: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    with pytest.raises(CredentialsError, match=told):
        client_options(Kafka(security_protocol="SASL_SSL", **wrong))


def test_unusable_certificates_are_named(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    for setting, told in {
        "ssl_cafile": "ssl_cafile: no certificates in .*garbage.pem",
        "ssl_certfile": "ssl_certfile: no usable certificate and key in .*garbage.pem",
        "ssl_keyfile": "ssl_certfile: needed beside kafka.ssl_keyfile",
    }.items():
        with pytest.raises(CredentialsError, match=told):
            tls_context(Kafka(security_protocol="SSL", **{setting: str(garbage)}))
        with pytest.raises(CredentialsError, match=f"kafka.{setting}: cannot read file /no/such/file"):
            tls_context(Kafka(security_protocol="SSL", **{setting: "/no/such/file"}))
