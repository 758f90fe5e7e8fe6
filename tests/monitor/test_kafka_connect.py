"""Every way in which brokers cannot be used has its own clear error."""

from __future__ import annotations

import logging
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka.client import AIOKafkaClient
from brokers import BrokerHandle, apache, free_port, topic_name
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from monitor.app_credentials import faust_credentials
from monitor.kafka_admin import ensure_topics
from monitor.kafka_connect import BrokerUnreachable, KafkaProblem, admin_client
from monitor.kafka_knock import knock
from monitor.settings import Kafka, Topic

TIMEOUT_S = 3.0


def refusal(kafka: Kafka, kind: type[KafkaProblem] = KafkaProblem, timeout_s: float = TIMEOUT_S) -> str:
    """The error's text; the client's thread must be gone with it."""
    before = set(threading.enumerate())
    with pytest.raises(kind) as caught, admin_client(kafka, timeout_s=timeout_s):
        pass
    assert set(threading.enumerate()) <= before
    return str(caught.value)


def test_nobody_there_names_each_address_and_why() -> None:
    one, other = f"127.0.0.1:{free_port()}", f"[::1]:{free_port()}"
    text = refusal(Kafka(brokers=(one, other)), BrokerUnreachable)
    assert f"{one}: Connection refused" in text
    assert f"{other}: " in text
    assert "kafka.brokers" in text


def test_a_name_that_does_not_resolve() -> None:
    assert "no-such-host.invalid:9092" in refusal(Kafka(brokers=("no-such-host.invalid:9092",)), BrokerUnreachable)


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":9092", "localhost:kafka", "localhost:0", "a:65536"])
def test_an_address_that_is_none(address: str) -> None:
    assert refusal(Kafka(brokers=(address,))) == f"kafka.brokers: {address!r} is not HOST:PORT"


def test_one_broker_of_several_is_enough(broker: BrokerHandle) -> None:
    with admin_client(Kafka(brokers=(f"127.0.0.1:{free_port()}", broker.bootstrap))) as admin:
        assert isinstance(admin.list_topics(), list)


def test_a_listener_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        text = refusal(Kafka(brokers=(address,)), BrokerUnreachable, timeout_s=0.2)
    assert f"{address}: no answer within 0.2 s over PLAINTEXT" in text


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (b"", "closes the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not Kafka's"),
        (b"\0\0\0\4\0\0\0\3", "not Kafka's"),
        (b"\0\0\0\10\0\0\0\3\0\0\0\0", "no broker that is ready"),
        (b"\x7f\xff\xff\xff\0\0\0\3", "not Kafka's"),
    ],
)
def test_a_listener_that_is_not_kafka(reply: bytes, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        kafka = Kafka(brokers=(f"127.0.0.1:{server.getsockname()[1]}",))
        with pytest.raises(BrokerUnreachable, match=told):
            knock(kafka, kafka.brokers[0], TIMEOUT_S)
        thread.join()


@dataclass(frozen=True)
class Secured:
    """A broker with three doors: plain, with a password, and with certificates on both sides."""

    plain: Kafka
    sasl_address: str
    tls: Kafka

    def sasl(self, user: str, mechanism: str = "PLAIN") -> Kafka:
        return Kafka(
            brokers=(self.sasl_address,),
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism=mechanism,
            sasl_username=user,
            sasl_password_env="TEST_KAFKA_PASSWORD",
        )


def _certificates(folder: Path) -> None:
    """``ca.pem``, and ``server`` and ``client`` each as ``NAME.pem`` (certificate and key) signed by it."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test-ca")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.crt", *signed)
        (folder / f"{name}.pem").write_text((folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text())


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    _certificates(folder)
    sasl_address, tls_address = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
    listeners = f"SASL_PLAINTEXT://{sasl_address},SSL://{tls_address}"
    properties = (
        f"listeners+={listeners}",
        f"advertised.listeners+={listeners}",
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256",
        f"listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config={scram} required;",
        f'listener.name.sasl_plaintext.plain.sasl.jaas.config={login} user_vedette="right" user_guest="right";',
        "ssl.keystore.type=PEM",
        f"ssl.keystore.location={folder / 'server.pem'}",
        "ssl.truststore.type=PEM",
        f"ssl.truststore.location={folder / 'ca.pem'}",
        "listener.name.ssl.ssl.client.auth=required",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users=User:ANONYMOUS;User:vedette;User:CN=client",
    )
    with apache(folder / "kafka", properties) as running:
        with KafkaAdminClient(bootstrap_servers=running.bootstrap) as admin:
            admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion("vedette", ScramMechanism.SCRAM_SHA_256, "right")]
            )
        tls = Kafka(
            brokers=(tls_address,),
            security_protocol="SSL",
            ssl_cafile=str(folder / "ca.pem"),
            ssl_certfile=str(folder / "client.pem"),
        )
        yield Secured(running.kafka, sasl_address, tls)


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_the_right_password_opens(secured: Secured, mechanism: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", "right")
    name = topic_name()
    assert ensure_topics(secured.sasl("vedette", mechanism), [Topic(name)]).created == (name,)


@pytest.mark.kafka
async def test_the_same_settings_open_for_faust(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", "right")
    for kafka in (secured.plain, secured.sasl("vedette"), secured.tls):
        client = AIOKafkaClient(
            bootstrap_servers=list(kafka.brokers), **credentials_to_aiokafka_auth(faust_credentials(kafka))
        )
        await client.bootstrap()
        assert len(client.cluster.brokers()) == 1
        await client.close()


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_a_wrong_password_is_told_but_not_shown(
    secured: Secured, mechanism: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", "wr0ng-0ne")
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "kafka"):
        text = refusal(secured.sasl("vedette", mechanism))
    assert f"refuses the login of 'vedette' with {mechanism}: SaslAuthenticationFailedError" in text
    assert "wr0ng-0ne" not in text + caplog.text


@pytest.mark.kafka
def test_a_password_is_in_no_log_of_a_login(
    secured: Secured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", "right")
    with (
        caplog.at_level(logging.DEBUG),
        caplog.at_level(logging.DEBUG, "kafka"),  # whatever level another test has left there
        admin_client(secured.sasl("vedette", "SCRAM-SHA-256")) as admin,
    ):
        admin.list_topics()
    assert "'sasl_plain_username': 'vedette'" in caplog.text  # the client does log its options
    assert "'right'" not in caplog.text


@pytest.mark.kafka
def test_a_mechanism_that_is_not_offered(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", "right")
    text = refusal(secured.sasl("vedette", "SCRAM-SHA-512"))
    assert "with SCRAM-SHA-512: UnsupportedSaslMechanismError, it offers PLAIN, SCRAM-SHA-256" in text


@pytest.mark.kafka
def test_missing_rights_name_user_and_topic(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KAFKA_PASSWORD", "right")
    name = topic_name()
    with pytest.raises(KafkaProblem, match=rf"user 'guest' may not look up topic {name}: grant it"):
        ensure_topics(secured.sasl("guest"), [Topic(name)])


@pytest.mark.kafka
def test_a_listener_of_another_protocol(secured: Secured) -> None:
    text = refusal(Kafka(brokers=(secured.sasl_address,)), BrokerUnreachable)
    assert "does kafka.security_protocol fit that listener?" in text
    text = refusal(Kafka(brokers=secured.plain.brokers, security_protocol="SSL"), BrokerUnreachable)
    assert "no TLS session" in text


@pytest.mark.kafka
def test_certificates_open_and_an_unknown_authority_does_not(secured: Secured) -> None:
    name = topic_name()
    assert ensure_topics(secured.tls, [Topic(name)]).created == (name,)
    text = refusal(Kafka(brokers=secured.tls.brokers, security_protocol="SSL"))
    assert "its certificate is not trusted: " in text
    assert "kafka.ssl_cafile" in text


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("topic", "told"),
    [(Topic("x" * 300), "InvalidTopicError"), (Topic("three", replication=3), "InvalidReplicationFactorError")],
)
def test_a_topic_the_broker_refuses(secured: Secured, topic: Topic, told: str) -> None:
    with pytest.raises(KafkaProblem, match=told):
        ensure_topics(secured.plain, [topic])
