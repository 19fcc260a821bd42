"""A stand-in for Telegram's Bot API on loopback, strict as documented."""

from __future__ import annotations

import re
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from tests.support.receiver import HOST, serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN: Final = "123456:telegram-canary-8e2f"
CHAT: Final = -1001234567890
CHANNEL: Final = "@oncall_channel"
PRIVATE: Final = 777000111
"""The chat with one person, who may be told faster than a group."""

_TAGS: Final = frozenset({"b", "i", "u", "s", "code", "pre", "a"})
_MENTION: Final = re.compile(r"@\w+|(?<!\S)/\w+")


@dataclass
class Message:
    """A message as people see it, and what it was before it was edited."""

    id: int
    content: dict[str, Any]
    earlier: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What is seen of it."""
        return read_html(self.content)[0] or ""

    @property
    def links(self) -> list[str]:
        return read_html(self.content)[1]

    @property
    def mentions(self) -> list[str]:
        """Whom it calls, and which commands it offers."""
        return _MENTION.findall(self.text)

    @property
    def replies_to(self) -> int | None:
        found: int | None = self.content.get("reply_parameters", {}).get("message_id")

        return found


class FakeTelegram:
    """What was written and edited, and which faults come next."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.faults: deque[tuple[int, dict[str, Any], dict[str, str]]] = deque()
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def fail(
        self, code: int, description: str, *, retry_after: str | None = None, **parameters: Any
    ) -> None:
        """Let one of the next requests fail so; `retry_after` is the header."""
        body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
        if parameters:
            body["parameters"] = parameters
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        self.faults.append((code, body, headers))

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Answer as the Bot API does."""
        data = await request.json()
        self.requests.append((request.path, data))
        if self.faults:
            code, body, headers = self.faults.popleft()
            return web.json_response(body, status=code, headers=headers)
        if request.match_info["token"] != TOKEN:
            return _error(401, "Unauthorized")
        method = request.match_info["method"]
        if method == "getMe":
            return _ok({"id": 1, "is_bot": True, "username": "monitor_bot"})
        if str(data.get("chat_id")) not in (str(CHAT), CHANNEL, str(PRIVATE)):
            return _error(400, "Bad Request: chat not found")
        if method == "getChat":
            return _ok({"id": CHAT, "title": "On call"})

        text, _, problem = read_html(data)
        if problem:
            return _error(400, f"Bad Request: can't parse entities: {problem}")
        if not text:
            return _error(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4_096:
            return _error(400, "Bad Request: message is too long")
        if method == "editMessageText":
            return self._edit(data)

        return self._send(data)

    def _send(self, data: dict[str, Any]) -> web.Response:
        reply = data.get("reply_parameters")
        if reply is not None and self._find(reply["message_id"]) is None:
            if not reply.get("allow_sending_without_reply"):
                return _error(400, "Bad Request: message to be replied not found")
            data = {name: value for name, value in data.items() if name != "reply_parameters"}
        message = Message(id=len(self.messages) + 100, content=data)
        self.messages.append(message)

        if str(data["chat_id"]) == str(PRIVATE):
            return _ok({"message_id": message.id, "chat": {"id": PRIVATE, "type": "private"}})

        return _ok({"message_id": message.id, "chat": {"id": CHAT, "type": "supergroup"}})

    def _edit(self, data: dict[str, Any]) -> web.Response:
        message = self._find(data["message_id"])
        if message is None:
            return _error(400, "Bad Request: message to edit not found")
        if message.content["text"] == data["text"]:
            return _error(400, "Bad Request: message is not modified")
        message.earlier.append(message.content)
        message.content = {**message.content, **data}

        return _ok({"message_id": message.id, "chat": {"id": CHAT}})

    def _find(self, id: int) -> Message | None:
        return next((one for one in self.messages if one.id == id), None)


@asynccontextmanager
async def serve_telegram() -> AsyncIterator[FakeTelegram]:
    """Run a Bot API with one bot and one chat."""
    telegram = FakeTelegram()
    app = web.Application()
    app.router.add_post("/bot{token}/{method}", telegram.take)
    async with serve_app(app) as port:
        telegram.port = port
        yield telegram


class _Parser(HTMLParser):
    """Reads what Telegram takes: a few tags, all closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.links: list[str] = []
        self.open: list[str] = []
        self.problem = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            self.problem = self.problem or f'Unsupported start tag "{tag}"'
        self.open.append(tag)
        self.links += [unescape(value or "") for name, value in attrs if name == "href"]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.problem = self.problem or f'Unexpected end tag "{tag}"'

    def handle_data(self, data: str) -> None:
        self.text += data


def read_html(data: dict[str, Any]) -> tuple[str, list[str], str]:
    """Give what is seen of a text, its links, and what is wrong with its markup."""
    text = str(data.get("text", ""))
    if data.get("parse_mode") != "HTML":
        return text, [], ""

    parser = _Parser()
    parser.feed(text)
    parser.close()
    if parser.open:
        parser.problem = parser.problem or f"Can't find end tag of {parser.open[-1]}"

    return parser.text, parser.links, parser.problem


def _ok(result: dict[str, Any]) -> web.Response:
    return web.json_response({"ok": True, "result": result})


def _error(code: int, description: str) -> web.Response:
    return web.json_response(
        {"ok": False, "error_code": code, "description": description}, status=code
    )
