"""A receiver that stands in for Slack: the two methods that a bot token needs, on loopback."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN: Final = "xoxb-of-the-demo"  # noqa: S105 - opens nothing but this receiver

_SIGNS: Final = {
    ":rotating_light:": "🚨",
    ":warning:": "⚠️",
    ":white_check_mark:": "✅",
    ":rewind:": "⏪",
    ":grey_question:": "❔",
    ":bell:": "🔔",
}
_LINK: Final = re.compile(r"<([^>|]+)\|([^>]*)>")
_BOLD: Final = re.compile(r"\*([^*\n]+)\*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was posted, as people would read it.

    `text` is its one line, `details` what stands below, `color` the bar beside that. `thread` is
    the message it answers, `update` the message that it changes.
    """

    text: str
    details: tuple[str, ...]
    color: str
    thread: str | None
    update: str | None


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
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})

        body = await request.json()
        match request.match_info["method"]:
            case "chat.postMessage":
                self._count += 1
                reference = f"{1_700_000_000 + self._count}.000100"
                update = None
            case "chat.update":
                reference = update = str(body.get("ts"))
            case method:
                return web.json_response({"ok": False, "error": "unknown_method", "method": method})

        self._on_message(read_message(body, update))

        return web.json_response({"ok": True, "channel": body.get("channel"), "ts": reference})


def read_message(body: dict[str, Any], update: str | None) -> Message:
    """Read what Slack would show of a message."""
    attachments = body.get("attachments") or [{}]
    thread = body.get("thread_ts")

    return Message(
        text=_read(str(body.get("text", ""))),
        details=tuple(_lines(attachments[0].get("blocks", []))),
        color=str(attachments[0].get("color", "")),
        thread=str(thread) if thread else None,
        update=update,
    )


def _lines(blocks: list[dict[str, Any]]) -> Iterator[str]:
    """Give the lines of all blocks; fields of two lines become one: `Service: shop`."""
    for block in blocks:
        if "text" in block:
            yield from _read(block["text"]["text"]).splitlines()
        if "fields" in block:
            yield " · ".join(_read(one["text"]).replace("\n", ": ") for one in block["fields"])
        for element in block.get("elements", []):
            yield from _read(element.get("text", "")).splitlines()


def _read(text: str) -> str:
    """Write Slack's markup as it is shown: signs, links and bold words."""
    for name, sign in _SIGNS.items():
        text = text.replace(name, sign)

    return html.unescape(_BOLD.sub(r"\1", _LINK.sub(r"\2 \1", text)))
