"""A real SMTP server on loopback that keeps what it is given: STARTTLS, TLS, logins, refusals on demand."""

from __future__ import annotations

import asyncio
import email
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from replay.stand_ins.observable import Observable


@dataclass(frozen=True, slots=True)
class Mail:
    """One message handed in, with its envelope and how it came."""

    message: EmailMessage
    raw: bytes
    sender: str
    recipients: tuple[str, ...]
    encrypted: bool
    login: str


class SmtpStandIn(Observable):
    """An async context manager; ``stop`` and ``start`` again keep the port, like a server that was down.

    Args:
        security: ``starttls`` offers and requires it, ``tls`` speaks TLS from the start, ``none`` offers neither.
        certificate: certificate and key files, for the first two.
        login: the one user name and password, where a login is required.
        on_mail: called when a message is in, before the server says so.
    """

    def __init__(
        self,
        security: Literal["none", "starttls", "tls"] = "none",
        certificate: tuple[Path, Path] | None = None,
        login: tuple[str, str] | None = None,
        on_mail: Callable[[Mail], None] = lambda _: None,
        port: int = 0,
    ) -> None:
        super().__init__()
        self.port = port
        self.mails: list[Mail] = []
        self._security = security
        self._tls: ssl.SSLContext | None = None
        if security != "none":
            if certificate is None:
                raise ValueError(f"security {security} needs a certificate")
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self._login = login
        self._on_mail = on_mail
        self._replies: deque[str] = deque()
        self._refused: dict[str, str] = {}
        self._hang_up = False
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> SmtpStandIn:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.stop()

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol, "127.0.0.1", self.port, ssl=self._tls if self._security == "tls" else None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """No new connections; those that are open go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def answer(self, *replies: str) -> None:
        """The next messages get these replies (``451 4.3.0 later``) instead of being accepted."""
        self._replies.extend(replies)

    def hang_up(self) -> None:
        """Take the next message, and close the connection without saying so."""
        self._hang_up = True

    def refuse_recipient(self, address: str, reply: str) -> None:
        self._refused[address] = reply

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self._refused:
            return self._refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        if self._replies:
            return self._replies.popleft()
        raw = envelope.content
        assert isinstance(raw, bytes), "the server was told not to decode"
        message = email.message_from_bytes(raw, policy=default)
        assert isinstance(message, EmailMessage)
        mail = Mail(
            message=message,
            raw=raw,
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            encrypted=session.ssl is not None or self._security == "tls",
            login=session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else "",
        )
        self.mails.append(mail)
        self._on_mail(mail)
        await self._announce()
        if self._hang_up:
            self._hang_up = False
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return "250 OK"

    def _protocol(self) -> SMTP:
        starttls = self._security == "starttls"
        return SMTP(
            self,
            hostname="localhost",
            tls_context=self._tls if starttls else None,
            require_starttls=starttls,
            auth_required=self._login is not None,
            auth_require_tls=starttls,
            authenticator=self._authenticate,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == self._login, handled=False, auth_data=data)
