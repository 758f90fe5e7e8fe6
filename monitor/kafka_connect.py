"""An admin client that is really connected, or one error that says which address, which login, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient

from monitor.kafka_auth import client_options
from monitor.kafka_knock import BrokerUnreachable, KafkaProblem, knock
from monitor.settings import Kafka

__all__ = ["BrokerUnreachable", "KafkaProblem", "admin_client"]


@contextmanager
def admin_client(kafka: Kafka, timeout_s: float = 10.0) -> Iterator[KafkaAdminClient]:
    """An admin client, closed at the end; its own errors inside the block become BrokerUnreachable.

    Raises:
        CredentialsError: see ``monitor.kafka_auth``.
        BrokerUnreachable: no broker answers within ``timeout_s``.
        KafkaProblem: the login is refused, an address is none, or a right is missing for what is asked inside.
    """
    where = ", ".join(kafka.brokers)
    options = client_options(kafka)  # what is missing here no broker can mend: it is said first
    _knock_at_one(kafka, timeout_s)
    clients: list[KafkaNetClient] = []

    def remembered(**config: object) -> KafkaNetClient:
        clients.append(KafkaNetClient(**config))
        return clients[-1]

    timeout_ms = int(timeout_s * 1000)
    try:
        admin = KafkaAdminClient(
            **options,
            bootstrap_timeout_ms=timeout_ms,
            request_timeout_ms=timeout_ms,
            reconnect_backoff_max_ms=500,
            kafka_client=remembered,
        )
    except kafka_errors.KafkaError as error:
        # a client that failed to start leaves its thread behind unless it is closed from here
        for client in clients:
            client.close()
        raise BrokerUnreachable(f"Kafka at {where} answered once, but not again: {error}") from error
    with closing(admin):
        try:
            yield admin
        except kafka_errors.AuthorizationError as error:
            raise KafkaProblem(f"Kafka at {where} does not allow it: {error}") from error
        except kafka_errors.KafkaError as error:
            raise BrokerUnreachable(f"Kafka at {where} failed while in use: {error}") from error


def _knock_at_one(kafka: Kafka, timeout_s: float) -> None:
    """Returns if any broker answers; says of each why not otherwise."""
    reasons = []
    for address in kafka.brokers:
        try:
            knock(kafka, address, timeout_s / len(kafka.brokers))
            return
        except BrokerUnreachable as reason:
            reasons.append(str(reason))
    raise BrokerUnreachable(f"no Kafka broker answers. {'. '.join(reasons)}. Start it, or set kafka.brokers")
