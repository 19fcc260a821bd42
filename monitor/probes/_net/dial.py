"""A connection of one's own to a port, plain or over TLS: for kinds that speak over a stream."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault, Phase
from monitor.names import connect_any, connect_unix
from monitor.options import format_address
from monitor.probes._net.faults import (
    Faulted,
    explain_connect,
    explain_own,
    explain_tls,
    explain_unix,
)
from monitor.probes._net.options import IpChoice
from monitor.probes._net.resolve import Question
from monitor.probes._net.tls import client_context, handshakes, presented_certificate, version_name

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence

    from monitor.names import Address, Resolver
    from monitor.probes._net.look import Look
    from monitor.probes._net.options import Nameserver
    from monitor.probes._net.tls import TlsTerms

_LONGEST_LINE: Final = 64 * 1024
_TLS_SHUTDOWN_SECONDS: Final = 1.0
_LONGER_THAN_ANY_PROBE: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where to connect to: `tls` are the terms of TLS, `server_name` the name that is checked.

    `ip` is the family of addresses that may be used, `nameserver` who is asked for them. With
    `tls`, the handshake follows at once, unless `upgrades` says that a dialogue comes first. With a
    `path` it is a Unix socket, and nothing is resolved.
    """

    host: str
    port: int
    tls: TlsTerms | None = None
    server_name: str | None = None
    upgrades: bool = False
    ip: IpChoice = IpChoice.ANY
    nameserver: Nameserver | None = None
    path: str = ""

    @property
    def peer(self) -> str:
        """Host and port, as a person writes them."""
        return self.path or format_address(self.host, self.port)

    @property
    def checked_name(self) -> str:
        """The name that the certificate has to be for."""
        return (self.server_name or self.host).rstrip(".")


class Connection:
    """One connection, as streams; whoever dialled it closes it.

    `handshakes` are the TLS objects that were made for it.
    """

    __slots__ = ("handshakes", "reader", "writer")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.handshakes: list[ssl.SSLObject] = []

    def close(self) -> None:
        """End it now, whatever is still unsent or unread."""
        self.writer.transport.abort()


async def dial(look: Look, resolver: Resolver, way: Way) -> Connection:
    """Resolve, connect, and speak TLS where the way says so; each is a phase of the look.

    What is learnt stands in the look, also where it fails. Raises Faulted.
    """
    look.host, look.peer = way.host, way.peer
    sock = await _reach(look, resolver, way)
    if way.tls is not None and not way.upgrades:
        return await _handshake(look, way, way.tls, sock)

    loop = asyncio.get_running_loop()
    reader, protocol = _streams(loop)
    made: list[ssl.SSLObject] = []
    # uvloop calls back in the context in which a connection was made, also for TLS that begins late
    with _recording(made):
        transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
    connection = Connection(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
    connection.handshakes = made

    return connection


async def upgrade(look: Look, way: Way, connection: Connection) -> None:
    """Begin TLS on a connection on which both sides agreed to it. Raises Faulted."""
    assert way.tls is not None
    look.watch.enter(Phase.TLS)
    context = client_context(way.tls)
    with _noting(look, way, way.tls, connection.handshakes):
        await connection.writer.start_tls(
            context,
            server_hostname=way.checked_name,
            ssl_handshake_timeout=_LONGER_THAN_ANY_PROBE,
        )


@contextmanager
def talking(look: Look) -> Iterator[None]:
    """Turn what goes wrong with an open connection into a fault of the peer's, or of ours."""
    try:
        yield
    except (asyncio.IncompleteReadError, EOFError) as error:
        message = f"{look.peer} closed the connection in the middle of its answer"
        raise Faulted(Fault(code=Code.CONNECTION_RESET, message=message)) from error
    except asyncio.LimitOverrunError as error:
        message = f"{look.peer} sent a line of more than {_LONGEST_LINE // 1024} KiB"
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message)) from error
    except ssl.SSLError as error:
        raise Faulted(explain_tls(error, look.peer, look.host, look.certificate)) from error
    except OSError as error:
        message = f"{look.peer} reset the connection"
        raise Faulted(
            explain_own(error) or Fault(code=Code.CONNECTION_RESET, message=message)
        ) from error


async def _reach(look: Look, resolver: Resolver, way: Way) -> socket.socket:
    if way.path:
        look.watch.enter(Phase.CONNECT)
        try:
            return await connect_unix(way.path)
        except OSError as error:
            raise Faulted(explain_unix(error, way.path)) from error

    return await _connect(look, way, await _resolve(look, resolver, way))


async def _resolve(look: Look, resolver: Resolver, way: Way) -> Sequence[Address]:
    look.watch.enter(Phase.RESOLVE)
    look.question = Question(way.host, way.port, resolver, ip=way.ip, nameserver=way.nameserver)

    return await look.question.answer()


async def _connect(look: Look, way: Way, addresses: Sequence[Address]) -> socket.socket:
    look.watch.enter(Phase.CONNECT)
    try:
        sock = await connect_any(addresses)
    # uvloop raises RuntimeError where a descriptor is no longer usable
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else OSError(str(error))
        only_ipv6 = all(family.name == "AF_INET6" for family, *_ in addresses)
        if only_ipv6 and look.question and (lack := look.question.explain_lack_of_ipv6()):
            raise Faulted(lack) from error
        raise Faulted(explain_connect(cause, way.peer, only_ipv6=only_ipv6)) from error

    look.ip_family = 6 if sock.family.name == "AF_INET6" else 4
    try:
        look.address = str(sock.getpeername()[0])
    except OSError:
        look.address = None  # reset again already; the first write will tell

    return sock


async def _handshake(look: Look, way: Way, terms: TlsTerms, sock: socket.socket) -> Connection:
    look.watch.enter(Phase.TLS)
    try:
        context = client_context(terms)
    except Faulted:
        sock.close()
        raise

    loop = asyncio.get_running_loop()
    reader, protocol = _streams(loop)
    with _noting(look, way, terms, []):
        transport, _ = await loop.create_connection(
            lambda: protocol,
            sock=sock,
            ssl=context,
            server_hostname=way.checked_name,
            ssl_handshake_timeout=_LONGER_THAN_ANY_PROBE,
            ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS,
        )

    return Connection(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


@contextmanager
def _recording(made: list[ssl.SSLObject]) -> Iterator[None]:
    """Have the TLS objects that are made left here."""
    token = handshakes.set(made)
    try:
        yield
    finally:
        handshakes.reset(token)


@contextmanager
def _noting(look: Look, way: Way, terms: TlsTerms, made: list[ssl.SSLObject]) -> Iterator[None]:
    """Note what is presented during a handshake, and say why it failed where it does."""
    try:
        with _recording(made):
            yield
    except OSError as error:
        if made:
            look.certificate = presented_certificate(made[-1], verified=False)
        fault = explain_tls(error, way.peer, way.checked_name, look.certificate)
        raise Faulted(fault) from error

    if made:
        look.certificate = presented_certificate(made[-1], verified=terms.verify)
        look.tls_version = version_name(made[-1])


def _streams(
    loop: asyncio.AbstractEventLoop,
) -> tuple[asyncio.StreamReader, asyncio.StreamReaderProtocol]:
    reader = asyncio.StreamReader(limit=_LONGEST_LINE, loop=loop)

    return reader, asyncio.StreamReaderProtocol(reader, loop=loop)
