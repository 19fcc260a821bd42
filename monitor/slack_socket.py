"""Socket Mode of Slack: one connection for each app, over which clicks come in."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from monitor.core.model.notice import TryAgain
from monitor.core.outbox import back_off
from monitor.logs import Log
from monitor.notifiers._slack_api import SlackRefusal, make_client
from monitor.outbound import NoAnswer, open_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from slack_sdk.socket_mode.request import SocketModeRequest
    from slack_sdk.web.async_client import AsyncWebClient

    from monitor.clicks import Clicks
    from monitor.options import Secret

_log = Log()

_TIMEOUT: Final = timedelta(seconds=10)
_LONGEST_WAIT: Final = timedelta(minutes=1)
"""Slack gives an address once a minute for as long as one likes."""

_STABLE: Final = timedelta(seconds=10)
"""A connection that ends sooner than that did not go well: the next one waits longer."""

PING_EVERY: Final = timedelta(seconds=5)
"""How soon it is seen that a connection has gone without a word."""

_LINGER: Final = timedelta(seconds=3)
_REST_AFTER_A_BUG: Final = timedelta(seconds=30)
_CLOSE: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app of Slack: the token that opens its connections, and where its API is."""

    token: Secret
    base_url: str


class Trouble(Exception):
    """There is no connection; the text says why, `after` how long Slack wants us to wait."""

    def __init__(self, text: str, after: timedelta | None = None) -> None:
        super().__init__(text)
        self.after = after


class SlackSockets:
    """Keeps a connection open for each app that a notifier names, and hands clicks on."""

    def __init__(
        self,
        clicks: Clicks,
        clock: Callable[[], datetime],
        *,
        ping_every: timedelta = PING_EVERY,
        patience: float = 1,
    ) -> None:
        """`patience` is what our own waits between attempts are multiplied by."""
        self._clicks = clicks
        self._patience = patience
        self._ping_every = ping_every
        self._clock = clock
        self._started = False
        self._keepers: dict[App, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Connect from now on."""
        self._started = True
        self._hire(self._find_apps())

    async def replace(self) -> None:
        """Take over what is configured now: apps that are the same go on undisturbed."""
        wanted = self._find_apps()
        await self._dismiss([app for app in self._keepers if app not in wanted])
        if self._started:
            self._hire(wanted)

    async def stop(self) -> None:
        """Close all connections, and let the clicks that came in end."""
        self._started = False
        await self._dismiss(list(self._keepers))
        await self._clicks.close()

    def _find_apps(self) -> set[App]:
        return {
            App(token=options.app_token, base_url=options.base_url)
            for options in self._clicks.slacks.values()
            if options.app_token is not None
        }

    def _hire(self, apps: set[App]) -> None:
        for app in apps - self._keepers.keys():
            self._keepers[app] = asyncio.create_task(self._keep(app), name="slack socket")

    async def _dismiss(self, apps: list[App]) -> None:
        tasks = [self._keepers.pop(app) for app in apps]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, app: App) -> None:
        while True:
            try:
                await self._stay_connected(app)
            except Exception:  # noqa: BLE001 - a bug of ours or the SDK's must not end it unseen
                _log.exception("slack_socket_broke")
            await asyncio.sleep(_REST_AFTER_A_BUG.total_seconds())

    async def _stay_connected(self, app: App) -> None:
        """Hold a connection; where Slack announces its end, open the next before that."""
        failures, told = 0, False
        current: _Connection | None = None
        try:
            while True:
                began = monotonic()
                try:
                    fresh = await self._open(app)
                except Trouble as trouble:
                    failures += 1
                    if not told:
                        _log.warning("slack_socket_failed", error=str(trouble))
                    told = True
                    await asyncio.sleep(self._wait(failures, trouble.after))
                    continue

                old, current = current, fresh
                if told or old is None:
                    _log.info("slack_socket_connected")
                told = False
                if old is not None:
                    await old.leave()
                await current.ended.wait()
                failures = 0 if monotonic() - began > _STABLE.total_seconds() else failures + 1
                if not current.alive:
                    _log.info("slack_socket_lost")
                    await current.close()
                    current = None
                if failures:
                    await asyncio.sleep(self._wait(failures))
        finally:
            if current is not None:
                await current.close()

    def _wait(self, failures: int, after: timedelta | None = None) -> float:
        jitter = random.uniform(0.5, 1)  # noqa: S311 - no secret hangs on it
        wait = min(back_off(failures, jitter=jitter), _LONGEST_WAIT) * self._patience

        return max(wait, after or timedelta()).total_seconds()

    async def _open(self, app: App) -> _Connection:
        web = make_client(
            base_url=app.base_url,
            user_agent=self._clicks.user_agent,
            timeout=_TIMEOUT,
            clock=self._clock,
        )
        try:
            said = await web.apps_connections_open(app_token=app.token.reveal())
        except SlackRefusal as refusal:
            after = refusal.receipt.after if isinstance(refusal.receipt, TryAgain) else None
            raise Trouble(f"Slack says {refusal.error or 'nothing useful'}", after) from None
        except NoAnswer as error:
            raise Trouble(str(error)) from None

        data: Any = said.data
        url = str(data.get("url"))
        if not is_socket(url, app.base_url):
            raise Trouble("Slack gave no address to connect to")

        return await _Connection.open(
            _make_socket(web, self._ping_every), url, lambda payload: self._hear(app, payload)
        )

    async def _hear(self, app: App, payload: object) -> None:
        heard = [name for name, one in self._clicks.slacks.items() if one.app_token == app.token]
        await self._clicks.take(payload, heard)


class _Connection:
    """One WebSocket of the SDK; it never reconnects by itself.

    The SDK would ask the address that it was given again for as long as that fails, and closes the
    old connection before there is a new one.
    """

    def __init__(self, client: Any, hear: Callable[[object], Any]) -> None:
        self.ended = asyncio.Event()
        self._client = client
        self._hear = hear
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        client.socket_mode_request_listeners.append(self._take)

    @staticmethod
    async def open(client: Any, url: str, hear: Callable[[object], Any]) -> _Connection:
        """Connect a client to an address that Slack gave; raises Trouble."""
        connection = _Connection(client, hear)
        client.on_end = connection.ended.set
        client.wss_uri = url
        try:
            await client.aiohttp_client_session.close()
            client.aiohttp_client_session = open_session(redirected=refuse_redirect)
            async with asyncio.timeout(_TIMEOUT.total_seconds()):
                await client.connect()
        except TimeoutError:
            await connection.close()
            raise Trouble("no connection in time") from None
        except BaseException:
            await connection.close()
            raise

        return connection

    @property
    def alive(self) -> bool:
        """Whether it is still there, though perhaps not for long."""
        session = self._client.current_session

        return session is not None and not session.closed

    async def leave(self) -> None:
        """Close it once the clicks that it brought are confirmed."""
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _LINGER.total_seconds())
        finally:
            await self.close()

    async def close(self) -> None:
        """Close it, and end whatever the SDK has started for it."""
        client = self._client
        try:
            with suppress(Exception):
                async with asyncio.timeout(_CLOSE.total_seconds()):
                    await client.close()
        finally:
            await client.aiohttp_client_session.close()
            await _end(
                client.message_processor, client.current_session_monitor, client.message_receiver
            )

    async def _take(self, _client: Any, request: SocketModeRequest) -> None:
        """Hand a click on, then confirm it: what nobody confirms is told to have failed."""
        from slack_sdk.socket_mode.response import SocketModeResponse

        self._busy += 1
        self._idle.clear()
        try:
            if request.type == "interactive":
                await self._hear(request.payload)
            await self._client.send_socket_mode_response(
                SocketModeResponse(envelope_id=request.envelope_id)
            )
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()


async def _end(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel what the SDK only tells to end, and see it end."""
    begun = [task for task in tasks if task is not None]
    for task in begun:
        task.cancel()
    await asyncio.gather(*begun, return_exceptions=True)


def _make_socket(web: AsyncWebClient, ping_every: timedelta) -> Any:
    """Make a client of the SDK that tells us where it would reconnect, and takes no proxy."""
    from slack_sdk.socket_mode.aiohttp import SocketModeClient

    class Socket(SocketModeClient):
        """In whatever way a connection ends, the SDK asks here for the next; a test pins that."""

        on_end: Callable[[], None]

        async def connect_to_new_endpoint(self, force: bool = False) -> None:
            self.on_end()

    socket = Socket(
        app_token="",
        logger=web._logger,
        web_client=web,
        ping_interval=ping_every.total_seconds(),
    )
    socket.proxy = None  # the SDK takes one from the environment

    return socket


async def refuse_redirect(*_seen: object) -> None:
    """Give up what would be sent elsewhere: the address holds a ticket."""
    raise ConnectionError("redirects are not followed")


def is_socket(url: str, base_url: str) -> bool:
    """Whether an address is a WebSocket, over TLS unless the API itself is asked without."""
    try:
        parts = URL(url)
    except ValueError:
        return False

    plain = URL(base_url).scheme == "http"

    return bool(parts.host) and parts.scheme in (("wss", "ws") if plain else ("wss",))
