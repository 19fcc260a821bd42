"""Tokens by the client credentials grant: asked for once for all who need the same, and kept."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from math import isnan
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode
from weakref import WeakValueDictionary

from yarl import URL

from monitor.core.model.observation import Code, Fault
from monitor.logs import Log
from monitor.options import format_duration
from monitor.probes._http.auth import encode_pair
from monitor.probes._http.explain import clean
from monitor.probes._http.request import Request, as_it_is_now
from monitor.probes._http.sender import Sender
from monitor.probes._http.sighting import Sighting
from monitor.probes._net.deadline import Deadline
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from collections.abc import Hashable
    from datetime import timedelta

    from monitor.core.model.observation import Observation
    from monitor.probes._http.answer import Answer
    from monitor.probes._http.auth import OAuth2Options
    from monitor.probes._http.options import RequestOptions
    from monitor.probes.probe import ProbeContext

_PATIENCE: Final = 10.0
_PAUSE_AFTER_FAILURE: Final = 5.0
"""In seconds: how long a token server has to answer, and how long its failure is believed."""

_LARGEST_ANSWER: Final = 256 * 1024
_LONGEST_TOKEN: Final = 64 * 1024
_MARGIN: Final = 60.0
_LARGEST_SHARE: Final = 0.1
_LIFETIME: Final = 300.0
"""In seconds: how long before its end a token is renewed, of a short life at most this share; and
how long one lives of which its server does not say it."""

_LONGEST_LIFETIME: Final = 86_400.0
_UNAUTHORIZED: Final = 401

_log = Log()


class TokenServer:
    """One server and one client of it, with the token that was issued last.

    One request is under way at a time, and whoever needs a token waits for it; when nobody waits
    any more it is ended.
    """

    def __init__(self, options: OAuth2Options, spec: RequestOptions, context: ProbeContext) -> None:
        self._options = options
        self._user_agent = context.user_agent
        self._sender = Sender(
            spec, None, context.resolver, follow=False, body_limit=_LARGEST_ANSWER
        )
        self._token = ""
        self._good_until = 0.0
        self._fault: Fault | None = None
        self._failed_until = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._waiting = 0
        self._doubted = False

    async def token(self) -> str:
        """Give a token that is good, by asking where there is none; raises Faulted."""
        now = asyncio.get_running_loop().time()
        if self._token and now < self._good_until:
            return self._token
        if self._fault is not None and now < self._failed_until:
            raise Faulted(self._fault)

        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._renew(), name="token")
        await self._wait(self._asking)
        if self._fault is not None:
            raise Faulted(self._fault)

        return self._token

    def hear(self, token: str, status: int | None) -> None:
        """Take note of what the target said to a token.

        One that it does not accept is asked for anew, once: a new one that is refused as well says
        that something else is wrong.
        """
        if token != self._token or status is None:
            return
        if status != _UNAUTHORIZED:
            self._doubted = False
        elif not self._doubted:
            self._doubted = True
            self._token = ""

    async def _wait(self, asking: asyncio.Task[None]) -> None:
        self._waiting += 1
        try:
            await asyncio.wait({asking})
        finally:
            self._waiting -= 1
            if not self._waiting and not asking.done():
                self._asking = None  # whoever comes meanwhile does not wait for what is ended
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        asking.result()

    async def _renew(self) -> None:
        """Ask for a token; whatever comes of it is kept for those who wait."""
        sighting = Sighting()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_PATIENCE):
                token, lifetime = _read_token(await self._ask(sighting))
        except Faulted as error:
            self._fail(error.fault.message)
        except TimeoutError:
            self._fail(f"it did not answer within {_PATIENCE:g}s")
        else:
            self._token, self._fault = token, None
            self._good_until = loop.time() + lifetime - min(_MARGIN, lifetime * _LARGEST_SHARE)
        finally:
            sighting.hang_up()

    async def _ask(self, sighting: Sighting) -> Answer:
        options = self._options
        scope = {"scope": " ".join(options.scopes)} if options.scopes else {}
        params = {"grant_type": "client_credentials", **scope}
        params |= as_it_is_now(options.endpoint_params)
        client, secret = options.client_id, options.client_secret.reveal()
        headers = {
            "User-Agent": self._user_agent,
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        if options.in_body:
            params |= {"client_id": client, "client_secret": secret}
        else:
            headers["Authorization"] = (
                f"Basic {encode_pair(quote_plus(client), quote_plus(secret))}"
            )

        request = Request(
            method="POST",
            url=URL(options.token_url),
            headers=headers,
            body=urlencode(params).encode(),
        )

        return await self._sender.send(sighting, self._sender.write(request))

    def _fail(self, why: str) -> None:
        """Keep a failure for a moment: whoever asks for a token next need not ask the server."""
        self._token = ""
        self._failed_until = asyncio.get_running_loop().time() + _PAUSE_AFTER_FAILURE
        self._fault = explain_lack(self._options, why)


class Tokens:
    """What one probe has of a token server: each token becomes that of its options."""

    def __init__(self, options: OAuth2Options, server: TokenServer) -> None:
        self._options = options
        self._server = server

    async def provide(self, limit: timedelta) -> Fault | None:
        """See to it that there is a token, in time of its own; give the fault where there is none.

        It merely carries the credential: that there is none tells nothing of the target.
        """
        deadline = Deadline(limit.total_seconds())
        try:
            self._options.latest.take(await self._server.token())
        except Faulted as error:
            return error.fault
        except asyncio.CancelledError:
            if not deadline.claims():
                raise
            return explain_lack(self._options, f"it did not answer within {format_duration(limit)}")
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not look like the target's
            _log.exception("probe_failed_inside", target=self._options.server)
            return explain_lack(self._options, f"the monitor failed: {type(error).__name__}")
        finally:
            deadline.stop()

        return None

    def hear(self, seen: Observation) -> None:
        """Take note of what the target itself said to the token."""
        self._server.hear(self._options.latest.secret.current, seen.status)


def find_tokens(spec: RequestOptions, context: ProbeContext) -> Tokens | None:
    """Give where the tokens of a request come from: probes with the same settings share them."""
    options = spec.auth.oauth2 if spec.auth else None
    if options is None:
        return None

    key = _settings(options, spec, context)
    server = _servers.get(key)
    if server is None:
        _servers[key] = server = TokenServer(options, spec, context)
    options.latest.server = server

    return Tokens(options, server)


def _settings(
    options: OAuth2Options, spec: RequestOptions, context: ProbeContext
) -> tuple[Hashable, ...]:
    """Give what makes two token servers the same: whom we ask, as who, and on which way."""
    return (
        options.token_url,
        options.client_id,
        options.client_secret,
        options.in_body,
        tuple(options.scopes),
        tuple(sorted(options.endpoint_params.items())),
        spec.tls.terms(anonymous=True),
        spec.proxy,
        spec.ip,
        spec.resolver,
        context.resolver,
    )


def explain_lack(options: OAuth2Options, why: str) -> Fault:
    """Say that there is no token, which is no fault of the target."""
    message = f"the token server {options.server} gave no token: {why}"

    return Fault(code=Code.CREDENTIALS, message=message, own=True)


def _read_token(answer: Answer) -> tuple[str, float]:
    """Read a token and how many seconds it lives; raises Faulted that says what came instead."""
    # Any: a document of a stranger's
    said: Any = None
    with suppress(ValueError, RecursionError):
        said = json.loads(answer.body.content())
    if not isinstance(said, dict):
        said = {}
    if answer.status != 200:
        error = ": ".join(
            clean(text)
            for name in ("error", "error_description")
            if isinstance(text := said.get(name), str)
        )
        raise _no_token(f"it answers {answer.status}{f', {error}' if error else ''}")

    token, kind = said.get("access_token"), said.get("token_type", "bearer")
    if not isinstance(token, str) or not 0 < len(token) <= _LONGEST_TOKEN:
        raise _no_token("its answer holds no access_token")
    if not token.isascii() or not token.isprintable():
        raise _no_token("its access_token is none that fits into a header")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _no_token("its token_type is not Bearer")

    return token, _read_lifetime(said.get("expires_in"))


def _read_lifetime(said: object) -> float:
    try:
        lifetime = float(said)  # type: ignore[arg-type]  # some servers write it as text
    except (TypeError, ValueError, OverflowError):
        return _LIFETIME

    return _LIFETIME if isnan(lifetime) else min(max(lifetime, 0.0), _LONGEST_LIFETIME)


def _no_token(why: str) -> Faulted:
    return Faulted(Fault(code=Code.CREDENTIALS, message=why, own=True))


_servers: Final[WeakValueDictionary[tuple[Hashable, ...], TokenServer]] = WeakValueDictionary()
"""Each for as long as options name it."""
