"""How TLS is begun in the protocols that are known here, and how one takes leave of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain
from monitor.core.model.observation import Code, Fault
from monitor.probes._net.dialogue import read_pattern
from monitor.probes._net.faults import Faulted
from monitor.probes._tcp.options import StartTls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.probes._tcp.talk import Talk

Begin = Callable[["Talk", str], Awaitable[None]]

_EHLO: Final = b"EHLO production-monitor.invalid\r\n"
_POSTGRES_REQUEST: Final = bytes.fromhex("00000008 04d2162f")
_LDAP_REQUEST: Final = bytes.fromhex("301d 020101 7718 8016") + b"1.3.6.1.4.1.1466.20037"
_MYSQL_TLS: Final = 0x0800
_MYSQL_REQUEST: Final = (
    bytes.fromhex("20000001")  # 32 bytes follow, the second packet
    + (0x0800 | 0x0200 | 0x8000).to_bytes(4, "little")  # TLS, protocol 4.1, secure connection
    + (1 << 24).to_bytes(4, "little")
    + bytes([45])  # utf8mb4
    + bytes(23)
)
_MOST_IN_A_GREETING: Final = 4096


def _by_lines(*exchanges: tuple[bytes, str, str]) -> Begin:
    """Make what begins TLS by lines: each is what we say, then what is wanted, and a refusal."""
    steps = [
        (say, read_pattern(wanted), read_pattern(refusal)) for say, wanted, refusal in exchanges
    ]

    async def begin(talk: Talk, _name: str) -> None:
        for say, wanted, refusal in steps:
            if say:
                talk.say(say)
            await talk.hear(wanted, refusal=refusal)

    return begin


async def _begin_postgres(talk: Talk, _name: str) -> None:
    talk.say(_POSTGRES_REQUEST)
    match await talk.read(1):
        case b"S":
            return
        case b"N":
            raise _refused(talk)
        case b"":
            raise EOFError
        case _:
            raise _foreign(talk, "PostgreSQL")


async def _begin_mysql(talk: Talk, _name: str) -> None:
    """Read the greeting: version, thread, salt, and then what the server is able to do."""
    head = await talk.read(4)
    size = int.from_bytes(head[:3], "little")
    if len(head) < 4:
        raise EOFError
    if not 1 <= size <= _MOST_IN_A_GREETING or head[3] != 0:
        raise _foreign(talk, "MySQL")

    greeting = await talk.read(size)
    if greeting[:1] == b"\xff":
        said = greeting[3:].decode(errors="replace")
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=f"{talk.peer} says: {plain(said)}"))
    end = greeting.find(b"\0")
    able = greeting[end + 14 : end + 16]
    if greeting[:1] != b"\x0a" or end < 0 or len(able) < 2:
        raise _foreign(talk, "MySQL")
    if not int.from_bytes(able, "little") & _MYSQL_TLS:
        raise _refused(talk)

    talk.say(_MYSQL_REQUEST)


async def _begin_ldap(talk: Talk, _name: str) -> None:
    """Ask for the extended operation; the result's code is the first ENUMERATED in the answer."""
    talk.say(_LDAP_REQUEST)
    head = await talk.read(2)
    if len(head) < 2:
        raise EOFError
    more = head[1] & 0x7F if head[1] & 0x80 else 0
    if head[0] != 0x30 or more > 4:
        raise _foreign(talk, "LDAP")

    size = int.from_bytes(await talk.read(more), "big") if more else head[1]
    if not 0 < size <= _MOST_IN_A_GREETING:
        raise _foreign(talk, "LDAP")

    answer = await talk.read(size)
    at = answer.find(b"\x0a\x01")
    if b"\x78" not in answer[:at] or at < 0:
        raise _foreign(talk, "LDAP")
    if answer[at + 2 : at + 3] != b"\0":
        raise _refused(talk)


async def _begin_xmpp(talk: Talk, name: str) -> None:
    opening = (
        f"<?xml version='1.0'?><stream:stream to='{name}' xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
    )
    talk.say(opening.encode())
    await talk.hear_until(b"</stream:features>", b"<stream:features/>")
    if b"urn:ietf:params:xml:ns:xmpp-tls" not in talk.heard:
        raise _refused(talk)

    talk.say(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    if await talk.hear_until(b"<proceed", b"<failure") == b"<failure":
        raise _refused(talk)


def _refused(talk: Talk) -> Faulted:
    return Faulted(Fault(code=Code.BAD_RESPONSE, message=f"{talk.peer} offers no TLS"))


def _foreign(talk: Talk, protocol: str) -> Faulted:
    message = f"{talk.peer} does not speak the protocol of {protocol}"

    return Faulted(Fault(code=Code.BAD_RESPONSE, message=message))


BEGINNINGS: Final[Mapping[StartTls, Begin]] = {
    StartTls.SMTP: _by_lines(
        (b"", r"^220(?: |$)", r"^[45]\d\d"),
        (_EHLO, r"(?i)^250[- ]STARTTLS\s*$", r"^250 |^[45]\d\d"),
        (b"STARTTLS\r\n", r"^220(?: |$)", r"^[45]\d\d"),
    ),
    StartTls.IMAP: _by_lines(
        (b"", r"(?i)^\* (?:OK|PREAUTH)", r"(?i)^\* BYE"),
        (b"a1 STARTTLS\r\n", r"(?i)^a1 OK", r"(?i)^a1 |^\* BYE"),
    ),
    StartTls.POP3: _by_lines(
        (b"", r"^\+OK", r"^-ERR"),
        (b"STLS\r\n", r"^\+OK", r"^-ERR"),
    ),
    StartTls.FTP: _by_lines(
        (b"", r"^220(?: |$)", r"^[45]\d\d"),
        (b"AUTH TLS\r\n", r"^234", r"^[45]\d\d"),
    ),
    StartTls.SIEVE: _by_lines(
        (b"", r"(?i)^OK", r"(?i)^(?:NO|BYE)"),
        (b"STARTTLS\r\n", r"(?i)^OK", r"(?i)^(?:NO|BYE)"),
    ),
    StartTls.LDAP: _begin_ldap,
    StartTls.XMPP: _begin_xmpp,
    StartTls.POSTGRES: _begin_postgres,
    StartTls.MYSQL: _begin_mysql,
}
"""What is said before TLS, by the protocol; the name is that of the server."""

FAREWELLS: Final[Mapping[StartTls, bytes]] = {
    StartTls.SMTP: b"QUIT\r\n",
    StartTls.IMAP: b"a2 LOGOUT\r\n",
    StartTls.POP3: b"QUIT\r\n",
    StartTls.FTP: b"QUIT\r\n",
    StartTls.SIEVE: b"LOGOUT\r\n",
    StartTls.XMPP: b"</stream:stream>",
}
"""What spares a server a complaint in its log about a client that vanished."""
