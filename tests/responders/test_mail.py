"""E-mail against a real SMTP server: encrypted or refused, threaded, failures told apart."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Literal

import pytest
from notices import notice, pending

from replay.stand_ins import SmtpStandIn, self_signed
from responders.channel import SendError
from responders.mail import Mail, MailServer

SENDER = "vedette@example.org"
ONCALL, SOC = "oncall@example.org", "soc@example.org"
NOW = 1_763_683_300.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("certificate"))


def mail(
    server: SmtpStandIn,
    security: Literal["starttls", "tls", "none"] = "none",
    ca_file: Path | str = "",
    login: tuple[str, str] = ("", ""),
    host: str = "localhost",
    recipients: tuple[str, ...] = (ONCALL, SOC),
) -> Mail:
    # The stand-in listens on 127.0.0.1 only; "localhost" may name ::1 as well, which clients then try in turn.
    settings = MailServer(
        host=host,
        port=server.port,
        username=login[0],
        password=login[1],
        security=security,
        ca_file=str(ca_file),
        timeout_s=5.0,
    )
    return Mail(settings, SENDER, recipients, lambda: NOW)


async def failure(channel: Mail) -> SendError:
    with pytest.raises(SendError) as caught:
        await channel.send(pending(notice(), channel="email"))
    return caught.value


async def test_message_arrives_with_its_envelope() -> None:
    async with SmtpStandIn() as server:
        await mail(server).send(pending(notice(subject="client:x\r\nBcc: a@b.example")))
        [got] = server.mails
        assert (got.sender, got.recipients) == (SENDER, (ONCALL, SOC))
        assert got.message["Subject"] == "[Vedette] MEDIUM: Model extraction by client:acct-7 on model digits"
        assert got.message["Bcc"] is None
        assert got.message["Message-ID"] == "<inc-00000000000000a1.r1@example.org>"


async def test_updates_thread(certificate: tuple[Path, Path]) -> None:
    async with SmtpStandIn() as server:
        ref = await mail(server).send(pending(notice(1)))
        await mail(server).send(pending(notice(2, status="resolved"), notice(1), ref))
        first, second = (got.message for got in server.mails)
        assert second["In-Reply-To"] == first["Message-ID"]
        assert second["Subject"] == f"Re: {first['Subject']}"


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the library sees no TLS where it began with the connection
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_encrypted_with_login(certificate: tuple[Path, Path], security: Literal["starttls", "tls"]) -> None:
    async with SmtpStandIn(security, certificate, login=("vedette", "pässword")) as server:
        await mail(server, security, certificate[0], login=("vedette", "pässword")).send(pending(notice()))
        [got] = server.mails
        assert got.encrypted
        assert got.login == "vedette"


async def test_starttls_is_required_not_tried() -> None:
    async with SmtpStandIn("none") as server:
        error = await failure(mail(server, "starttls"))
        assert (error.permanent, error.whole_channel) == (True, True)
        assert server.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_certificate_of_an_unknown_authority_is_refused(
    certificate: tuple[Path, Path], security: Literal["starttls", "tls"]
) -> None:
    async with SmtpStandIn(security, certificate) as server:
        error = await failure(mail(server, security))
        assert error.permanent
        assert "certificate" in error.detail
        assert server.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_certificate_for_another_host_is_refused(tmp_path: Path, security: Literal["starttls", "tls"]) -> None:
    other = self_signed(tmp_path, host="mail.example.org")
    async with SmtpStandIn(security, other) as server:
        assert (await failure(mail(server, security, other[0]))).permanent
        assert server.mails == []


@pytest.mark.parametrize("addresses", [["192.0.2.1"], ["127.0.0.1", "192.0.2.1"], ["::ffff:192.0.2.1"], []])
async def test_plain_text_goes_to_this_machine_only(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    def resolve(*_args: object, **_kwargs: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 25)) for address in addresses]

    async with SmtpStandIn() as server:
        channel = mail(server, host="localhost.evil.example")
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        error = await failure(channel)
        assert error.permanent
        assert "use starttls or tls" in error.detail
        assert server.mails == []


async def test_wrong_password_needs_a_person_and_is_in_no_error_and_no_log(
    certificate: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    async with SmtpStandIn("starttls", certificate, login=("vedette", "right")) as server:
        with caplog.at_level(logging.DEBUG, logger="responders"):
            channel = mail(server, "starttls", certificate[0], login=("vedette", "s3cret-but-wrong"))
            error = await failure(channel)
        assert (error.permanent, error.whole_channel) == (True, True)
        assert "s3cret" not in f"{error} {error!r} {caplog.text}"
        assert "s3cret" not in repr(MailServer(host="h", password="s3cret"))


@pytest.mark.parametrize(
    ("reply", "permanent", "whole_channel"),
    [("451 4.3.0 try again later", False, False), ("554 5.7.1 looks like spam", True, False)],
)
async def test_refused_content_concerns_its_message_only(reply: str, permanent: bool, whole_channel: bool) -> None:
    async with SmtpStandIn() as server:
        server.answer(reply)
        error = await failure(mail(server))
        assert (error.permanent, error.whole_channel, error.uncertain) == (permanent, whole_channel, False)
        assert reply[:3] in error.detail


@pytest.mark.parametrize(("reply", "permanent"), [("450 4.2.0 greylisted", False), ("550 5.1.1 unknown", True)])
async def test_all_recipients_refused(reply: str, permanent: bool) -> None:
    async with SmtpStandIn() as server:
        for address in (ONCALL, SOC):
            server.refuse_recipient(address, reply)
        assert (await failure(mail(server))).permanent is permanent
        assert server.mails == []


async def test_some_recipients_refused_does_not_stop_the_others() -> None:
    async with SmtpStandIn() as server:
        server.refuse_recipient(SOC, "550 5.1.1 unknown")
        await mail(server).send(pending(notice()))
        assert server.mails[0].recipients == (ONCALL,)


async def test_dead_server_is_certain_not_to_have_the_message() -> None:
    async with SmtpStandIn() as server:
        server.stop()
        error = await failure(mail(server))
        assert (error.permanent, error.whole_channel, error.uncertain) == (False, True, False)


async def test_connection_lost_after_the_message_is_uncertain() -> None:
    async with SmtpStandIn() as server:
        server.hang_up()
        error = await failure(mail(server))
        assert len(server.mails) == 1
        assert (error.permanent, error.uncertain) == (False, True)


async def test_login_that_the_server_does_not_offer_needs_a_person() -> None:
    async with SmtpStandIn() as server:
        assert (await failure(mail(server, login=("vedette", "x")))).permanent


@pytest.mark.parametrize(
    "address", ["", "oncall", "oncall@", "@example.org", "a@b.example\r\nBcc: x@y", "a b@c.example", "ü@example.org"]
)
def test_what_is_no_address_is_refused_at_once(address: str) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        Mail(MailServer(host="localhost"), address, (ONCALL,), lambda: NOW)
    with pytest.raises(ValueError, match="e-mail"):
        Mail(MailServer(host="localhost"), SENDER, (ONCALL, address), lambda: NOW)


def test_nobody_to_write_to_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="recipient"):
        Mail(MailServer(host="localhost"), SENDER, (), lambda: NOW)
