"""E-mail by SMTP, encrypted or not at all: STARTTLS or TLS with a verified certificate, plain only to this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final, Literal

import aiosmtplib
import msgspec
import structlog

from responders.channel import Pending, SendError
from responders.mail_render import Thread, render
from responders.text import visible

#: A dot-atom and a host name (RFC 5321, 4.1.2), without quoted names and address literals.
_ADDRESS: Final = re.compile(
    r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", re.A
)

_log = structlog.get_logger(__name__)


class MailServer(msgspec.Struct, frozen=True):
    """Where mail is handed in.

    Attributes:
        security: ``starttls`` is required, not tried; ``none`` is refused unless the host is this machine.
        ca_file: certificates to trust instead of the system's, "" for the system's.
        timeout_s: for connecting, and for each answer.
    """

    host: str
    port: int = 587
    username: str = ""
    password: str = ""
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str = ""
    timeout_s: float = 10.0

    def __repr__(self) -> str:
        """Without the password."""
        return f"MailServer({self.host!r}, {self.port}, {self.security!r})"


class Mail:
    """One message to all recipients per revision that is due; updates are replies, so that clients thread them.

    Nobody wants a mail for every finding of a long attack: mere growth is told hourly.

    Args:
        sender, recipients: plain ASCII addresses, ``name@domain``. ValueError otherwise.
        clock: wall clock, seconds since the epoch, for the Date field.
    """

    update_interval_s = 3600.0

    def __init__(
        self, server: MailServer, sender: str, recipients: tuple[str, ...], clock: Callable[[], float]
    ) -> None:
        if not recipients:
            raise ValueError("e-mail: name at least one recipient")
        self._server = server
        self._sender = _address(sender)
        self._recipients = tuple(_address(recipient) for recipient in recipients)
        self._clock = clock
        # ``create_default_context`` verifies the certificate and the host name.
        self._tls = None if server.security == "none" else ssl.create_default_context(cafile=server.ca_file or None)

    async def send(self, item: Pending) -> str:
        """See ``Channel.send``. The reference is the thread."""
        thread = msgspec.json.decode(item.remote_ref, type=Thread) if item.remote_ref else None
        message, thread = render(item.notice, item.sent, thread, self._sender, self._recipients, self._clock())
        try:
            refused = await self._hand_in(message)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise _failure(error) from None
        if refused:
            _log.warning("mail server refused some recipients", recipients=sorted(refused))
        return msgspec.json.encode(thread).decode()

    async def _hand_in(self, message: EmailMessage) -> dict[str, aiosmtplib.SMTPResponse]:
        server = self._server
        refused, _ = await aiosmtplib.send(
            message.as_bytes(),
            sender=self._sender.addr_spec,
            recipients=[recipient.addr_spec for recipient in self._recipients],
            hostname=await _loopback_address(server) if server.security == "none" else server.host,
            port=server.port,
            username=server.username or None,
            password=server.password or None,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=self._tls,
            timeout=server.timeout_s,
        )
        return refused


async def _loopback_address(server: MailServer) -> str:
    """The address to connect to: what was checked is what is used, whatever the name resolves to a moment later."""
    found = await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    addresses = [str(info[4][0]) for info in found]
    if not addresses or not all(ipaddress.ip_address(a.partition("%")[0]).is_loopback for a in addresses):
        raise SendError(
            f"e-mail: security is none, and {visible(server.host, 100)} is not this machine; use starttls or tls",
            permanent=True,
        )
    return addresses[0]


def _address(text: str) -> Address:
    if len(text) > 254 or not _ADDRESS.fullmatch(text):
        raise ValueError(f"e-mail: {visible(text, 100)!r} is no plain name@domain address")
    return Address(addr_spec=text)


def _failure(error: Exception) -> SendError:
    """What an SMTP failure means for delivery: replies from 500 on are permanent (RFC 5321, 4.2.1), others pass."""
    if _is_certificate_error(error):
        return SendError("e-mail: the server's certificate is not valid for it", permanent=True)
    # The bare class means: the server offers no STARTTLS, no login, or none of our ways to log in.
    if type(error) is aiosmtplib.SMTPException or isinstance(error, aiosmtplib.SMTPNotSupported):
        return SendError(f"e-mail: {visible(str(error), 200)}", permanent=True)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        permanent = all(refusal.code >= 500 for refusal in error.recipients)
        reasons = "; ".join(f"{r.code} {r.message}" for r in error.recipients)
        return SendError(f"e-mail: recipients refused: {visible(reasons, 250)}", permanent=permanent)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        # Only the content is this message's own; sender, credentials and greeting are every message's.
        of_message = isinstance(error, aiosmtplib.SMTPDataError)
        detail = f"e-mail: {error.code} {visible(error.message, 250)}"
        return SendError(detail, permanent=error.code >= 500, whole_channel=not of_message)
    before_sending = isinstance(error, aiosmtplib.SMTPConnectError)
    return SendError(f"e-mail: {type(error).__name__}: {visible(str(error), 200)}", uncertain=not before_sending)


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
