"""The HTTP server: which path asks what of its caller, on a port and on the control socket."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from aiohttp import http_exceptions, web

from monitor.config import Scope
from monitor.logs import Log
from monitor.web import (
    api,
    blackbox,
    incidents_api,
    pages,
    pings,
    rollbacks_api,
    scraping,
    slack_inbox,
)
from monitor.web.backend import BACKEND, Backend
from monitor.web.connections import Connections
from monitor.web.failure_limit import FailureLimit
from monitor.web.guard import Need, guard, in_plain_words
from monitor.web.scraping import SCRAPES, Scrapes

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp.typedefs import Middleware

_log = Log()

_LARGEST_BODY: Final = 64 * 1024
_SHUTDOWN_SECONDS: Final = 2.0
_LOOK_AFTER_CONTROL: Final = 1.0
_LONGEST_SOCKET_PATH: Final = 107  # bytes, sockaddr_un of Linux

_PING: Final = Need(scope=Scope.OPERATE, keyed=True)
_ROUTES: Final = (
    ("GET", "/", pages.index, Need(scope=Scope.READ, area="public")),
    ("GET", "/incidents/{id}", pages.incident, Need(scope=Scope.READ, area="public")),
    ("GET", "/services/{service}", pages.service, Need(scope=Scope.READ, area="public")),
    ("GET", "/static/{name}", pages.static, Need(scope=Scope.READ, area="public")),
    ("GET", "/metrics", scraping.metrics, Need(scope=Scope.READ, area="metrics")),
    ("GET", "/probe", blackbox.probe, Need(scope=Scope.READ, area="probe")),
    ("GET", "/-/healthy", api.healthy, Need(scope=Scope.READ, area="health")),
    ("GET", "/-/ready", api.ready, Need(scope=Scope.READ, area="health")),
    ("POST", "/-/reload", api.reload, Need(scope=Scope.OPERATE)),
    ("PUT", "/-/reload", api.reload, Need(scope=Scope.OPERATE)),
    ("GET", "/api/v1/status", api.status, Need(scope=Scope.READ)),
    ("GET", "/ping/{key}", pings.ping, _PING),
    ("POST", "/ping/{key}", pings.ping, _PING),
    ("GET", "/ping/{key}/{signal}", pings.ping, _PING),
    ("POST", "/ping/{key}/{signal}", pings.ping, _PING),
    ("POST", "/slack/actions", slack_inbox.act, Need(scope=Scope.OPERATE, keyed=True)),
    ("GET", "/api/v1/heartbeats/{endpoint}", pings.heard, Need(scope=Scope.READ)),
    ("POST", "/api/v1/deploys", api.announce, Need(scope=Scope.DEPLOY)),
    ("POST", "/api/v1/headers", api.accept_headers, Need(scope=Scope.OPERATE)),
    ("POST", "/api/v1/notifiers/requeue", api.requeue, Need(scope=Scope.OPERATE)),
    ("GET", "/api/v1/incidents", incidents_api.list_incidents, Need(scope=Scope.READ)),
    ("POST", "/api/v1/incidents", incidents_api.open_incident, Need(scope=Scope.OPERATE)),
    ("GET", "/api/v1/incidents/{id}", incidents_api.show, Need(scope=Scope.READ)),
    ("GET", "/api/v1/incidents/{id}/postmortem", incidents_api.postmortem, Need(scope=Scope.READ)),
    ("POST", "/api/v1/incidents/{id}/ack", incidents_api.acknowledge, Need(scope=Scope.OPERATE)),
    ("POST", "/api/v1/incidents/{id}/note", incidents_api.note, Need(scope=Scope.OPERATE)),
    ("POST", "/api/v1/incidents/{id}/resolve", incidents_api.resolve, Need(scope=Scope.OPERATE)),
    ("POST", "/api/v1/incidents/{id}/label", incidents_api.label, Need(scope=Scope.OPERATE)),
    ("GET", "/api/v1/rollbacks", rollbacks_api.list_rollbacks, Need(scope=Scope.READ)),
    ("POST", "/api/v1/rollbacks", rollbacks_api.start, Need(scope=Scope.OPERATE)),
    ("GET", "/api/v1/rollbacks/{id}", rollbacks_api.show, Need(scope=Scope.READ)),
    ("POST", "/api/v1/rollbacks/{id}/approve", rollbacks_api.approve, Need(scope=Scope.OPERATE)),
    ("POST", "/api/v1/rollbacks/{id}/veto", rollbacks_api.veto, Need(scope=Scope.OPERATE)),
    ("GET", "/api/v1/silences", incidents_api.list_silences, Need(scope=Scope.READ)),
    ("POST", "/api/v1/silences", incidents_api.add_silence, Need(scope=Scope.OPERATE)),
    ("DELETE", "/api/v1/silences/{id}", incidents_api.remove_silence, Need(scope=Scope.OPERATE)),
)


class ListenError(Exception):
    """An address or a socket cannot be listened on; the message says which and why."""


class WebServer:
    """Serves one backend on a TCP port and on a Unix socket.

    The socket asks for no token: whoever may open the file may do everything.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._scrapes = Scrapes(backend.metrics_parts)
        self._runners: list[web.AppRunner] = []
        self._socket: tuple[Path, int] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.port = 0

    async def listen(self) -> None:
        """Open the port of the configuration; raises ListenError."""
        host, port = self._backend.web.host, self._backend.web.port
        connections = Connections()
        app = self._make_app(
            connections.mark_busy,
            in_plain_words,
            guard(
                host,
                lambda: self._backend.web,
                _need,
                lambda: self._backend.engine.directory.public_url,
                self._backend.token_refused,
            ),
        )
        runner = _Runner(app, connections)
        await self._set_up(runner)
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise ListenError(
                f"web.listen: cannot listen on {host}:{port}: {_say(error)}"
            ) from error

        self.port = runner.addresses[0][1]
        _log.info("listening", host=host, port=self.port)

    async def open_control(self, path: Path) -> None:
        """Open the control socket, for this user and root alone; raises ListenError.

        A socket that is there already was left behind, unless somebody answers on it.
        """
        length = len(os.fsencode(path))
        if length > _LONGEST_SOCKET_PATH:
            raise ListenError(
                f"{path}: expected a path of at most {_LONGEST_SOCKET_PATH} bytes for the control "
                f"socket, found {length}: set RUNTIME_DIRECTORY to a folder with a shorter one"
            )

        runner = web.AppRunner(self._make_app(in_plain_words), **_RUNNER)
        await self._set_up(runner)
        await self._bind_control(runner, path)
        self._keeping = asyncio.create_task(self._keep_control(runner, path), name="control socket")

    async def _keep_control(self, runner: web.AppRunner, path: Path) -> None:
        """Open the control socket again whenever it was taken away."""
        failed = False
        while True:
            await asyncio.sleep(_LOOK_AFTER_CONTROL)
            if self._is_there():
                continue

            try:
                for site in tuple(runner.sites):
                    await site.stop()
                await self._bind_control(runner, path)
            except ListenError as error:
                if not failed:
                    _log.warning("control_socket_lost", error=str(error))
                failed = True
            else:
                failed = False
                _log.warning("control_socket_opened_again", socket=str(path))

    def _is_there(self) -> bool:
        if self._socket is None:
            return False

        path, inode = self._socket
        try:
            return _inode(path) == inode
        except OSError:
            return False

    async def _bind_control(self, runner: web.AppRunner, path: Path) -> None:
        try:
            await _make_room(path)
            before = os.umask(0o177)
            try:
                await web.UnixSite(runner, str(path)).start()
            finally:
                os.umask(before)
            self._socket = (path, _inode(path))
        except OSError as error:
            raise ListenError(f"{path}: cannot open the control socket: {_say(error)}") from error

    async def close(self) -> None:
        """Answer nobody any more, and remove the control socket if it is still ours."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        for runner in self._runners:
            await runner.cleanup()
        await self._scrapes.close()
        if self._socket is not None and self._is_there():
            with suppress(OSError):
                _remove(self._socket[0])

    def _make_app(self, *middlewares: Middleware) -> web.Application:
        app = web.Application(middlewares=middlewares, client_max_size=_LARGEST_BODY)
        app[BACKEND] = self._backend
        app[SCRAPES] = self._scrapes
        app[pings.FAILURES] = FailureLimit(monotonic)
        app[slack_inbox.FAILURES] = FailureLimit(monotonic)
        app[slack_inbox.SEEN] = slack_inbox.Seen(monotonic, self._backend.now())
        for method, path, handler, _ in _ROUTES:
            if method == "GET":
                app.router.add_get(path, handler)
            else:
                app.router.add_route(method, path, handler)

        return app

    async def _set_up(self, runner: web.AppRunner) -> None:
        self._runners.append(runner)
        await runner.setup()


class _Complaints(logging.LoggerAdapter[logging.Logger]):
    """Hears what went wrong in aiohttp's server.

    What a client did wrong is told to the client: in the log, anybody could fill the disk with it.
    """

    def exception(self, msg: object, *args: object, exc_info: Any = True, **options: Any) -> None:
        """Log an error, or at the lowest level what is none of ours."""
        of_client = isinstance(exc_info, _FAULTS_OF_CLIENTS)
        level = logging.DEBUG if of_client else logging.ERROR
        self.log(level, msg, *args, exc_info=exc_info, **options)


_FAULTS_OF_CLIENTS: Final = (
    http_exceptions.HttpProcessingError,
    web.RequestPayloadError,
    ConnectionError,
)
_RUNNER: Final[dict[str, Any]] = {
    "access_log": None,
    "logger": _Complaints(logging.getLogger("aiohttp.server")),
    "handle_signals": False,
    "auto_decompress": False,  # a body that is packed is refused, not unpacked
    "shutdown_timeout": _SHUTDOWN_SECONDS,
}


class _Runner(web.AppRunner):
    """Serves an application over connections that are watched."""

    def __init__(self, app: web.Application, connections: Connections) -> None:
        super().__init__(app, **_RUNNER)
        self._connections = connections

    @property
    def server(self) -> Any:
        """Give what makes the protocol of each connection."""
        make = super().server

        return make and (lambda: self._connections.watch(make()))


async def _make_room(path: Path) -> None:
    """Remove a socket that was left behind; raises ListenError where it is none, or in use."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):  # noqa: ASYNC240 - one look at a local file
            raise ListenError(f"{path}: expected no file or an old socket there")
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_unix_connection(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        _remove(path)
        return
    except TimeoutError as error:
        raise ListenError(f"{path}: somebody holds this control socket, but is stuck") from error

    writer.close()
    raise ListenError(f"{path}: another monitor answers on this control socket")


def _inode(path: Path) -> int:
    return path.lstat().st_ino


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


_NEEDS: Final = {(method, path): need for method, path, _, need in _ROUTES}


def _need(request: web.Request) -> Need:
    """Give what the matched route asks; what matches none is as secret as everything else."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else ""
    method = "GET" if request.method == "HEAD" else request.method

    return _NEEDS.get((method, path), Need(scope=Scope.READ))


def _say(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
