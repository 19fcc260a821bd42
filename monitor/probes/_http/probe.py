"""Observes one HTTP endpoint: one request, its redirects, and everything that can be said of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import http_exceptions
from yarl import URL

from monitor.core.model.observation import Code, Fault, Hop, Phase
from monitor.logs import Log
from monitor.probes._http.body import Body
from monitor.probes._http.client import Client, shared_client
from monitor.probes._http.connector import Call, current_call, is_inward
from monitor.probes._http.explain import clean, explain, explain_redirects, explain_timeout
from monitor.probes._http.request import REDIRECTS, first_request, next_request, with_cookies
from monitor.probes._http.sighting import Sighting, write_down
from monitor.probes._http.urls import mask_query, show_location
from monitor.probes._net.faults import Faulted
from monitor.probes._net.tls import TlsTerms

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation
    from monitor.probes._http.options import HttpOptions, TlsOptions
    from monitor.probes._http.request import Request
    from monitor.probes._net.resolver import Resolver
    from monitor.probes.probe import ProbeContext

_log = Log()


class HttpProbe:
    """Asks one URL. Each observation is one request on a new connection, never sent twice."""

    def __init__(
        self, options: HttpOptions, context: ProbeContext, *, resolver: Resolver | None = None
    ) -> None:
        self._options = options
        self._user_agent = context.user_agent
        self._follow = options.request.follow_redirects
        self._most_redirects = options.request.max_redirects
        self._body_limit = options.request.body_limit
        self._terms = _terms(options.request.tls)
        self._server_name = options.request.tls.server_name
        self._host = URL(options.url).host
        self._timeout = context.timeout
        self._client = Client(resolver) if resolver else shared_client()
        self._session: aiohttp.ClientSession | None = None

    async def observe(self) -> Observation:
        """Ask once; whatever goes wrong is part of what is seen. Lets a cancellation pass."""
        at = datetime.now(UTC)
        sighting = Sighting()
        deadline = asyncio.timeout(self._timeout.total_seconds())
        fault: Fault | None = None
        try:
            async with deadline:
                await self._ask(sighting)
        except Faulted as error:
            fault = error.fault
        except TimeoutError as error:
            fault = (
                explain_timeout(sighting, self._timeout)
                if deadline.expired()
                else explain(error, sighting)
            )
        except (aiohttp.ClientError, http_exceptions.HttpProcessingError, OSError) as error:
            fault = explain(error, sighting)
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not look like the target's
            _log.exception("probe_failed_inside", target=self._options.target)
            fault = Fault(
                code=Code.INTERNAL,
                message=f"the probe failed inside the monitor: {type(error).__name__}",
                own=True,
            )
        finally:
            sighting.watch.leave()
            sighting.hang_up()

        return write_down(at, sighting, fault, asked=self._options.target)

    async def close(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            self._session = None
            await self._client.close()

    async def _ask(self, sighting: Sighting) -> None:
        """Send the request, and those that redirects ask for, until an answer stands."""
        # anew each time: a credential or a body that lives in a file may have changed
        request = first_request(self._options, self._user_agent)
        jar: aiohttp.CookieJar | None = None
        from_afar = False
        while True:
            sent = with_cookies(request, _cookies_for(jar, request.url))
            response = await self._send(sighting, sent, from_afar=from_afar)
            location = response.headers.get("Location") if response.status in REDIRECTS else None
            if location is not None:
                sighting.hops.append(_write_hop(request, response.status, location))
            if location is None or not self._follow:
                await self._read_body(sighting, response)
                return

            if len(sighting.hops) > self._most_redirects:
                raise Faulted(explain_redirects(self._most_redirects))

            request = next_request(request, response.status, location)
            if response.cookies:
                jar = jar or aiohttp.CookieJar(unsafe=True)
                jar.update_cookies(response.cookies, response.url)
            address = sighting.call.address if sighting.call else None
            from_afar = from_afar or (address is not None and not is_inward(address))
            sighting.hang_up()

    async def _send(
        self, sighting: Sighting, request: Request, *, from_afar: bool
    ) -> aiohttp.ClientResponse:
        sighting.response = None
        sighting.call = Call(
            request,
            sighting.watch,
            terms=self._terms,
            server_name=self._server_name if request.url.host == self._host else None,
            from_afar=from_afar,
        )
        token = current_call.set(sighting.call)
        try:
            sighting.response = await self._open_session().request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
            )
        finally:
            current_call.reset(token)

        sighting.watch.leave()

        return sighting.response

    async def _read_body(self, sighting: Sighting, response: aiohttp.ClientResponse) -> None:
        sighting.watch.enter(Phase.TRANSFER)
        sighting.body = Body(response.headers.get("Content-Encoding", ""), self._body_limit)
        await sighting.body.read_from(response.content)
        sighting.watch.leave()

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._client.open()

        return self._session


def _write_hop(request: Request, status: int, location: str) -> Hop:
    url, pointed = str(mask_query(request.url)), clean(show_location(location))

    return Hop(url=url, status=status, location=pointed)


def _terms(tls: TlsOptions) -> TlsTerms:
    return TlsTerms(
        verify=tls.verify,
        ca_file=tls.ca_file,
        min_version=tls.min_version.wire if tls.min_version else None,
        max_version=tls.max_version.wire if tls.max_version else None,
    )


def _cookies_for(jar: aiohttp.CookieJar | None, url: URL) -> str:
    if jar is None:
        return ""

    return "; ".join(f"{name}={morsel.value}" for name, morsel in jar.filter_cookies(url).items())
