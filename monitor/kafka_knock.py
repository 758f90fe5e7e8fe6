"""Knocks at a broker: connection, TLS, login, one question. Tells at once what clients report only as a timeout."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Final

from kafka import errors as kafka_errors
from kafka.net.sasl import get_sasl_mechanism

from monitor.errors import UserError
from monitor.kafka_auth import client_options, tls_context
from monitor.settings import Kafka

_METADATA: Final = 3
_SASL_HANDSHAKE: Final = 17
_SASL_AUTHENTICATE: Final = 36
#: Room for the metadata of a large cluster; what is longer is no Kafka.
_MAX_REPLY_BYTES: Final = 1 << 24
_CLOSED: Final = "it closes the connection; does kafka.security_protocol fit that listener?"


class KafkaProblem(UserError, RuntimeError):  # noqa: N818 - topics, rights and logins are no errors of ours
    """Kafka cannot be used as configured; the text says what is wrong and what to do."""


class BrokerUnreachable(KafkaProblem):
    """No broker answers. May pass: the caller may wait and try again."""


def knock(kafka: Kafka, address: str, timeout_s: float) -> None:
    """Connect to ``HOST:PORT`` as configured and ask for metadata, once.

    Raises:
        BrokerUnreachable: no connection, no TLS session, or no sensible answer within ``timeout_s`` per step.
        KafkaProblem: the address is none, its certificate is not trusted, or it refuses the login.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise KafkaProblem(f"kafka.brokers: {address!r} is not HOST:PORT")
    context = tls_context(kafka)
    host = host.strip("[]")
    try:
        with socket.create_connection((host, int(port)), timeout=timeout_s) as plain:
            if context is None:
                _ask_all(plain, kafka, address)
            else:
                with context.wrap_socket(plain, server_hostname=host) as secure:
                    _ask_all(secure, kafka, address)
    except TimeoutError:
        raise BrokerUnreachable(f"{address}: no answer within {timeout_s:g} s over {kafka.security_protocol}") from None
    except ssl.SSLCertVerificationError as error:
        raise KafkaProblem(
            f"{address}: its certificate is not trusted: {error.verify_message}; see kafka.ssl_cafile, and that the "
            "address is one of its names"
        ) from None
    except ssl.SSLError as error:
        raise BrokerUnreachable(f"{address}: no TLS session: {error}; see kafka.ssl_cafile, ssl_certfile") from None
    except (EOFError, ConnectionResetError, BrokenPipeError):
        raise BrokerUnreachable(f"{address}: {_CLOSED}") from None
    except OSError as error:
        raise BrokerUnreachable(f"{address}: {error.strerror or error}") from None
    except (struct.error, ValueError) as error:
        raise BrokerUnreachable(f"{address}: its answer is not Kafka's: {error}") from None


def _ask_all(sock: socket.socket, kafka: Kafka, address: str) -> None:
    if kafka.security_protocol.startswith("SASL"):
        _log_in(sock, kafka, address)
    brokers = struct.unpack(">i", _ask(sock, _METADATA, 1, struct.pack(">i", 0))[:4])[0]
    if brokers < 1:
        raise BrokerUnreachable(f"{address}: its cluster has no broker that is ready")


def _log_in(sock: socket.socket, kafka: Kafka, address: str) -> None:
    """The SASL exchange: handshake version 1, then tokens until the mechanism is content."""
    mechanism = get_sasl_mechanism(kafka.sasl_mechanism)(**client_options(kafka))
    name = kafka.sasl_mechanism.encode()
    reply = _ask(sock, _SASL_HANDSHAKE, 1, struct.pack(">h", len(name)) + name)
    _accept(kafka, address, struct.unpack(">h", reply[:2])[0], f"it offers {', '.join(_strings(reply[2:]))}")
    while not mechanism.is_done():
        token = mechanism.auth_bytes()
        reply = _ask(sock, _SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
        code, length = struct.unpack(">hh", reply[:4])
        text_end = 4 + max(length, 0)
        _accept(kafka, address, code, reply[4:text_end].decode(errors="replace"))
        mechanism.receive(reply[text_end + 4 :])


def _accept(kafka: Kafka, address: str, code: int, why: str) -> None:
    if code:
        raise KafkaProblem(
            f"{address}: refuses the login of {kafka.sasl_username!r} with {kafka.sasl_mechanism}: "
            f"{kafka_errors.for_code(code).__name__}, {why}; check kafka.sasl_username, sasl_mechanism and the password"
        )


def _ask(sock: socket.socket, api: int, version: int, body: bytes) -> bytes:
    """Body of the reply to one request, sent without a client id and with correlation id ``api``."""
    request = struct.pack(">hhih", api, version, api, -1) + body
    sock.sendall(struct.pack(">i", len(request)) + request)
    length, correlation = struct.unpack(">ii", _exactly(sock, 8))
    if correlation != api or not 4 <= length <= _MAX_REPLY_BYTES:
        raise ValueError("wrong frame")
    return _exactly(sock, length - 4)


def _exactly(sock: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        part = sock.recv(min(size - len(received), 1 << 16))
        if not part:
            raise EOFError
        received += part
    return bytes(received)


def _strings(raw: bytes) -> list[str]:
    """An array of strings as Kafka encodes it."""
    (count,), at, found = struct.unpack(">i", raw[:4]), 4, []
    for _ in range(count):
        (length,) = struct.unpack(">h", raw[at : at + 2])
        found.append(raw[at + 2 : at + 2 + length].decode(errors="replace"))
        at += 2 + length
    return found
