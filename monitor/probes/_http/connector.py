"""The connection of one request: name, TCP and TLS as three phases, and never an old connection."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import aiohappyeyeballs
import aiohttp
from aiohttp import http_exceptions
from aiohttp.client_proto import ResponseHandler

from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._net.faults import Faulted, explain_connect, explain_lookup, explain_tls
from monitor.probes._net.tls import client_context, handshakes, presented_certificate, version_name

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence

    from monitor.core.model.observation import Certificate
    from monitor.probes._http.request import Request
    from monitor.probes._net.resolver import Address, Lookup, Resolver
    from monitor.probes._net.stopwatch import Stopwatch
    from monitor.probes._net.tls import TlsTerms

_STAGGER: Final = 0.25
_TLS_SHUTDOWN_SECONDS: Final = 1.0
_LONGER_THAN_ANY_PROBE: Final = 3600.0
_MOST_INTERIM: Final = 100
_SWITCHING_PROTOCOLS: Final = 101


class Call:
    """The facts of one request's connection, filled in as it comes about.

    `terms` say how TLS is verified, `server_name` which name is checked (None: the host's).
    `from_afar` is set on a redirect that came from another machine.
    """

    __slots__ = (
        "address",
        "certificate",
        "from_afar",
        "ip_family",
        "lookup",
        "protocol",
        "request",
        "server_name",
        "terms",
        "tls_version",
        "transport",
        "watch",
    )

    def __init__(
        self,
        request: Request,
        watch: Stopwatch,
        *,
        terms: TlsTerms,
        server_name: str | None,
        from_afar: bool,
    ) -> None:
        self.request = request
        self.watch = watch
        self.terms = terms
        self.server_name = server_name
        self.from_afar = from_afar
        self.lookup: Lookup | None = None
        self.transport: asyncio.Transport | None = None
        self.protocol: ResponseHandler | None = None
        self.certificate: Certificate | None = None
        self.tls_version: str | None = None
        self.address: str | None = None
        self.ip_family: int | None = None

    @property
    def was_reset(self) -> bool:
        """Whether the connection ended by an error rather than by being closed."""
        return self.protocol is not None and isinstance(self.protocol.exception(), OSError)

    def hang_up(self) -> None:
        """End the connection now, whatever is still unsent or unread.

        Both are let go: the transport remembers the task's context and so this call, and such a
        circle would wait for the garbage collector, at each probe.
        """
        if self.transport is not None:
            self.transport.abort()
        self.transport = self.protocol = None


class _Answer(ResponseHandler):
    """Hears one answer; one that is only ever announced ends the connection.

    aiohttp takes interim answers (1xx) as fast as they come, and nothing else would run meanwhile.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._interim = 0

    def feed_data(self, data: tuple[Any, Any], size: int = 0) -> None:
        """Take one head that was read; Any: it is handed on as aiohttp made it."""
        code = data[0].code
        if 100 <= code < 200 and code != _SWITCHING_PROTOCOLS:
            self._interim += 1
        if self._interim <= _MOST_INTERIM:
            super().feed_data(data, size)
        elif self.transport is not None and not self.transport.is_closing():
            self.transport.abort()
            message = f"more than {_MOST_INTERIM} interim answers (1xx)"
            self.set_exception(http_exceptions.BadHttpMessage(message))


current_call: ContextVar[Call] = ContextVar("current_call")
"""The call that the running task is making: how a request tells the connector below it."""


class Connector(aiohttp.BaseConnector):
    """Makes each connection anew and in phases that can be timed; raises Faulted.

    aiohttp's own connector times TCP and TLS as one and hides the certificate of a handshake that
    failed, so this one takes the place of its `_create_connection`.
    """

    def __init__(self, resolver: Resolver) -> None:
        super().__init__(force_close=True, limit=0)
        self._resolver = resolver

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        call = current_call.get()
        addresses = await self._resolve(call)
        call.watch.enter(Phase.CONNECT)
        if call.request.url.scheme == "https":
            protocol = await self._start_tls(call, await self._connect(call, addresses))
        else:
            protocol = await self._connect_plainly(call, addresses)

        call.protocol = protocol
        call.watch.enter(Phase.PROCESSING)

        return protocol

    def _answer(self) -> ResponseHandler:
        return _Answer(self._loop)

    async def _resolve(self, call: Call) -> Sequence[Address]:
        call.watch.enter(Phase.RESOLVE)
        url = call.request.url
        host = url.raw_host or ""
        call.lookup = self._resolver.begin(host, url.port or 0)
        try:
            addresses = await call.lookup.answer()
        except (OSError, UnicodeError) as error:
            raise Faulted(explain_lookup(error, host)) from error

        if call.from_afar:
            _refuse_this_machine(addresses, host)

        return addresses

    async def _connect_plainly(self, call: Call, addresses: Sequence[Address]) -> ResponseHandler:
        """Connect without TLS; where there is one address, the loop does it all by itself.

        A socket of our own and a race of addresses cost as much again.
        """
        match addresses:
            case [(socket.AF_INET, _, _, _, address)]:
                host, port = str(address[0]), int(address[1])
                with _explained(call):
                    call.transport, protocol = await self._loop.create_connection(
                        self._answer, host, port
                    )
                call.address, call.ip_family = host, 4
            case _:
                sock = await self._connect(call, addresses)
                call.transport, protocol = await self._loop.create_connection(
                    self._answer, sock=sock
                )

        return protocol

    async def _connect(self, call: Call, addresses: Sequence[Address]) -> socket.socket:
        with _explained(call):
            sock = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=_STAGGER, loop=self._loop
            )
        call.address, call.ip_family = _peer_of(sock)

        return sock

    async def _start_tls(self, call: Call, sock: socket.socket) -> ResponseHandler:
        call.watch.enter(Phase.TLS)
        name = call.server_name or call.request.url.raw_host or ""
        try:
            context = client_context(call.terms)
        except (OSError, ssl.SSLError) as error:
            sock.close()
            message = f"ca_file {call.terms.ca_file} cannot be read: {error}"
            raise Faulted(Fault(code=Code.INTERNAL, message=message, own=True)) from error

        made: list[ssl.SSLObject] = []
        token = handshakes.set(made)
        try:
            call.transport, protocol = await self._loop.create_connection(
                self._answer,
                sock=sock,
                ssl=context,
                server_hostname=name.rstrip("."),
                ssl_handshake_timeout=_LONGER_THAN_ANY_PROBE,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS,
            )
        except OSError as error:
            _note_certificate(call, made, verified=False)
            fault = explain_tls(error, call.request.peer, name, call.certificate)
            raise Faulted(fault) from error
        finally:
            handshakes.reset(token)

        _note_certificate(call, made, verified=call.terms.verify)
        call.tls_version = version_name(made[-1]) if made else None

        return protocol


@contextmanager
def _explained(call: Call) -> Iterator[None]:
    """Say why a connection did not come about."""
    try:
        yield
    # uvloop raises RuntimeError where a descriptor is no longer usable
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else OSError(str(error))
        raise Faulted(explain_connect(cause, call.request.peer)) from error


def _note_certificate(call: Call, made: list[ssl.SSLObject], *, verified: bool) -> None:
    if made:
        call.certificate = presented_certificate(made[-1], verified=verified)


def _peer_of(sock: socket.socket) -> tuple[str | None, int]:
    family = 6 if sock.family is socket.AF_INET6 else 4
    try:
        return str(sock.getpeername()[0]), family
    except OSError:
        return None, family  # reset again already; the first write will tell


def _refuse_this_machine(addresses: Sequence[Address], host: str) -> None:
    """Keep a distant server from sending the monitor to its own machine's inner services."""
    if any(is_inward(str(address[4][0])) for address in addresses):
        message = f"the answer redirects to {host}, an address of the monitor's own machine"
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))


def is_inward(address: str) -> bool:
    """Say whether an address is loopback or link-local: reached from this machine alone."""
    found = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(found, "ipv4_mapped", None) or found

    return inner.is_loopback or inner.is_link_local or inner.is_unspecified
