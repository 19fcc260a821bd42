"""What a page tells while it is looked at: its document, its console, and what it did not get."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from yarl import URL

from monitor.core.expectations.shown import plain, shorten
from monitor.core.model.observation import Hop, Phase
from monitor.probes._http.urls import show_location, show_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from playwright.async_api import ConsoleMessage, Error, Page, Request, Response

    from monitor.probes._browser.options import BrowserOptions

MOST_KEPT: Final = 50
"""How many errors of the console, and how many failed requests, are kept."""

_MOST_ANSWERS: Final = 500
_MOST_HOPS: Final = 20
_LONGEST: Final = 300
_LONGEST_READ: Final = 10_000
_URL: Final = re.compile(r"https?://[^\s\"'<>)]+")
_NOT_LOADED: Final = "Failed to load resource: "
_NO_FAULT: Final = "net::ERR_ABORTED"  # the page itself let go of it


class Sighting:
    """Hears a page from its beginning; what is kept is bounded, cleaned and without secrets."""

    def __init__(self, options: BrowserOptions, mask: Callable[[str], str]) -> None:
        self.console: list[str] = []
        self.failed: list[str] = []
        self.hops: list[Hop] = []
        self.document: Response | None = None
        self.crashed = False
        self._options = options
        self._mask = mask
        self._page: Page | None = None
        self._answers = 0

    def hear(self, page: Page) -> None:
        """Listen from now on."""
        self._page = page
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        page.on("requestfailed", self._on_failure)
        page.on("response", self._on_response)
        page.on("crash", self._on_crash)
        page.on("popup", _close)

    @property
    def status(self) -> int | None:
        """The status of the document, as far as one came."""
        return None if self.document is None else self.document.status

    def _on_console(self, message: ConsoleMessage) -> None:
        """Keep an error; what could not be loaded is known besides, with its URL."""
        text = message.text
        if message.type == "error" and not text.startswith(_NOT_LOADED):
            self._keep_line(text)

    def _on_error(self, error: Error) -> None:
        name = f"{error.name}: " if error.name else ""
        self._keep_line(f"Uncaught {name}{error.message}")

    def _keep_line(self, text: str) -> None:
        line = text[:_LONGEST_READ]
        if len(self.console) < MOST_KEPT and not self._options.ignores(line):
            self.console.append(self._clean(line))
        if len(self.console) == MOST_KEPT and self._page is not None:
            # a page can say more than anybody could read
            for event, listener in (("console", self._on_console), ("pageerror", self._on_error)):
                with suppress(KeyError):
                    self._page.remove_listener(event, listener)

    def _on_failure(self, request: Request) -> None:
        why = request.failure or "it failed"
        if why != _NO_FAULT and not self._is_document(request):
            self._keep_failure(request.url, f": {why}")

    def _on_response(self, response: Response) -> None:
        self._answers += 1
        if self._answers == _MOST_ANSWERS and self._page is not None:
            self._page.remove_listener("response", self._on_response)
        request = response.request
        if self._is_document(request):
            self._take_document(request, response)
        elif response.status >= 400 and not request.url.endswith("/favicon.ico"):
            self._keep_failure(request.url, f" answered {response.status}")

    def _take_document(self, request: Request, response: Response) -> None:
        if request.redirected_from is None:
            self.hops = []
        location = response.headers.get("location")
        if location is not None and 300 <= response.status < 400 and len(self.hops) < _MOST_HOPS:
            self.hops.append(
                Hop(
                    url=show_url(URL(request.url)),
                    status=response.status,
                    location=show_location(location),
                )
            )
        self.document = response

    def _keep_failure(self, url: str, why: str) -> None:
        if len(self.failed) < MOST_KEPT:
            self.failed.append(self._clean(f"{url[:_LONGEST_READ]}{why}"))

    async def _on_crash(self, page: Page) -> None:
        """Close it: whoever waits for something on it would wait for ever."""
        self.crashed = True
        await _close(page)

    def _is_document(self, request: Request) -> bool:
        """Say whether a request is for the page itself, and not for a frame in it."""
        from playwright.async_api import Error

        try:
            return request.is_navigation_request() and request.frame.parent_frame is None
        except Error:
            return request.is_navigation_request()

    def _clean(self, text: str) -> str:
        shown = _URL.sub(lambda one: _show(one[0]), self._mask(text))

        return shorten(plain(shown), limit=_LONGEST)


def split_time(document: Response, loaded: timedelta | None) -> Mapping[Phase, timedelta]:
    """Give the phases of a document with all its redirects, as Chromium timed them.

    `loaded` is when the page was; nothing may have taken longer than that.
    """
    spent = dict.fromkeys(Phase, 0.0)
    request: Request | None = document.request
    while request is not None:
        for phase, took in _phases_of(request).items():
            spent[phase] += took
        request = request.redirected_from

    if loaded is not None:
        before = sum(spent.values())
        spent[Phase.TRANSFER] = max(0.0, loaded.total_seconds() * 1000 - before)
        if before > loaded.total_seconds() * 1000:
            return {}

    return {
        phase: timedelta(microseconds=int(took * 1000)) for phase, took in spent.items() if took > 0
    }


def _phases_of(request: Request) -> dict[Phase, float]:
    """Give them in milliseconds; what a connection took that was open before is in none of them."""
    times = request.timing
    resolved = max(0.0, times["domainLookupEnd"] - times["domainLookupStart"])
    answered = max(0.0, times["responseStart"])
    whole = max(0.0, times["connectEnd"] - times["connectStart"])
    tls = times["connectEnd"] - times["secureConnectionStart"]
    tls = tls if times["secureConnectionStart"] > 0 else 0.0

    return {
        Phase.RESOLVE: resolved,
        Phase.CONNECT: max(0.0, whole - tls),
        Phase.TLS: max(0.0, tls),
        Phase.PROCESSING: max(0.0, answered - max(0.0, times["connectEnd"], resolved)),
    }


async def _close(page: Page) -> None:
    from playwright.async_api import Error

    with suppress(Error):
        await page.close()


def _show(text: str) -> str:
    try:
        return show_url(URL(text))
    except ValueError:
        return "a URL that is none"
