"""A stand-in for Discord on loopback: an incoming webhook, strict as documented."""

from __future__ import annotations

import re
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from tests.support.receiver import HOST, serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WEBHOOK: Final = "/api/webhooks/1122334455/discord-canary-5c1e"

_ESCAPED: Final = re.compile(r"\\([^\w\s])", re.ASCII)
_MENTION: Final = re.compile(r"<@[!&]?\d+>|<#\d+>|@everyone|@here|<a?:\w+:\d+>|<t:\d+(?::\w)?>")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(https?://[^\s<]+)")


@dataclass
class Message:
    """A message as people see it, and what it was before it was edited."""

    id: str
    content: dict[str, Any]
    thread: str | None = None
    earlier: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return str(self.content.get("content", ""))

    @property
    def colour(self) -> int:
        return int(self.content["embeds"][0]["color"])

    @property
    def visible(self) -> str:
        """All texts of the message, with the marks in them that Discord would heed."""
        parts = [self.text]
        for embed in self.content.get("embeds", []):
            parts.append(embed.get("description", ""))
            for one in embed.get("fields", []):
                parts += [one["name"], one["value"]]
            parts.append(embed.get("footer", {}).get("text", ""))

        return _ESCAPED.sub("", "\n".join(parts))

    @property
    def mentions(self) -> list[str]:
        """Whom it would call, were mentions allowed."""
        return _MENTION.findall(self.visible)

    @property
    def links(self) -> list[str]:
        return [one or other for one, other in _LINK.findall(self.visible)]


@dataclass
class Fault:
    """How the next request fails."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


class FakeDiscord:
    """What was posted and edited, and which faults come next."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.requests: list[tuple[str, str]] = []
        self.faults: deque[Fault] = deque()
        self.gone = False
        self.heeds_wait = True
        self.port = 0

    @property
    def webhook_url(self) -> str:
        return f"http://{HOST}:{self.port}{WEBHOOK}"

    def fail(self, status: int, body: dict[str, Any] | None = None, **headers: str) -> None:
        """Let one of the next requests fail so."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        self.faults.append(Fault(status, body or {}, named))

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Answer as a webhook does."""
        body = await request.read()
        self.requests.append((request.method, request.path_qs))
        if self.faults:
            fault = self.faults.popleft()
            return web.json_response(fault.body, status=fault.status, headers=fault.headers)
        if self.gone or not request.path.startswith(WEBHOOK):
            return _error(404, 10015, "Unknown Webhook")
        if request.method == "GET":
            return web.json_response({"id": "1122334455", "type": 1, "name": "alerts"})

        data = await request.json() if body else {}
        if problem := find_problem(data):
            return _error(400, 50035, f"Invalid Form Body: {problem}")
        if request.method == "PATCH":
            return self._edit(request.path.rpartition("/")[2], data)

        message = Message(
            id=str(1400000000000000000 + len(self.messages)),
            content=data,
            thread=request.query.get("thread_id"),
        )
        self.messages.append(message)
        if request.query.get("wait") != "true" or not self.heeds_wait:
            return web.Response(status=204)

        return web.json_response({"id": message.id, "channel_id": "99", **data})

    def _edit(self, id: str, data: dict[str, Any]) -> web.Response:
        message = next((one for one in self.messages if one.id == id), None)
        if message is None:
            return _error(404, 10008, "Unknown Message")
        message.earlier.append(message.content)
        message.content = {**message.content, **data}

        return web.json_response({"id": message.id, **data})


@asynccontextmanager
async def serve_discord() -> AsyncIterator[FakeDiscord]:
    """Run a Discord with one webhook."""
    discord = FakeDiscord()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", discord.take)
    async with serve_app(app) as port:
        discord.port = port
        yield discord


def find_problem(body: dict[str, Any]) -> str | None:
    """Give the first documented limit that a message breaks."""
    content, embeds = body.get("content", ""), body.get("embeds", [])
    if not content and not embeds:
        return "Cannot send an empty message"
    if len(content) > 2_000:
        return "content: Must be 2000 or fewer in length."
    if len(embeds) > 10:
        return "embeds: Must be 10 or fewer in length."
    whole = 0
    for embed in embeds:
        fields = embed.get("fields", [])
        texts = [
            (embed.get("title", ""), 256),
            (embed.get("description", ""), 4_096),
            (embed.get("footer", {}).get("text", ""), 2_048),
            *((one["name"], 256) for one in fields),
            *((one["value"], 1_024) for one in fields),
        ]
        if len(fields) > 25 or any(len(text) > most for text, most in texts):
            return "embeds: too long"
        if any(not one["name"] or not one["value"] for one in fields):
            return "embeds.fields: This field is required"
        whole += sum(len(text) for text, _ in texts)
    if whole > 6_000:
        return "embeds: Embed size exceeds maximum size of 6000"
    if body.get("flags", 0) & ~(1 << 2 | 1 << 12):
        return "flags: not allowed"

    return None


def _error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"message": message, "code": code}, status=status)
