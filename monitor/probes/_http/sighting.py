"""What is known of one observation while it is made, and how it is written down at the end."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Observation
from monitor.probes._http.urls import mask_query
from monitor.probes._net.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import aiohttp

    from monitor.core.model.observation import Fault, Hop
    from monitor.probes._http.body import Body
    from monitor.probes._http.connector import Call


_REMEMBERED: Final = 512  # of the lines that nearly all answers have in common


class Sighting:
    """What is known so far of one observation."""

    __slots__ = ("body", "call", "hops", "response", "watch")

    def __init__(self) -> None:
        self.watch = Stopwatch()
        self.call: Call | None = None
        self.response: aiohttp.ClientResponse | None = None
        self.body: Body | None = None
        self.hops: list[Hop] = []

    def hang_up(self) -> None:
        """Give back the connection of the latest request."""
        if self.response is not None:
            self.response.close()
        if self.call is not None:
            self.call.hang_up()


def write_down(at: datetime, sighting: Sighting, fault: Fault | None, *, asked: str) -> Observation:
    """Write an observation of what is known; `asked` is its URL where nothing could be sent."""
    call, response, body = sighting.call, sighting.response, sighting.body
    return Observation(
        at=at,
        duration=sighting.watch.elapsed(),
        fault=fault,
        phases=sighting.watch.phases(),
        url=str(mask_query(call.request.url)) if call else asked,
        redirects=tuple(sighting.hops),
        certificate=call.certificate if call else None,
        tls_version=call.tls_version if call else None,
        ip_family=call.ip_family if call else None,
        address=call.address if call else None,
        status=response.status if response else None,
        http_version=_version(response) if response else None,
        headers=_header_lines(response) if response else (),
        content_length=_declared_length(response.headers) if response else None,
        body=body.content() if body else b"",
        body_truncated=body.truncated if body else False,
    )


def _version(response: aiohttp.ClientResponse) -> str | None:
    version = response.version

    return f"{version.major}.{version.minor}" if version else None


def _header_lines(response: aiohttp.ClientResponse) -> tuple[tuple[str, str], ...]:
    return tuple(_read_line(name, value) for name, value in response.raw_headers)


@lru_cache(maxsize=_REMEMBERED)
def _read_line(name: bytes, value: bytes) -> tuple[str, str]:
    """Read a header line; the same line of another answer is the same object."""
    return _decode(name), _decode(value)


def _decode(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _declared_length(headers: Mapping[str, str]) -> int | None:
    declared = headers.get("Content-Length", "")

    return int(declared) if declared.isascii() and declared.isdigit() else None
