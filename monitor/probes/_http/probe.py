"""Observes one HTTP endpoint: one request, its redirects, and everything that can be said of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from yarl import URL

from monitor.core.model.observation import Code, Fault, Hop
from monitor.logs import Log
from monitor.probes._http.connector import Call, connect, is_inward
from monitor.probes._http.cookies import Jar
from monitor.probes._http.exchange import Exchange
from monitor.probes._http.explain import clean, explain_redirects
from monitor.probes._http.request import (
    first_request,
    is_constant,
    next_request,
    preflight_request,
    with_cookies,
)
from monitor.probes._http.sighting import Sighting, explain_timeout, write_down
from monitor.probes._http.urls import show_location
from monitor.probes._http.wire_request import WireRequest, write_request
from monitor.probes._net.deadline import Deadline
from monitor.probes._net.faults import Faulted
from monitor.probes._net.resolve import Question, prepare

if TYPE_CHECKING:
    from datetime import timedelta

    from monitor.core.model.observation import HeaderLines, Observation
    from monitor.probes._http.answer import Answer
    from monitor.probes._http.options import HttpOptions
    from monitor.probes._http.request import Request
    from monitor.probes.probe import ProbeContext

_log = Log()
_ALPN: Final = ("http/1.1",)


class HttpProbe:
    """Asks one URL. Each observation is one request on a new connection, never sent twice.

    What is always the same is written down once, since that takes as long as to ask.
    """

    __slots__ = (
        "_body_limit",
        "_clock",
        "_follow",
        "_host",
        "_ip",
        "_is_constant",
        "_most_redirects",
        "_nameserver",
        "_options",
        "_preflight",
        "_resolver",
        "_seconds",
        "_server_name",
        "_terms",
        "_terms_of_others",
        "_timeout",
        "_user_agent",
        "_wire",
    )

    def __init__(self, options: HttpOptions, context: ProbeContext) -> None:
        self._options = options
        self._clock = context.clock
        self._resolver = context.resolver
        self._user_agent = context.user_agent
        self._follow = options.request.follow_redirects
        self._most_redirects = options.request.max_redirects
        self._body_limit = options.request.body_limit
        self._terms = options.request.tls.terms(alpn=_ALPN)
        self._terms_of_others = options.request.tls.terms(alpn=_ALPN, anonymous=True)
        self._server_name = options.request.tls.server_name
        self._ip = options.request.ip
        self._nameserver = options.request.resolver
        prepare(self._nameserver)
        self._host = URL(options.url).host
        self._preflight = context.preflight
        self._timeout = context.timeout
        self._seconds = context.timeout.total_seconds()
        self._is_constant = is_constant(options)
        self._wire: WireRequest | None = None

    async def observe(self) -> Observation:
        """Ask once; whatever goes wrong is part of what is seen. Lets a cancellation pass."""
        seen, final = await self.visit()
        if not self._preflight or final is None:
            return seen

        return replace(seen, preflight=await self._ask_preflight(final, seen.duration))

    async def visit(self, jar: Jar | None = None) -> tuple[Observation, URL | None]:
        """Ask once, with the cookies of a jar, which keeps those that are set.

        Give as well at which URL it ended, None where no answer stands.
        """
        at = self._clock()
        sighting = Sighting()
        deadline = Deadline(self._seconds)
        fault: Fault | None = None
        final: URL | None = None
        try:
            final = await self._ask(sighting, jar)
        except Faulted as error:
            fault = error.fault
        except asyncio.CancelledError:
            if not deadline.claims():
                raise
            fault = explain_timeout(sighting, self._timeout)
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not look like the target's
            fault = self._explain_bug(error)
        finally:
            deadline.stop()
            sighting.watch.leave()
            sighting.hang_up()

        return write_down(at, sighting, fault, asked=self._options.target), final

    async def close(self) -> None:
        """Hold nothing: each observation gives back what it used."""

    async def _ask(self, sighting: Sighting, jar: Jar | None) -> URL:
        """Send the request; where the answer redirects, go on from there. Give the final URL."""
        request: Request | None = None
        wire = self._wire
        if jar is not None:
            request = first_request(self._options, self._user_agent)
            wire = write_request(with_cookies(request, jar.header_for(request.url)))
        elif wire is None:
            request = first_request(self._options, self._user_agent)
            wire = write_request(request)
            self._wire = wire if self._is_constant else None

        answer = await self._send(sighting, wire)
        if self._follow and answer.location is not None:
            request = request or first_request(self._options, self._user_agent)
            return await self._go_on(sighting, request, answer, jar or Jar())

        url = URL(self._options.url)
        if jar is not None:
            jar.take(answer.all(b"set-cookie"), url, self._clock())

        return url

    async def _ask_preflight(self, url: URL, passed: timedelta) -> HeaderLines | None:
        """Ask what a foreign origin may do, in what is left of the time; None without an answer."""
        sighting = Sighting()
        deadline = Deadline((self._timeout - passed).total_seconds())
        try:
            request = preflight_request(url, self._options, self._user_agent)
            answer = await self._send(sighting, write_request(request))
        except Faulted:
            return None
        except asyncio.CancelledError:
            if not deadline.claims():
                raise
            return None
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not look like the target's
            self._explain_bug(error)
            return None
        finally:
            deadline.stop()
            sighting.watch.leave()
            sighting.hang_up()

        return answer.header_lines

    async def _go_on(self, sighting: Sighting, request: Request, answer: Answer, jar: Jar) -> URL:
        """Follow redirects until an answer stands."""
        from_afar = False
        while True:
            jar.take(answer.all(b"set-cookie"), request.url, self._clock())
            if answer.location is None:
                return request.url
            if len(sighting.hops) > self._most_redirects:
                raise Faulted(explain_redirects(self._most_redirects))

            request = next_request(request, answer.status, answer.location)
            address = sighting.call.address if sighting.call else None
            from_afar = from_afar or (address is not None and not is_inward(address))
            wire = write_request(with_cookies(request, jar.header_for(request.url)))
            answer = await self._send(sighting, wire, from_afar=from_afar)

    async def _send(
        self, sighting: Sighting, wire: WireRequest, *, from_afar: bool = False
    ) -> Answer:
        """Send one request and hear its answer; of one that is redirected further, the head."""
        exchange = Exchange(
            asyncio.get_running_loop(),
            wire,
            sighting.watch,
            body_limit=self._body_limit,
            follows=self._follow,
        )
        configured = wire.named == self._host
        sighting.call = Call(
            wire,
            exchange,
            sighting.watch,
            question=Question(
                wire.host,
                wire.port,
                self._resolver,
                ip=self._ip,
                nameserver=self._nameserver,
                remember=configured,
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

        return exchange.answer

    def _explain_bug(self, error: Exception) -> Fault:
        """Tell of a bug: a fault of ours must not look like the target's."""
        _log.exception("probe_failed_inside", target=self._options.target)

        return Fault(
            code=Code.INTERNAL,
            message=f"the probe failed inside the monitor: {type(error).__name__}",
            own=True,
        )


def _write_hop(wire: WireRequest, answer: Answer) -> Hop:
    pointed = clean(show_location(answer.location or ""))

    cookies = tuple(answer.all(b"set-cookie"))

    return Hop(url=wire.shown, status=answer.status, location=pointed, cookies=cookies)
