"""Broker credentials in the form Faust takes them. Part of the Faust shell: nothing but the app may import it."""

from __future__ import annotations

from faust import SASLCredentials, SSLCredentials

from monitor.kafka_auth import sasl_password, tls_context
from monitor.settings import Kafka


def faust_credentials(kafka: Kafka) -> SASLCredentials | SSLCredentials | None:
    """The value for the Faust setting ``broker_credentials``; None for plaintext without login.

    Raises:
        CredentialsError: what ``monitor.kafka_auth`` finds missing or unusable.
    """
    context = tls_context(kafka)
    if kafka.security_protocol.startswith("SASL"):
        return SASLCredentials(
            username=kafka.sasl_username,
            password=sasl_password(kafka),
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None
