"""Looks at one page: opens it, waits for what has to be there, and reads it as it is then."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from monitor.core.model.observation import Code, Phase
from monitor.probes._browser.chromium import Chromium
from monitor.probes._browser.faults import NO_CONTENT, explain_own, explain_page, find_error
from monitor.probes._browser.process import Unready
from monitor.probes._browser.sighting import Sighting, split_time
from monitor.probes._http.urls import show_url
from monitor.probes._net.faults import Faulted
from monitor.probes._net.look import Look, explain_bug, observe

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

    from monitor.core.model.observation import Observation
    from monitor.probes._browser.chromium import Tab
    from monitor.probes._browser.options import BrowserOptions
    from monitor.probes.probe import ProbeContext

_PAUSE: Final = 0.05
_DOCUMENT: Final = "(document.documentElement ? document.documentElement.outerHTML : '')"


class BrowserProbe:
    """Looks at its page in the browser that all share; each time as if for the first."""

    def __init__(self, options: BrowserOptions, context: ProbeContext) -> None:
        self._options = options
        self._context = context
        self._chromium: Chromium | None = None

    async def observe(self) -> Observation:
        """Look once; its time begins with an empty page, and to have none is our own fault."""
        if self._chromium is None:
            self._chromium = Chromium.join(self._options.program)
        at = self._context.clock()
        try:
            tab = await self._chromium.open(self._options, self._context.timeout)
        except Unready as error:
            return Look(self._options.target).write_down(at, explain_own(str(error)))
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not look like the target's
            fault = explain_bug(error, self._options.target)
            return Look(self._options.target).write_down(at, fault)

        visit = _Visit(self._options, self._context, tab)
        try:
            seen = await observe(
                self._context, self._options.target, visit.ask, conclude=visit.conclude
            )
            return await self._blame(tab, visit, seen)
        finally:
            self._chromium.release(tab)

    async def close(self) -> None:
        """Let go of the browser; the last one who does ends it."""
        if self._chromium is not None:
            chromium, self._chromium = self._chromium, None
            await chromium.leave()

    async def _blame(self, tab: Tab, visit: _Visit, seen: Observation) -> Observation:
        """Tell a browser that hangs, or is gone, from a page that does."""
        phases = visit.phases if sum(visit.phases.values(), timedelta()) <= seen.duration else {}
        seen = replace(
            seen,
            url=visit.final or seen.url,
            redirects=tuple(visit.sighting.hops),
            phases=phases or seen.phases,
            remark=visit.remark,
        )
        fault = seen.fault
        if fault is None or fault.own or fault.code is not Code.TIMEOUT:
            return seen
        if await tab.process.answers():
            return seen

        tab.process.kill()
        message = f"the browser hung, so it was ended ({fault.message})"

        return replace(seen, fault=explain_own(message))


class _Visit:
    """One look at a page."""

    def __init__(self, options: BrowserOptions, context: ProbeContext, tab: Tab) -> None:
        self.sighting = Sighting(options, context.mask)
        self.phases: dict[Phase, timedelta] = {}
        self.loaded: timedelta | None = None
        self.final = ""
        self._options = options
        self._tab = tab
        self._begun = perf_counter()

    async def ask(self, look: Look) -> None:
        """Look at the page; raises Faulted where Chromium does not show it."""
        from playwright.async_api import Error

        self._begun = perf_counter()
        page, process = self._tab.page, self._tab.process
        try:
            await self._show(look, page)
        except Error as error:
            if not process.alive:
                raise Faulted(explain_own("the browser ended while it was looked at")) from error
            if self.sighting.crashed:
                crash = "the page's part of the browser crashed, or was ended for its memory"
                raise Faulted(explain_own(crash)) from error
            if find_error(str(error)) != NO_CONTENT or self.sighting.status is None:
                fault = explain_page(str(error), self._options.url, self.sighting.status)
                raise Faulted(fault) from error
        with suppress(Error):  # it went elsewhere
            await self._tell_document(look)

    def conclude(self, look: Look) -> None:
        """Write down what was seen, however it ended."""
        sighting = self.sighting
        look.status = sighting.status
        look.values["console_errors"] = list(sighting.console)
        look.values["failed_requests"] = list(sighting.failed)
        look.measure("probe_browser_console_errors", len(sighting.console))
        look.measure("probe_browser_failed_requests", len(sighting.failed))
        if sighting.document is not None:
            self.phases = dict(split_time(sighting.document, self.loaded))
        for phase, took in (self.phases or look.watch.phases()).items():
            look.measure("probe_browser_duration_seconds", took.total_seconds(), phase=phase.value)
        if self.loaded is not None:
            seconds = round(self.loaded.total_seconds(), 3)
            look.values["value"] = seconds
            look.measure("probe_browser_load_seconds", seconds)

    @property
    def remark(self) -> str:
        """What may be the cause of whatever is wrong with the page."""
        if self.sighting.console:
            return f'the console says "{self.sighting.console[0]}"'
        if self.sighting.failed:
            return f"a request of the page failed: {self.sighting.failed[0]}"

        return ""

    async def _show(self, look: Look, page: Page) -> None:
        self.sighting.hear(page)
        session = await self._tab.context.new_cdp_session(page)
        if self._options.headers:
            await self._send_headers(session)
        look.watch.enter(Phase.PROCESSING)
        await page.goto(self._options.url, wait_until="commit", timeout=0)
        look.watch.enter(Phase.TRANSFER)
        look.awaited = "load"
        await page.wait_for_load_state("load", timeout=0)
        self.loaded = timedelta(seconds=perf_counter() - self._begun)
        look.watch.leave()
        if self._options.wait_for is not None:
            look.awaited = f"show {self._options.wait_for}"
            await page.wait_for_selector(
                f"css={self._options.wait_for}", state="attached", timeout=0
            )
        look.awaited = "come to rest"
        await self._read_document(look, session)

    async def _read_document(self, look: Look, session: CDPSession) -> None:
        """Read the page as it is now, out of reach of its own scripts, and not more than may be."""
        from playwright.async_api import Error

        limit = self._options.body_limit
        wanted = f"{_DOCUMENT}.slice(0, {limit + 1})"
        while True:
            try:
                tree = await session.send("Page.getFrameTree")
                frame = tree["frameTree"]["frame"]
                world = await session.send("Page.createIsolatedWorld", {"frameId": frame["id"]})
                asked = {
                    "expression": wanted,
                    "contextId": world["executionContextId"],
                    "returnByValue": True,
                }
                text: Any = (await session.send("Runtime.evaluate", asked))["result"].get("value")
                break
            except Error:
                # It went elsewhere meanwhile: what comes then is looked at.
                if self.sighting.crashed or not self._tab.process.alive:
                    raise
                await asyncio.sleep(_PAUSE)

        body = str(text or "").encode("utf-8", "replace")
        look.body, look.body_truncated = body[:limit], len(body) > limit
        self.final = show_url(URL(str(frame["url"])))

    async def _tell_document(self, look: Look) -> None:
        """Tell what is known of the answer that the page came with."""
        document = self.sighting.document
        if document is None:
            return

        look.headers = tuple((one["name"], one["value"]) for one in await document.headers_array())
        if address := await document.server_addr():
            look.address = address["ipAddress"].strip("[]")
            look.ip_family = ip_address(look.address).version
        if security := await document.security_details():
            look.tls_version = str(security.get("protocol") or "TLS").replace("TLS ", "TLSv")

    async def _send_headers(self, session: CDPSession) -> None:
        """Send ours along to the page's own origin, and nowhere else, also after a redirect."""
        ours = {name: value.reveal() for name, value in self._options.headers.items()}
        taken = {name.lower() for name in ours}

        async def go_on(paused: dict[str, Any]) -> None:
            from playwright.async_api import Error

            theirs = paused["request"]["headers"]
            headers = {name: text for name, text in theirs.items() if name.lower() not in taken}
            lines = [{"name": name, "value": text} for name, text in (headers | ours).items()]
            try:
                await session.send(
                    "Fetch.continueRequest", {"requestId": paused["requestId"], "headers": lines}
                )
            except Error:
                return  # the page is gone

        session.on("Fetch.requestPaused", go_on)
        await session.send(
            "Fetch.enable", {"patterns": [{"urlPattern": f"{self._options.origin}/*"}]}
        )
