"""How we speak HTTP as a client: one request, one deadline, a capped answer, no secret shown."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Final

from yarl import URL

from monitor.core.outbox import LONGEST_WISH, Why
from monitor.examination import Unfit
from monitor.names import Resolver, connect_any
from monitor.options import format_address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import aiohttp

ANSWER_LIMIT: Final = 16 * 1024
"""How many bytes of an answer are read."""

_THREADS: Final = 16
_PER_NAME: Final = 2
_SECONDS: Final = re.compile(r"[0-9]{1,300}(\.[0-9]{1,300})?")
_SHORTEST_PART: Final = 6
_CANCEL_AGAIN: Final = 0.05
_UNWRITABLE: Final = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: header names in lower case, of repeated ones the last; the body's start."""

    status: int
    headers: Mapping[str, str]
    text: str


class NoAnswer(Exception):
    """The request brought no complete answer; the text holds neither address nor secret."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why = why


async def post(
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    timeout: timedelta,
    method: str = "POST",
    limit: int = ANSWER_LIMIT,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Send one request over a connection of its own; `timeout` is the deadline of all of it.

    Redirects are answers, not followed; neither a proxy nor credentials come from the environment.
    `limit` is how many bytes of the answer are read; `tls` is of one who trusts others than the
    system does. Raises NoAnswer.
    """
    import aiohttp

    asking = asyncio.create_task(
        _ask(method, url, body=body, headers=headers, limit=limit, tls=tls),
        name="outgoing request",
    )
    try:
        await asyncio.wait({asking}, timeout=timeout.total_seconds())
        if not asking.done():
            raise NoAnswer(Why.TIMEOUT, "no complete answer in time")
        return asking.result()
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # None: what the client says of its errors holds the address.
        raise _explain(error) from None
    finally:
        await _end(asking)


async def reach(url: str, *, timeout: timedelta) -> str:
    """Connect to where a URL leads, over TLS where it says so, send nothing, and say that it went.

    Raises Unfit.
    """
    place = URL(url)
    host, port = place.host or "", place.port or 0
    peer = format_address(host, port)
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            sock = await connect(host, port)
            secure = place.scheme == "https"
            _, writer = await asyncio.open_connection(
                sock=sock,
                ssl=ssl.create_default_context() if secure else None,
                server_hostname=host if secure else None,
            )
            writer.transport.abort()
    except TimeoutError as error:
        raise Unfit(f"{peer} did not accept a connection in time") from error
    except ssl.SSLCertVerificationError as error:
        raise Unfit(f"the certificate of {peer} is not trusted: {error.verify_message}") from error
    except (OSError, UnicodeError, RuntimeError) as error:
        raise Unfit(f"{peer} cannot be reached: {_say(error)}") from error

    return f"{peer} accepts connections; nothing was sent"


async def connect(host: str, port: int) -> socket.socket:
    """Connect to a name or an address, whichever of its addresses answers first.

    Raises OSError or UnicodeError; it takes as long as it takes.
    """
    return await connect_any(await _resolver().begin(host, port).answer())


def _say(error: Exception) -> str:
    """Say what the system says, which the event loop replaces by words of its own."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno).lower()

    said = getattr(error, "strerror", None) or str(error)

    return f"{said[:1].lower()}{said[1:]}"


async def _ask(
    method: str,
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    limit: int,
    tls: ssl.SSLContext | None,
) -> Answer:
    async with (
        open_session() as session,
        session.request(
            method,
            URL(url),
            data=body,
            headers={"Accept-Encoding": "identity", **headers},
            allow_redirects=False,
            ssl=tls or True,
        ) as response,
    ):
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            text=await _read(response, limit),
        )


async def _end(asking: asyncio.Task[Answer]) -> None:
    """Cancel until it heeds: a race of addresses swallows what comes while it ends the losers."""
    while not asking.done():
        asking.cancel()
        await asyncio.wait({asking}, timeout=_CANCEL_AGAIN)
    if not asking.cancelled():
        asking.exception()  # what came too late is not looked at


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Read a `Retry-After` of whole or decimal seconds or a date; None is no usable wish.

    More than an hour is an hour; a date in the past is no wait at all.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return timedelta(seconds=min(float(text), LONGEST_WISH.total_seconds()))

    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None

    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)

    return min(max(until - now, timedelta()), LONGEST_WISH)


def is_usable(url: str) -> bool:
    """Say whether a request can be sent there: an http or https URL with a host."""
    try:
        parts = URL(url)
        usable = parts.scheme in ("http", "https") and bool(parts.host) and parts.port != 0
    except ValueError:
        return False

    return usable and not _UNWRITABLE.search(url)


def list_spellings(secret: str) -> list[str]:
    """Give a secret as a receiver may say it again: of a URL also the path, and the password."""
    parts = [secret]
    if is_usable(secret):
        url = URL(secret)
        parts += [url.raw_path_qs, url.path_qs, url.raw_path, url.password or ""]

    return [part for part in parts if len(part) >= _SHORTEST_PART]


def open_session(
    redirected: Callable[..., Awaitable[None]] | None = None,
) -> aiohttp.ClientSession:
    """Open what connects as all of our requests do; whoever opens it closes it.

    `redirected` is called before a redirect is followed, and may raise.
    """
    import aiohttp

    trace = aiohttp.TraceConfig()
    if redirected is not None:
        trace.on_request_redirect.append(redirected)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            force_close=True, use_dns_cache=False, limit=0, resolver=_make_resolver()
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
        auto_decompress=False,
        trace_configs=[trace],
    )


async def _read(response: aiohttp.ClientResponse, limit: int) -> str:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) >= limit:
            break

    return body[:limit].decode("utf-8", "replace")


def _explain(error: Exception) -> NoAnswer:
    import aiohttp

    match error:
        case aiohttp.ClientConnectorCertificateError():
            return NoAnswer(Why.TLS, "the certificate is not trusted")
        case aiohttp.ClientSSLError():
            return NoAnswer(Why.TLS, "no TLS session")
        case aiohttp.ClientConnectorDNSError():
            return NoAnswer(Why.UNREACHABLE, "the name cannot be resolved")
        case aiohttp.ClientConnectorError(errno=int(number)) if number:
            return NoAnswer(Why.UNREACHABLE, f"no connection: {os.strerror(number)}")
        case aiohttp.ClientConnectorError():
            return NoAnswer(Why.UNREACHABLE, "no connection")
        case aiohttp.ClientResponseError():
            return NoAnswer(Why.BAD_ANSWER, "the answer is not HTTP")
        case aiohttp.ClientError() | OSError():
            return NoAnswer(Why.CONNECTION_LOST, "the connection ended before the answer")
        case _:
            return NoAnswer(Why.MISCONFIGURED, "the URL or a header cannot be sent")


def _make_resolver() -> aiohttp.abc.AbstractResolver:
    from aiohttp.abc import AbstractResolver, ResolveResult

    class OwnResolver(AbstractResolver):
        """Asks the system on threads of its own: a name that hangs keeps no other waiting."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            try:
                addresses = await _resolver().begin(host, port).answer()
            except UnicodeError as error:
                raise OSError("not a name") from error

            return [
                ResolveResult(
                    hostname=host,
                    host=str(address[0]),
                    port=port,
                    family=kind,
                    proto=socket.IPPROTO_TCP,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
                for kind, _, _, _, address in addresses
                if family in (socket.AF_UNSPEC, kind)
            ]

        async def close(self) -> None:
            """Hold nothing."""

    return OwnResolver()


@cache
def _resolver() -> Resolver:
    """Give the threads that ask for the names of receivers, apart from those of probes."""
    return Resolver(threads=_THREADS, per_name=_PER_NAME)
