"""The HTTP server: which path asks what of its caller, on a port and on the control socket."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from monitor.config import Scope
from monitor.web import api, blackbox, pages
from monitor.web.backend import BACKEND, Backend
from monitor.web.guard import Need, guard, in_plain_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp.typedefs import Middleware

    from monitor.config import WebSettings

    Handler = Callable[[web.Request], object]

_log = structlog.get_logger()

_LARGEST_BODY: Final = 64 * 1024
_SHUTDOWN_SECONDS: Final = 2.0

_ROUTES: Final = (
    ("GET", "/", pages.index, Need(scope=Scope.READ, area="public")),
    ("GET", "/static/{name}", pages.static, Need(scope=Scope.READ, area="public")),
    ("GET", "/metrics", api.metrics, Need(scope=Scope.READ, area="metrics")),
    ("GET", "/probe", blackbox.probe, Need(scope=Scope.READ, area="probe")),
    ("GET", "/-/healthy", api.healthy, Need(scope=Scope.READ, area="health")),
    ("GET", "/-/ready", api.ready, Need(scope=Scope.READ, area="health")),
    ("POST", "/-/reload", api.reload, Need(scope=Scope.OPERATE)),
    ("GET", "/api/v1/status", api.status, Need(scope=Scope.READ)),
    ("POST", "/api/v1/deploys", api.announce, Need(scope=Scope.DEPLOY)),
)


class ListenError(Exception):
    """An address or a socket cannot be listened on; the message says which and why."""


class WebServer:
    """Serves one backend on a TCP port and on a Unix socket.

    The socket asks for no token: whoever may open the file may do everything.
    """

    def __init__(self, backend: Backend, settings: WebSettings) -> None:
        self._backend = backend
        self._settings = settings
        self._runners: list[web.AppRunner] = []
        self._socket: Path | None = None
        self.port = 0

    async def listen(self) -> None:
        """Open the port of the configuration; raises ListenError."""
        host, port = self._settings.host, self._settings.port
        runner = await self._run(_make_app(self._backend, self._settings))
        try:
            site = web.TCPSite(runner, host, port, shutdown_timeout=_SHUTDOWN_SECONDS)
            await site.start()
        except OSError as error:
            raise ListenError(
                f"web.listen: cannot listen on {host}:{port}: {_say(error)}"
            ) from error

        self.port = runner.addresses[0][1]
        _log.info("listening", host=host, port=self.port)

    async def open_control(self, path: Path) -> None:
        """Open the control socket, for this user and root alone; raises ListenError.

        A socket that is there already was left behind: its owner would hold the store.
        """
        runner = await self._run(_make_app(self._backend, None))
        try:
            _remove_old_socket(path)
            before = os.umask(0o177)
            try:
                await web.UnixSite(runner, str(path), shutdown_timeout=_SHUTDOWN_SECONDS).start()
            finally:
                os.umask(before)
        except OSError as error:
            raise ListenError(f"{path}: cannot open the control socket: {_say(error)}") from error

        self._socket = path

    async def close(self) -> None:
        """Answer nobody any more."""
        for runner in self._runners:
            await runner.cleanup()
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)

    async def _run(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        self._runners.append(runner)
        await runner.setup()

        return runner


def _make_app(backend: Backend, settings: WebSettings | None) -> web.Application:
    """Build the application; without settings it is the control socket's, and open to all."""
    middlewares: list[Middleware] = [in_plain_words]
    if settings is not None:
        middlewares.append(guard(settings, _need, lambda: backend.engine.directory.public_url))
    app = web.Application(middlewares=middlewares, client_max_size=_LARGEST_BODY)
    app[BACKEND] = backend
    for method, path, handler, _ in _ROUTES:
        if method == "GET":
            app.router.add_get(path, handler)
        else:
            app.router.add_route(method, path, handler)

    return app


def _remove_old_socket(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(f"{path}: expected no file or an old socket there")
        path.unlink()


_NEEDS: Final = {(method, path): need for method, path, _, need in _ROUTES}


def _need(request: web.Request) -> Need:
    """Give what the matched route asks; what matches none is as secret as everything else."""
    resource = request.match_info.route.resource
    path = resource.canonical if resource is not None else ""
    method = "GET" if request.method == "HEAD" else request.method

    return _NEEDS.get((method, path), Need(scope=Scope.READ))


def _say(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
