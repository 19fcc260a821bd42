"""Observes one HTTP endpoint: one request, its redirects, and everything that can be said of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from yarl import URL

from monitor.core.model.observation import Code, Fault
from monitor.logs import Log
from monitor.probes._http.compression import Compression, find_other_compression
from monitor.probes._http.connector import is_afar
from monitor.probes._http.cookies import Jar
from monitor.probes._http.explain import explain_redirects
from monitor.probes._http.oauth2 import find_tokens
from monitor.probes._http.request import (
    first_request,
    is_constant,
    next_request,
    preflight_request,
    with_cookies,
)
from monitor.probes._http.sender import Sender
from monitor.probes._http.sighting import Sighting, explain_timeout, write_down
from monitor.probes._net.deadline import Deadline
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from datetime import timedelta

    from monitor.core.model.observation import HeaderLines, Observation
    from monitor.probes._http.answer import Answer
    from monitor.probes._http.options import HttpOptions
    from monitor.probes._http.request import Request
    from monitor.probes._http.wire_request import WireRequest
    from monitor.probes.probe import ProbeContext

_log = Log()


class HttpProbe:
    """Asks one URL. Each observation is one request on a new connection, never sent twice.

    What is always the same is written down once, since that takes as long as to ask.
    """

    __slots__ = (
        "_clock",
        "_compression",
        "_follow",
        "_is_constant",
        "_most_redirects",
        "_options",
        "_preflight",
        "_seconds",
        "_sender",
        "_timeout",
        "_tokens",
        "_user_agent",
        "_wire",
    )

    def __init__(self, options: HttpOptions, context: ProbeContext) -> None:
        self._options = options
        self._clock = context.clock
        self._user_agent = context.user_agent
        self._follow = options.request.follow_redirects
        self._most_redirects = options.request.max_redirects
        self._compression = options.request.compression
        self._sender = Sender(
            options.request,
            URL(options.url).host,
            context.resolver,
            follow=self._follow,
            body_limit=options.request.body_limit,
        )
        self._tokens = find_tokens(options.request, context)
        self._preflight = context.preflight
        self._timeout = context.timeout
        self._seconds = context.timeout.total_seconds()
        self._is_constant = is_constant(options)
        self._wire: WireRequest | None = None

    async def observe(self) -> Observation:
        """Ask once; whatever goes wrong is part of what is seen. Lets a cancellation pass."""
        seen, final = await self._visit(None)
        if not self._preflight or final is None:
            return seen

        return replace(seen, preflight=await self._ask_preflight(URL(final), seen.duration))

    async def visit(self, jar: Jar) -> tuple[Observation, URL | None]:
        """Ask once, with the cookies of a jar, which keeps those that are set.

        Give as well at which URL it ended, None where no answer stands.
        """
        seen, final = await self._visit(jar)

        return seen, None if final is None else URL(final)

    async def _visit(self, jar: Jar | None) -> tuple[Observation, str | None]:
        """Ask once. The final URL is text: to read it costs more than to keep it."""
        if self._tokens is not None and (lack := await self._tokens.provide(self._timeout)):
            return write_down(self._clock(), Sighting(), lack, asked=self._options.target), None

        at = self._clock()
        sighting = Sighting()
        deadline = Deadline(self._seconds)
        fault: Fault | None = None
        final: str | None = None
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

        seen = write_down(at, sighting, fault, asked=self._options.target)
        if self._tokens is not None and final is not None and self._is_home(URL(final)):
            self._tokens.hear(seen)

        return seen, final

    async def close(self) -> None:
        """Hold nothing: each observation gives back what it used."""

    async def _ask(self, sighting: Sighting, jar: Jar | None) -> str:
        """Send the request; where the answer redirects, go on from there. Give the final URL."""
        request: Request | None = None
        wire = self._wire
        if jar is not None:
            request = first_request(self._options, self._user_agent)
            wire = self._sender.write(with_cookies(request, jar.header_for(request.url)))
        elif wire is None:
            request = first_request(self._options, self._user_agent)
            wire = self._sender.write(request)
            self._wire = wire if self._is_constant else None

        answer = await self._sender.send(sighting, wire)
        if self._follow and answer.location is not None:
            request = request or first_request(self._options, self._user_agent)
            return str(await self._go_on(sighting, request, answer, jar or Jar()))

        if jar is not None:
            jar.take(answer.all(b"set-cookie"), URL(self._options.url), self._clock())
        if self._compression is not Compression.ANY:
            self._check_compression(answer, wire)

        return self._options.url

    async def _ask_preflight(self, url: URL, passed: timedelta) -> HeaderLines | None:
        """Ask what a foreign origin may do, in what is left of the time; None without an answer."""
        sighting = Sighting()
        deadline = Deadline((self._timeout - passed).total_seconds())
        try:
            request = preflight_request(url, self._options, self._user_agent)
            answer = await self._sender.send(sighting, self._sender.write(request))
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
                assert sighting.call is not None
                self._check_compression(answer, sighting.call.wire)
                return request.url
            if len(sighting.hops) > self._most_redirects:
                raise Faulted(explain_redirects(self._most_redirects))

            request = next_request(request, answer.status, answer.location)
            from_afar = from_afar or (sighting.call is not None and is_afar(sighting.call))
            wire = self._sender.write(with_cookies(request, jar.header_for(request.url)))
            answer = await self._sender.send(sighting, wire, from_afar=from_afar)

    def _check_compression(self, answer: Answer, wire: WireRequest) -> None:
        """Raise Faulted where another compression was demanded."""
        if self._compression is Compression.ANY:
            return
        if other := find_other_compression(answer, self._compression, wire.peer):
            raise Faulted(other)

    def _is_home(self, url: URL) -> bool:
        """Say whether an answer came from where our credentials are sent."""
        return url.origin() == URL(self._options.url).origin()

    def _explain_bug(self, error: Exception) -> Fault:
        """Tell of a bug: a fault of ours must not look like the target's."""
        _log.exception("probe_failed_inside", target=self._options.target)

        return Fault(
            code=Code.INTERNAL,
            message=f"the probe failed inside the monitor: {type(error).__name__}",
            own=True,
        )
