"""A receiver that stands in for Slack: the two methods that a bot token needs, on loopback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN: Final = "xoxb-of-the-demo"  # noqa: S105 - opens nothing but this receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was posted: `thread` is the message it answers, `update` marks a changed message."""

    text: str
    thread: str | None
    update: bool


class Receiver:
    """Takes messages and hands them on; listens on a port of its own."""

    def __init__(self, on_message: Callable[[Message], None]) -> None:
        self._on_message = on_message
        self._runner: web.AppRunner | None = None
        self._count = 0
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        app = web.Application()
        app.router.add_post("/api/{method}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, shutdown_timeout=1).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})

        body = await self._read(request)
        match request.match_info["method"]:
            case "chat.postMessage":
                self._count += 1
                reference = f"{1_700_000_000 + self._count}.000100"
                self._tell(body, update=False)
            case "chat.update":
                reference = str(body.get("ts"))
                self._tell(body, update=True)
            case method:
                return web.json_response({"ok": False, "error": "unknown_method", "method": method})

        return web.json_response({"ok": True, "channel": body.get("channel"), "ts": reference})

    async def _read(self, request: web.Request) -> dict[str, Any]:
        if request.content_type == "application/json":
            found: dict[str, Any] = await request.json()
            return found

        return dict(await request.post())

    def _tell(self, body: dict[str, Any], *, update: bool) -> None:
        thread = body.get("thread_ts")
        self._on_message(
            Message(
                text=str(body.get("text", "")),
                thread=str(thread) if thread else None,
                update=update,
            )
        )
