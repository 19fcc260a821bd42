"""Who may do what over HTTP: Host and Origin, tokens with scopes, and errors in plain words."""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from monitor.config import Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.typedefs import Middleware

    from monitor.config import Token, WebSettings

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger()

_LONGEST_TOKEN: Final = 512
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a route asks of its caller: the scope, and the word that opens it in `web.open`."""

    scope: Scope
    area: str = ""

    @property
    def changes(self) -> bool:
        """Whether something may change by it."""
        return self.scope is not Scope.READ


def guard(
    settings: WebSettings, needs: Callable[[web.Request], Need], public_url: Callable[[], str]
) -> Middleware:
    """Let through who may; answer 401 or 403 with the reason otherwise."""
    loopback = is_loopback(settings.host)
    digests = tuple((token, _digest(token.secret.reveal().encode())) for token in settings.tokens)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if loopback and not _local_host(request.host, settings.host, public_url()):
            raise web.HTTPForbidden(text=f"expected a local Host, found {request.host!r}")
        if (origin := request.headers.get("Origin")) and not _same_site(origin, request.host):
            raise web.HTTPForbidden(text="requests from other sites are refused")

        need = needs(request)
        if not need.changes and (loopback or need.area in settings.open):
            return await handler(request)

        _authorise(request, need, digests)

        return await handler(request)

    return check


@web.middleware
async def in_plain_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as one JSON object, log our own faults, and add the security headers."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = web.json_response(
            {"error": error.text or error.reason}, status=error.status, headers=_kept(error)
        )
    except Exception:  # noqa: BLE001 - a bug of ours must not end the connection without a word
        _log.exception("request_broke", path=request.path)
        response = web.json_response({"error": "the monitor failed inside"}, status=500)

    if not response.prepared:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)

    return response


def is_loopback(host: str) -> bool:
    """Say whether a listening address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _authorise(request: web.Request, need: Need, digests: tuple[tuple[Token, bytes], ...]) -> None:
    if not digests:
        raise web.HTTPForbidden(
            text="changes over HTTP need a token, and none is configured (web.tokens)"
        )

    token = _find(request, digests)
    if token is None:
        raise web.HTTPUnauthorized(
            text="expected a valid token in the header Authorization: Bearer …",
            headers={"WWW-Authenticate": 'Bearer realm="production-monitor"'},
        )
    if not token.scope.allows(need.scope):
        raise web.HTTPForbidden(
            text=f"the token {token.name} has the scope {token.scope}, this needs {need.scope}"
        )


def _find(request: web.Request, digests: tuple[tuple[Token, bytes], ...]) -> Token | None:
    """Compare with every token in constant time, so that the time tells nothing."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given or len(given) > _LONGEST_TOKEN:
        return None

    found = None
    digest = _digest(given.strip().encode("utf-8", "surrogateescape"))
    for token, known in digests:
        if hmac.compare_digest(digest, known):
            found = token

    return found


def _digest(secret: bytes) -> bytes:
    return sha256(secret).digest()


def _kept(error: web.HTTPException) -> dict[str, str]:
    return {
        name: error.headers[name] for name in ("WWW-Authenticate", "Allow") if name in error.headers
    }


def _local_host(host: str, listening: str, public_url: str) -> bool:
    """Refuse names that were made to point here: a browser would carry their pages' requests."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False

    return is_loopback(name) or name in (listening, urlsplit(public_url).hostname)


def _same_site(origin: str, host: str) -> bool:
    return urlsplit(origin).netloc.lower() == host.lower()
