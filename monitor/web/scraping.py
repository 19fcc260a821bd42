"""`/metrics`: pages that are made one at a time, each for all who ask while it is made."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol
from weakref import ref

from aiohttp import web
from aiohttp.payload import Payload

from monitor.metrics import OPENMETRICS, TEXT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiohttp.abc import AbstractStreamWriter

MOST_PAGES: Final = 2
"""So many pages of one form are in memory at once: with 10,000 endpoints one has 21 MB."""

WORK: Final = timedelta(milliseconds=10)
"""After so much work on a page, probes have their turn."""

_SHARE: Final = 0.1
"""After a turn that took long, a page has this share of it: where the machine is so busy that turns
take seconds, it would otherwise come after the scraper has left, when it is needed most."""

_QUICKLY: Final = (
    1  # a twelfth of the size for a third of the time; the best, a thirteenth for half
)
_GZIP: Final = 16 + zlib.MAX_WBITS


class Write(Protocol):
    """Writes what there is to tell, part by part."""

    def __call__(self, *, as_openmetrics: bool) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a page is wanted."""

    as_openmetrics: bool = False
    gzip: bool = False


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Page:
    """What there was to tell at one moment."""

    parts: tuple[bytes, ...]


class Scrapes:
    """Gives pages. Many scrapes at once cost as much as one, in time and in memory.

    Whoever asks while a page is made gets that one. Where two of them are still being read, the
    newer one is given once more: nobody who reads slowly can fill the memory, or shut others out.
    """

    def __init__(self, write: Write, *, work: timedelta = WORK) -> None:
        self._write = write
        self._work = work.total_seconds()
        self._one_at_a_time = asyncio.Lock()
        self._making: dict[Form, asyncio.Task[Page]] = {}
        self._read: defaultdict[Form, list[ref[Page]]] = defaultdict(list)

    async def page(self, form: Form) -> Page:
        """Give a page that was not finished yet when it was asked for, as long as there is room."""
        if form not in self._making:
            read = self._still_read(form)
            if len(read) >= MOST_PAGES:
                return read[-1]

            self._making[form] = asyncio.create_task(self._make(form), name="page of metrics")

        return await asyncio.shield(self._making[form])  # who goes away leaves it to the others

    async def close(self) -> None:
        """Make no page any more."""
        making = list(self._making.values())
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)

    def _still_read(self, form: Form) -> list[Page]:
        """Give the pages that somebody has, oldest first; nothing but their readers keeps them."""
        pages = [page for known in self._read[form] if (page := known()) is not None]
        self._read[form] = [ref(page) for page in pages]

        return pages

    async def _make(self, form: Form) -> Page:
        try:
            async with self._one_at_a_time:
                page = Page(parts=tuple([part async for part in self._parts(form)]))
        finally:
            del self._making[form]
        self._read[form].append(ref(page))

        return page

    async def _parts(self, form: Form) -> AsyncIterator[bytes]:
        packer = zlib.compressobj(_QUICKLY, wbits=_GZIP) if form.gzip else None
        began, allowed = time.thread_time(), self._work
        for written in self._write(as_openmetrics=form.as_openmetrics):
            part = packer.compress(written) if packer else written
            if part:
                yield part
            if time.thread_time() - began >= allowed:
                turned = time.monotonic()
                await asyncio.sleep(0)
                allowed = max(self._work, (time.monotonic() - turned) * _SHARE)
                began = time.thread_time()
        if packer is not None:
            yield packer.flush()


SCRAPES: Final = web.AppKey("scrapes", Scrapes)


async def metrics(request: web.Request) -> web.Response:
    """Give the page that Prometheus reads, as OpenMetrics and packed where that is asked for."""
    form = Form(
        as_openmetrics="application/openmetrics-text" in request.headers.get("Accept", ""),
        gzip=takes_gzip(request.headers.get("Accept-Encoding", "")),
    )
    page = await request.app[SCRAPES].page(form)
    headers = {"Content-Type": OPENMETRICS if form.as_openmetrics else TEXT}
    if form.gzip:
        headers["Content-Encoding"] = "gzip"

    return web.Response(body=_Sent(page), headers=headers)


class _Sent(Payload):
    """Sends a page part by part, as fast as it is read, and lets go of it then."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._size = sum(map(len, page.parts))

    async def write(self, writer: AbstractStreamWriter) -> None:
        page, self._value = self._value, None
        for part in page.parts:
            await writer.write(part)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a page of metrics is only ever sent")


def takes_gzip(accepted: str) -> bool:
    """Whether `Accept-Encoding` names gzip, and not as what is refused."""
    for one in accepted.lower().split(","):
        coding, _, weight = one.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" or weight == ""

    return False
