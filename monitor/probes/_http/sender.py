"""Sends a request on the way that an endpoint's options describe, and hears the answer to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault, Hop
from monitor.probes._http.compression import Compression
from monitor.probes._http.connector import Call, connect
from monitor.probes._http.exchange import Exchange
from monitor.probes._http.explain import clean
from monitor.probes._http.proxy import explain_demand, read_proxy
from monitor.probes._http.urls import show_location
from monitor.probes._http.wire_request import write_request
from monitor.probes._net.faults import Faulted
from monitor.probes._net.resolve import Question, load_nameserver

if TYPE_CHECKING:
    from monitor.names import Resolver
    from monitor.probes._http.answer import Answer
    from monitor.probes._http.options import RequestOptions
    from monitor.probes._http.request import Request
    from monitor.probes._http.sighting import Sighting
    from monitor.probes._http.wire_request import WireRequest

_ALPN: Final = ("http/1.1",)
_PROXY_WANTS_CREDENTIALS: Final = 407


class Sender:
    """The way to one host and to where it redirects; each request has a connection of its own.

    `host` is the one that the operator named: it alone is asked for by our `server_name`, and sees
    our certificate.
    """

    __slots__ = (
        "_body_limit",
        "_brotli",
        "_follow",
        "_host",
        "_ip",
        "_nameserver",
        "_proxy",
        "_proxy_url",
        "_resolver",
        "_server_name",
        "_terms",
        "_terms_of_others",
    )

    def __init__(
        self,
        spec: RequestOptions,
        host: str | None,
        resolver: Resolver,
        *,
        follow: bool,
        body_limit: int,
    ) -> None:
        self._host = host
        self._resolver = resolver
        self._follow = follow
        self._body_limit = body_limit
        self._brotli = spec.compression is Compression.BR
        self._terms = spec.tls.terms(alpn=_ALPN)
        self._terms_of_others = spec.tls.terms(alpn=_ALPN, anonymous=True)
        self._server_name = spec.tls.server_name
        self._ip = spec.ip
        self._nameserver = spec.resolver
        self._proxy_url = spec.proxy
        self._proxy = read_proxy(spec.proxy.reveal()) if spec.proxy else None
        load_nameserver(spec.resolver)

    def write(self, request: Request) -> WireRequest:
        """Write a request down, for the proxy on the way where there is one; raises Faulted."""
        if self._proxy_url is None or not self._proxy_url.live:
            return write_request(request, self._proxy)

        try:
            proxy = read_proxy(self._proxy_url.reveal())
        except ValueError as error:
            fault = Fault(code=Code.INTERNAL, message=f"request.proxy: {error}", own=True)
            raise Faulted(fault) from error

        return write_request(request, proxy)

    async def send(
        self, sighting: Sighting, wire: WireRequest, *, from_afar: bool = False
    ) -> Answer:
        """Send one request and hear its answer; of one that is redirected further, the head.

        `from_afar` says that another machine redirected there. Raises Faulted.
        """
        exchange = Exchange(
            asyncio.get_running_loop(),
            wire,
            sighting.watch,
            body_limit=self._body_limit,
            follows=self._follow,
            brotli=self._brotli,
        )
        configured = wire.named == self._host
        asked = wire.proxy or wire
        sighting.call = Call(
            wire,
            exchange,
            sighting.watch,
            question=Question(
                asked.host,
                asked.port,
                self._resolver,
                ip=self._ip,
                nameserver=self._nameserver,
                remember=configured or wire.proxy is not None,
            ),
            terms=self._terms if configured else self._terms_of_others,
            server_name=self._server_name if configured else None,
            from_afar=from_afar,
        )
        try:
            await connect(sighting.call)
            await exchange.over
        finally:
            if exchange.answer is not None and exchange.answer.location is not None:
                sighting.hops.append(_write_hop(wire, exchange.answer))

        if exchange.fault is not None:
            raise Faulted(exchange.fault)
        assert exchange.answer is not None
        proxy = None if wire.secure else wire.proxy  # through a tunnel it cannot answer
        if proxy is not None and exchange.answer.status == _PROXY_WANTS_CREDENTIALS:
            raise Faulted(explain_demand(proxy))

        return exchange.answer


def _write_hop(wire: WireRequest, answer: Answer) -> Hop:
    pointed = clean(show_location(answer.location or ""))
    cookies = tuple(answer.all(b"set-cookie"))

    return Hop(url=wire.shown, status=answer.status, location=pointed, cookies=cookies)
