"""Who may do what over HTTP: Host and Origin, tokens with scopes, and errors in plain words."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from aiohttp import web

from monitor.config import Scope
from monitor.logs import Log
from monitor.options import is_loopback
from monitor.web.failure_limit import FailureLimit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta

    from aiohttp.typedefs import Middleware

    from monitor.config import Token, WebSettings

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = Log()

TOKEN: Final = web.RequestKey("token", str)
"""The name of the token that a request was let through for."""

PUBLIC: Final = web.RequestKey("public", bool)
"""Whether a request was let through without a token, because what it asks for is open."""

_LONGEST_TOKEN: Final = 512
_READING: Final = ("GET", "HEAD")
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
    """What a route asks of its caller: the scope, and the word that opens it in `web.open`.

    One that is `keyed` sees for itself who asks: by a key in the path, or a signature.
    """

    scope: Scope
    area: str = ""
    keyed: bool = False

    @property
    def changes(self) -> bool:
        """Whether something may change by it."""
        return self.scope is not Scope.READ


def guard(
    host: str,
    settings: Callable[[], WebSettings],
    needs: Callable[[web.Request], Need],
    public_url: Callable[[], str],
    on_wrong_token: Callable[[], None],
) -> Middleware:
    """Let through who may; answer 401, 403 or 429 with the reason otherwise.

    `host` is the address that is listened on; tokens are those of `settings` at each request.
    """
    loopback = is_loopback(host)
    failure_limit = FailureLimit(monotonic)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        named = request.headers.get("Host")
        known = (host, _parts(public_url())[0])
        if loopback and named is not None and not _local_host(named, known):
            raise web.HTTPForbidden(text=f"expected a local Host, found {named!r}")

        origin = request.headers.get("Origin")
        if origin is not None and not _same_site(origin, (named, public_url())):
            raise web.HTTPForbidden(text="requests from other sites are refused")

        need = needs(request)
        if need.keyed or (not need.changes and (loopback or need.area in settings().open)):
            request[PUBLIC] = not loopback
            return await handler(request)

        try:
            request[TOKEN] = _authorise(request, need, settings().tokens)
        except web.HTTPUnauthorized:
            if "Authorization" not in request.headers:
                raise
            on_wrong_token()
            if (wait := failure_limit.refuse(request.remote)) is not None:
                raise _too_many(wait) from None
            raise

        return await handler(request)

    return check


@web.middleware
async def in_plain_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with a sentence, log our own faults, and add the security headers.

    Programs get theirs as JSON, from `/api/` and where something is to be changed; to whoever
    reads pages and series it is plain text, as blackbox_exporter's is.
    """
    response: web.StreamResponse
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        response = _refusal(request, error.status, _words(request, error), _kept(error))
        if error.keep_alive is False:
            response.force_close()
    except Exception:  # noqa: BLE001 - a bug of ours must not end the connection without a word
        _log.exception("request_broke", path=request.path)
        response = _refusal(request, 500, "the monitor failed inside", {})

    if not response.prepared:
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)

    return response


def _refusal(
    request: web.Request, status: int, text: str, headers: Mapping[str, str]
) -> web.Response:
    if request.path.startswith("/api/") or request.method not in _READING:
        return web.json_response({"error": text}, status=status, headers=headers)

    return web.Response(text=f"{text}\n", status=status, headers=headers)


def _words(request: web.Request, error: web.HTTPException) -> str:
    """Say more than the name of the status where nobody has said anything."""
    text = error.text or error.reason
    if text != f"{error.status}: {error.reason}":
        return text
    if isinstance(error, web.HTTPNotFound):
        return f"there is nothing at {request.path!r:.200}"
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"expected {' or '.join(sorted(error.allowed_methods))}, found {error.method:.20}"

    return text


def _authorise(request: web.Request, need: Need, tokens: Sequence[Token]) -> str:
    """Give the name of the token that allows it; raises 401 or 403."""
    if not tokens:
        raise web.HTTPForbidden(
            text="changes over HTTP need a token, and none is configured (web.tokens)"
        )

    token = _find(request, tokens)
    if token is None:
        raise web.HTTPUnauthorized(
            text="expected a valid token in the header Authorization: Bearer …",
            headers={"WWW-Authenticate": 'Bearer realm="production-monitor"'},
        )
    if not token.scope.allows(need.scope):
        raise web.HTTPForbidden(
            text=f"the token {token.name} has the scope {token.scope}, this needs {need.scope}"
        )

    return token.name


def _too_many(wait: timedelta) -> web.HTTPTooManyRequests:
    """Say when to try again; each further try costs a connection of its own."""
    seconds = f"{wait.total_seconds():.0f}"
    error = web.HTTPTooManyRequests(
        text=f"too many wrong tokens from this address, try again in {seconds} s",
        headers={"Retry-After": seconds},
    )
    error.force_close()

    return error


def _find(request: web.Request, tokens: Sequence[Token]) -> Token | None:
    """Compare with every token in constant time, so that the time tells nothing."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given or len(given) > _LONGEST_TOKEN:
        return None

    found = None
    digest = _digest(given.strip().encode("utf-8", "surrogateescape"))
    for token in tokens:
        if hmac.compare_digest(digest, _digest(token.secret.reveal().encode())):
            found = token

    return found


def _digest(secret: bytes) -> bytes:
    return sha256(secret).digest()


def _kept(error: web.HTTPException) -> dict[str, str]:
    return {
        name: error.headers[name]
        for name in ("WWW-Authenticate", "Allow", "Retry-After")
        if name in error.headers
    }


def _local_host(named: str, known: tuple[str, ...]) -> bool:
    """Refuse names that were made to point here: a browser would carry their pages' requests."""
    name = _parts(f"//{named}")[0]

    return is_loopback(name) or (name != "" and name in known)


def _same_site(origin: str, ours: tuple[str | None, str]) -> bool:
    """Whether a page of ours asks: by the name that was asked for, or the one that we have."""
    host, public_url = ours
    place = _parts(origin)[1]

    return place != "" and place in ((host or "").lower(), _parts(public_url)[1])


def _parts(url: str) -> tuple[str, str]:
    """Give the host name and the place, `host:port`, of a URL; of what is none, nothing."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.netloc.lower()
    except ValueError:
        return "", ""
