"""The connection of one request: name, TCP and TLS as three phases, and never an old connection."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault, Phase
from monitor.names import connect_any, read_address
from monitor.options import format_address, is_loopback
from monitor.probes._http.proxy import explain_lost_proxy
from monitor.probes._http.tunnel import open_tunnel
from monitor.probes._net.faults import Faulted, explain_connect, explain_tls
from monitor.probes._net.tls import client_context, handshakes, presented_certificate, version_name

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from monitor.core.model.observation import Certificate
    from monitor.names import Address
    from monitor.probes._http.exchange import Exchange
    from monitor.probes._http.proxy import Proxy
    from monitor.probes._http.wire_request import WireRequest
    from monitor.probes._net.resolve import Question
    from monitor.probes._net.stopwatch import Stopwatch
    from monitor.probes._net.tls import TlsTerms

_TLS_SHUTDOWN_SECONDS: Final = 1.0
_LONGER_THAN_ANY_PROBE: Final = 3600.0


class Call:
    """One request's way to its server, and the facts of it, filled in as it comes about.

    `question` asks for the addresses to connect to, which are the proxy's where there is one;
    `at_proxy` is set until that is reached. `terms` say how TLS is verified, `server_name` which
    name is checked (None: the host's). `from_afar` is set on a redirect that came from another
    machine.
    """

    __slots__ = (
        "address",
        "at_proxy",
        "certificate",
        "exchange",
        "from_afar",
        "ip_family",
        "question",
        "server_name",
        "terms",
        "tls_version",
        "watch",
        "wire",
    )

    def __init__(
        self,
        wire: WireRequest,
        exchange: Exchange,
        watch: Stopwatch,
        *,
        question: Question,
        terms: TlsTerms,
        server_name: str | None,
        from_afar: bool,
    ) -> None:
        self.wire = wire
        self.exchange = exchange
        self.watch = watch
        self.question = question
        self.terms = terms
        self.server_name = server_name
        self.from_afar = from_afar
        self.at_proxy = False
        self.certificate: Certificate | None = None
        self.tls_version: str | None = None
        self.address: str | None = None
        self.ip_family: int | None = None

    @property
    def peer(self) -> str:
        """Whom a fault of the connection speaks of: the proxy until that is reached."""
        if self.at_proxy:
            return format_address(self.question.host, self.question.port)

        return self.wire.peer


async def connect(call: Call) -> None:
    """Make the connection, over which the call's exchange sends its request at once.

    Raises Faulted.
    """
    if call.wire.proxy is not None:
        await _connect_by_proxy(call, call.wire.proxy)
        return

    addresses = await _resolve(call)
    call.watch.enter(Phase.CONNECT)
    if call.wire.secure:
        await _start_tls(call, await _race(call, addresses))
        return

    try:
        await _connect_plainly(call, addresses)
    # uvloop raises RuntimeError where a descriptor is no longer usable
    except (OSError, RuntimeError) as error:
        raise _explained(error, call, addresses) from error


async def _connect_by_proxy(call: Call, proxy: Proxy) -> None:
    """Connect to the proxy, and through it where the target is to speak TLS with us."""
    host = call.wire.host
    if call.from_afar and (is_loopback(host) or _is_inward_literal(host)):
        raise Faulted(_explain_inward(host))

    call.at_proxy = True
    call.watch.enter(Phase.RESOLVE)
    try:
        addresses = await call.question.answer()
        call.watch.enter(Phase.CONNECT)
        sock = await _race(call, addresses)
    except Faulted as error:
        raise Faulted(explain_lost_proxy(error.fault, proxy)) from error
    call.at_proxy = False

    if not call.wire.secure:
        await asyncio.get_running_loop().create_connection(lambda: call.exchange, sock=sock)
        return
    try:
        await open_tunnel(sock, call.wire, proxy)
    except BaseException:
        sock.close()
        raise
    await _start_tls(call, sock)


async def _resolve(call: Call) -> Sequence[Address]:
    call.watch.enter(Phase.RESOLVE)
    addresses = await call.question.answer()
    if call.from_afar:
        _refuse_this_machine(addresses, call.wire.host)

    return addresses


async def _connect_plainly(call: Call, addresses: Sequence[Address]) -> None:
    """Connect without TLS; where there is one address, the loop does it all by itself.

    A socket of our own and a race of addresses cost as much again.
    """
    loop = asyncio.get_running_loop()
    match addresses:
        case [(socket.AF_INET, _, _, _, address)]:
            host, port = str(address[0]), int(address[1])
            await loop.create_connection(lambda: call.exchange, host, port)
            call.address, call.ip_family = host, 4
        case _:
            sock = await _race(call, addresses)
            await loop.create_connection(lambda: call.exchange, sock=sock)


async def _race(call: Call, addresses: Sequence[Address]) -> socket.socket:
    try:
        sock = await connect_any(addresses)
    except (OSError, RuntimeError) as error:  # as above
        raise _explained(error, call, addresses) from error
    call.address, call.ip_family = _peer_of(sock)

    return sock


async def _start_tls(call: Call, sock: socket.socket) -> None:
    call.watch.enter(Phase.TLS)
    name = call.server_name or call.wire.host
    try:
        context = client_context(call.terms)
    except Faulted:
        sock.close()
        raise

    made: list[ssl.SSLObject] = []
    token = handshakes.set(made)
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: call.exchange,
            sock=sock,
            ssl=context,
            server_hostname=name.rstrip("."),
            ssl_handshake_timeout=_LONGER_THAN_ANY_PROBE,
            ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS,
        )
    except OSError as error:
        _note_certificate(call, made, verified=False)
        fault = explain_tls(error, call.wire.peer, name, call.certificate)
        raise Faulted(fault) from error
    finally:
        handshakes.reset(token)

    _note_certificate(call, made, verified=call.terms.verify)
    call.tls_version = version_name(made[-1]) if made else None


def _explained(error: OSError | RuntimeError, call: Call, addresses: Sequence[Address]) -> Faulted:
    """Say why a connection did not come about."""
    cause = error if isinstance(error, OSError) else OSError(str(error))
    only_ipv6 = all(family is socket.AF_INET6 for family, *_ in addresses)
    if only_ipv6 and (lack := call.question.explain_lack_of_ipv6()):
        return Faulted(lack)

    return Faulted(explain_connect(cause, call.peer, only_ipv6=only_ipv6))


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
        raise Faulted(_explain_inward(host))


def _explain_inward(host: str) -> Fault:
    message = f"the answer redirects to {host}, an address of the monitor's own machine"

    return Fault(code=Code.BAD_RESPONSE, message=message)


def is_afar(call: Call) -> bool:
    """Say whether an answer came from another machine; what a proxy has asked is one."""
    if call.wire.proxy is not None:
        return not is_loopback(call.wire.host)

    return call.address is not None and not is_inward(call.address)


def _is_inward_literal(host: str) -> bool:
    literal = read_address(host, 0)

    return literal is not None and is_inward(str(literal[0][4][0]))


def is_inward(address: str) -> bool:
    """Say whether an address is loopback or link-local: reached from this machine alone."""
    found = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(found, "ipv4_mapped", None) or found

    return inner.is_loopback or inner.is_link_local or inner.is_unspecified
