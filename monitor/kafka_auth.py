"""``settings.Kafka`` turned into client options: brokers, TLS, login. Reads secrets, never shows them."""

from __future__ import annotations

import os
import ssl

from monitor.secret import CredentialsError, Secret, read_secret
from monitor.settings import Kafka


def sasl_password(kafka: Kafka) -> Secret:
    """The SASL password from the environment or a file.

    Raises:
        CredentialsError: no user name, no place to read from, or nothing there.
    """
    if not kafka.sasl_username:
        raise CredentialsError(f"kafka.sasl_username: needed for security_protocol {kafka.security_protocol}")
    return read_secret(kafka.sasl_password_env, kafka.sasl_password_file, "kafka.sasl_password")


def tls_context(kafka: Kafka) -> ssl.SSLContext | None:
    """TLS settings that verify the broker's certificate and name; None for an unencrypted protocol.

    Raises:
        CredentialsError: a certificate or key file is missing or unusable.
    """
    if kafka.security_protocol not in ("SSL", "SASL_SSL"):
        return None
    for setting in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        path = getattr(kafka, setting)
        if path and not os.access(path, os.R_OK):
            raise CredentialsError(f"kafka.{setting}: cannot read file {path}")
    try:
        context = ssl.create_default_context(cafile=kafka.ssl_cafile or None)
    except ssl.SSLError as error:
        raise CredentialsError(f"kafka.ssl_cafile: no certificates in {kafka.ssl_cafile} ({error.reason})") from None
    if kafka.ssl_keyfile and not kafka.ssl_certfile:
        raise CredentialsError("kafka.ssl_certfile: needed beside kafka.ssl_keyfile")
    if kafka.ssl_certfile:
        try:
            # an empty password makes an encrypted key an error instead of a question on the terminal
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile or None, password="")
        except ssl.SSLError as error:
            files = " and ".join(filter(None, (kafka.ssl_certfile, kafka.ssl_keyfile)))
            raise CredentialsError(f"kafka.ssl_certfile: no usable certificate and key in {files}") from error
    return context


def client_options(kafka: Kafka) -> dict[str, object]:
    """Keyword arguments for kafka-python's and aiokafka's clients: brokers, protocol and credentials.

    Raises:
        CredentialsError: see ``sasl_password`` and ``tls_context``.
    """
    options: dict[str, object] = {
        "bootstrap_servers": list(kafka.brokers),
        "security_protocol": kafka.security_protocol,
    }
    context = tls_context(kafka)
    if context is not None:
        options["ssl_context"] = context
    if kafka.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = sasl_password(kafka)
    return options
