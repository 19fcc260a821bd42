"""A stand-in for Slack on loopback: incoming webhooks and the Web API, strict as documented."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from tests.support.receiver import HOST, serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WEBHOOK_PATH: Final = "/services/T000/B000/hook-canary-9f3e"
TOKEN: Final = "xoxb-token-canary-71c2"
CHANNEL: Final = "C0ONCALL"

_WEBHOOK_STATUS: Final = {
    "invalid_payload": 400,
    "invalid_blocks": 400,
    "msg_too_long": 400,
    "user_not_found": 400,
    "action_prohibited": 403,
    "invalid_token": 403,
    "channel_not_found": 404,
    "no_service": 404,
    "channel_is_archived": 410,
    "rollup_error": 500,
}
_MENTION: Final = re.compile(r"<[!@#][^>]*>|(?<![\w\u200b])@(?:channel|here|everyone)\b")
_LINK: Final = re.compile(r"<(?![!@#])([^>|]+)(?:\|[^>]*)?>")


@dataclass
class Message:
    """A message as people see it, and what it was before it was updated."""

    channel: str
    ts: str
    content: dict[str, Any]
    thread_ts: str | None = None
    earlier: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return str(self.content.get("text", ""))

    @property
    def colour(self) -> str:
        return str(self.content["attachments"][0]["color"])

    @property
    def visible(self) -> str:
        """All texts of the message, as they were sent."""
        return "\n".join(_texts(self.content))

    @property
    def mentions(self) -> list[str]:
        """Whom it calls."""
        return _MENTION.findall(self.visible)

    @property
    def links(self) -> list[str]:
        """The addresses that it links to."""
        return _LINK.findall(self.visible)


@dataclass
class Fault:
    """How the next request fails: by Slack's error code, or by a bare status."""

    error: str = ""
    status: int | None = None
    retry_after: str | None = None
    body: str | None = None
    hangs: bool = False
    drops: bool = False


class FakeSlack:
    """What was posted and updated, and which faults come next."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.faults: deque[Fault] = deque()
        self.tokens = {TOKEN}
        self.channels = {"#on-call": CHANNEL, CHANNEL: CHANNEL}
        self.webhooks = {WEBHOOK_PATH}
        self.archived = False
        self.port = 0
        self._clock = 1_700_000_000
        self._came = asyncio.Condition()

    @property
    def webhook_url(self) -> str:
        return f"http://{HOST}:{self.port}{WEBHOOK_PATH}"

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}/api/"

    @property
    def first_posts(self) -> list[Message]:
        """The messages that are not in a thread."""
        return [message for message in self.messages if message.thread_ts is None]

    def thread_of(self, message: Message) -> list[Message]:
        """The replies to a message."""
        return [reply for reply in self.messages if reply.thread_ts == message.ts]

    def fail(self, error: str = "", **how: Any) -> None:
        """Let one of the next requests fail so, in the order of the calls."""
        self.faults.append(Fault(error=error, **how))

    async def wait_for(self, requests: int, *, within: float = 10) -> None:
        """Return once so many requests have come."""
        async with asyncio.timeout(within), self._came:
            await self._came.wait_for(lambda: len(self.requests) >= requests)

    async def take_webhook(self, request: web.Request) -> web.StreamResponse:
        """Answer as an incoming webhook does: `ok` or an error code, as text."""
        body = await self._read(request)
        if (fault := await self._next_fault(request)) is not None:
            return _say_fault(fault, _WEBHOOK_STATUS.get(fault.error, 400), fault.error)
        if request.path not in self.webhooks:
            return web.Response(status=404, text="no_service")
        if self.archived:
            return web.Response(status=410, text="channel_is_archived")
        if body is None:
            return web.Response(status=400, text="invalid_payload")
        if error := find_error(body):
            known = error if error in _WEBHOOK_STATUS else "invalid_payload"
            return web.Response(status=400, text=known)

        self._keep(CHANNEL, body)

        return web.Response(text="ok")

    async def take_call(self, request: web.Request) -> web.StreamResponse:
        """Answer as the Web API does: nearly always 200, and `ok` tells."""
        body = await self._read(request)
        if (fault := await self._next_fault(request)) is not None:
            said = json.dumps({"ok": False, "error": fault.error or "fatal_error"})
            return _say_fault(fault, 200, said, "application/json")

        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        method = request.match_info["method"]
        if not token:
            return _error("not_authed")
        if token not in self.tokens:
            return _error("invalid_auth")
        if body is None:
            return _error("invalid_json")
        if method == "auth.test":
            return _ok(user="monitor", team="Acme", user_id="U0BOT", team_id="T000")
        channel = self.channels.get(body.get("channel", ""))
        if channel is None or (method == "chat.update" and channel != body["channel"]):
            return _error("channel_not_found")
        if self.archived:
            return _error("is_archived")
        if error := find_error(body):
            return _error(error)

        match method:
            case "chat.postMessage":
                return self._post(channel, body)
            case "chat.update":
                return self._update(channel, body)
            case _:
                return _error("unknown_method")

    def _post(self, channel: str, body: dict[str, Any]) -> web.Response:
        root = body.get("thread_ts")
        if root is not None and self._find(channel, root) is None:
            return _error("thread_not_found")
        message = self._keep(channel, body)

        return _ok(channel=channel, ts=message.ts, message=message.content)

    def _update(self, channel: str, body: dict[str, Any]) -> web.Response:
        message = self._find(channel, body.get("ts", ""))
        if message is None:
            return _error("message_not_found")
        message.earlier.append(message.content)
        message.content = {**message.content, **body}

        return _ok(channel=channel, ts=message.ts, text=message.text)

    def _find(self, channel: str, ts: str) -> Message | None:
        found = (one for one in self.messages if (one.channel, one.ts) == (channel, ts))

        return next(found, None)

    def _keep(self, channel: str, body: dict[str, Any]) -> Message:
        self._clock += 1
        message = Message(channel, f"{self._clock}.000100", body, body.get("thread_ts"))
        self.messages.append(message)

        return message

    async def _read(self, request: web.Request) -> dict[str, Any] | None:
        try:
            body = await request.json()
        except ValueError:
            body = None
        self.requests.append((request.path, body if isinstance(body, dict) else {}))
        async with self._came:
            self._came.notify_all()

        return body if isinstance(body, dict) else None

    async def _next_fault(self, request: web.Request) -> Fault | None:
        if not self.faults:
            return None

        fault = self.faults.popleft()
        if fault.hangs:
            await asyncio.Event().wait()
        if fault.drops:
            assert request.transport is not None
            request.transport.abort()

        return fault


@asynccontextmanager
async def serve_slack() -> AsyncIterator[FakeSlack]:
    """Run a Slack with one webhook, one bot and one channel, `#on-call`."""
    slack = FakeSlack()
    app = web.Application()
    app.router.add_post("/services/{rest:.*}", slack.take_webhook)
    app.router.add_post("/api/{method}", slack.take_call)
    async with serve_app(app) as port:
        slack.port = port
        yield slack


def find_error(body: dict[str, Any]) -> str | None:
    """Give the code of the first documented limit that a message breaks."""
    attachments = body.get("attachments", [])
    layers = [body.get("blocks", []), *(one.get("blocks", []) for one in attachments)]
    if not str(body.get("text", "")).strip() and not any(layers):
        return "no_text"
    if len(str(body.get("text", ""))) > 40_000:
        return "msg_too_long"
    if len(attachments) > 100:
        return "too_many_attachments"
    if any(len(blocks) > 50 for blocks in layers):
        return "invalid_blocks"
    for blocks in layers:
        if not all(_is_valid(block) for block in blocks):
            return "invalid_blocks"
    if sum(len(text) for blocks in layers for block in blocks for text in _texts(block)) > 11_000:
        return "msg_blocks_too_long"
    metadata = body.get("metadata")
    if metadata is not None and set(metadata) != {"event_type", "event_payload"}:
        return "invalid_metadata_format"

    return None


def _is_valid(block: dict[str, Any]) -> bool:
    if len(block.get("block_id", "")) > 255:
        return False
    match block:
        case {"type": "header", "text": {"type": "plain_text", "text": text}}:
            return 1 <= len(text) <= 150
        case {"type": "section", "text": {"type": "mrkdwn" | "plain_text", "text": text}}:
            return 1 <= len(text) <= 3_000
        case {"type": "section", "fields": list(fields)}:
            return 1 <= len(fields) <= 10 and all(1 <= len(one["text"]) <= 2_000 for one in fields)
        case {"type": "context", "elements": list(elements)}:
            return 1 <= len(elements) <= 10
        case {"type": "divider"}:
            return True
        case _:
            return False


def _texts(part: Any) -> list[str]:
    """Give all texts that people may see, in order."""
    match part:
        case dict():
            return [
                text
                for name, value in part.items()
                if name not in ("metadata", "type", "block_id", "channel", "ts", "color")
                for text in ([value] if isinstance(value, str) else _texts(value))
            ]
        case list():
            return [text for one in part for text in _texts(one)]
        case _:
            return []


def _say_fault(
    fault: Fault, status: int, text: str, content_type: str = "text/plain"
) -> web.Response:
    headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
    shown = fault.body if fault.body is not None else text

    return web.Response(
        status=fault.status or (429 if fault.error == "ratelimited" else status),
        text=shown,
        content_type=content_type,
        headers=headers,
    )


def _ok(**data: Any) -> web.Response:
    return web.json_response({"ok": True, **data})


def _error(error: str) -> web.Response:
    return web.json_response({"ok": False, "error": error})
