"""How the kind `tcp` begins TLS in the protocols that it knows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.observation import Code
from tests.support.authority import Authority
from tests.support.mail import serve_lines, serve_smtp
from tests.support.probing import ask, fault_of
from tests.support.servers import (
    serve_script,
)

if TYPE_CHECKING:
    from pathlib import Path


def at(port: int, **options: Any) -> dict[str, Any]:
    return {"address": f"127.0.0.1:{port}", **options}


@pytest.mark.parametrize(
    ("protocol", "turns"),
    [
        pytest.param(
            "imap",
            [("", "* OK [CAPABILITY IMAP4rev1] ready\r\n"), ("a1 STARTTLS", "a1 OK now\r\n<TLS>")],
            id="imap",
        ),
        pytest.param("pop3", [("", "+OK <1@x>\r\n"), ("STLS", "+OK begin\r\n<TLS>")], id="pop3"),
        pytest.param(
            "ftp",
            [("", "220-Welcome\r\n220 ready\r\n"), ("AUTH TLS", "234 go\r\n<TLS>")],
            id="ftp",
        ),
        pytest.param(
            "sieve",
            [("", '"STARTTLS"\r\nOK "ready"\r\n'), ("STARTTLS", "OK\r\n<TLS>")],
            id="sieve",
        ),
    ],
)
async def test_tls_begins_as_the_protocol_has_it_and_leave_is_taken(
    tmp_path: Path, protocol: str, turns: list[tuple[str, str]]
) -> None:
    authority = Authority(tmp_path)
    async with serve_lines(*turns, tls=authority.context()) as (server, spoken):
        seen = await ask(
            "tcp", at(server.port, starttls=protocol, tls={"ca_file": str(authority.file)})
        )

        async with asyncio.timeout(5):
            while len(spoken.lines) < 2:
                await asyncio.sleep(0.005)

    assert seen.fault is None
    assert seen.certificate is not None
    assert seen.certificate.verified
    assert spoken.lines[-1].endswith((b"QUIT", b"LOGOUT"))


async def test_a_real_mail_server_is_upgraded_by_its_name_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve_smtp(authority.context("mail.test")) as port:
        options = {"address": f"mail.test:{port}", "starttls": "smtp"}
        seen = await ask("tcp", {**options, "tls": {"ca_file": str(authority.file)}})
        untrusted = await ask("tcp", options)

    assert seen.fault is None
    assert seen.tls_version is not None
    assert fault_of(untrusted).code is Code.TLS_CERT_UNTRUSTED
    assert untrusted.certificate is not None


async def test_a_mail_server_without_tls_is_told_at_once() -> None:
    async with serve_smtp(None) as port:
        seen = await ask("tcp", at(port, starttls="smtp"), timeout=5)

    assert fault_of(seen).code is Code.EXPECTATION
    assert "STARTTLS" in fault_of(seen).message
    assert seen.duration.total_seconds() < 2


LDAP_YES = bytes.fromhex("300c020101780 70a010004000400".replace(" ", ""))
LDAP_NO = bytes.fromhex("3084000000 0c020101 78070a013404000400".replace(" ", ""))
MYSQL = b"\x0a8.0.36\x00" + b"\x01\0\0\0" + b"saltsalt\0" + b"%b" + b"\x2d\x02\0" + b"\0" * 20


def greeting(able: int) -> bytes:
    payload = MYSQL.replace(b"%b", able.to_bytes(2, "little"))
    return len(payload).to_bytes(3, "little") + b"\0" + payload


@pytest.mark.parametrize(
    ("protocol", "first", "hears", "then"),
    [
        pytest.param("postgres", b"", 8, b"S", id="postgres"),
        pytest.param("mysql", greeting(0xFFFF), 36, b"", id="mysql"),
        pytest.param("ldap", b"", 31, LDAP_YES, id="ldap"),
        pytest.param(
            "xmpp",
            b"<stream:stream><stream:features><starttls "
            b"xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
            60,
            b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            id="xmpp",
        ),
    ],
)
async def test_tls_begins_also_where_there_are_no_lines(
    tmp_path: Path, protocol: str, first: bytes, hears: int, then: bytes
) -> None:
    authority = Authority(tmp_path)
    context = authority.context()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        if protocol == "xmpp":
            await reader.readuntil(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        else:
            await reader.readexactly(hears)
        writer.write(then)
        await writer.drain()
        await writer.start_tls(context)
        await reader.read()

    async with serve_script(script, reads_head=False) as server:
        seen = await ask(
            "tcp", at(server.port, starttls=protocol, tls={"ca_file": str(authority.file)})
        )

    assert seen.fault is None
    assert seen.tls_version == "TLS 1.3"


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        pytest.param("postgres", b"N", id="postgres refuses"),
        pytest.param("mysql", greeting(0xF7FF), id="mysql without TLS"),
        pytest.param("ldap", LDAP_NO, id="ldap refuses"),
        pytest.param("xmpp", b"<stream:features/>", id="xmpp without TLS"),
    ],
)
async def test_who_offers_no_tls_is_said_to(protocol: str, said: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        await reader.read()

    async with serve_script(script, reads_head=False) as server:
        seen = await ask("tcp", at(server.port, starttls=protocol))

    assert fault_of(seen).message == f"127.0.0.1:{server.port} offers no TLS"


@pytest.mark.parametrize(
    "protocol", ["smtp", "imap", "pop3", "ftp", "sieve", "ldap", "xmpp", "postgres", "mysql"]
)
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="HTTP"),
        pytest.param(b"\0" * 3000, id="zeros"),
        pytest.param(b"\xff" * 3000, id="noise"),
        pytest.param(b"0\x84\xff\xff\xff\xff", id="a huge length"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_who_speaks_another_protocol_is_a_fault_of_the_target(
    protocol: str, said: bytes
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        await reader.read(10)

    async with serve_script(script, reads_head=False) as server:
        seen = await ask("tcp", at(server.port, starttls=protocol), timeout=0.1)

    assert not fault_of(seen).own


async def test_what_was_said_in_plain_text_before_tls_is_not_taken_for_more(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    async with serve_lines(
        ("", "+OK\r\n"), ("STLS", "+OK begin\r\n+OK injected\r\n<TLS>"), tls=authority.context()
    ) as (server, _):
        seen = await ask(
            "tcp", at(server.port, starttls="pop3", tls={"ca_file": str(authority.file)})
        )

    assert fault_of(seen).code is Code.BAD_RESPONSE
    assert "plain text" in fault_of(seen).message
