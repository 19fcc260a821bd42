"""A stand-in for Slack on loopback, strict as documented: webhooks, Web API, clicks, sockets."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from aiohttp import WSMsgType, web

from tests.support.notices import NOON
from tests.support.receiver import HOST, serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

WEBHOOK_PATH: Final = "/services/T000/B000/hook-canary-9f3e"
TOKEN: Final = "xoxb-token-canary-71c2"
APP_TOKEN: Final = "xapp-1-canary-58d1"
SIGNING_SECRET: Final = "signing-canary-0c9e"
ANA: Final = "U0ANA0001"
BEN: Final = "U0BEN0002"
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
_UNSEEN: Final = frozenset(
    {"metadata", "type", "block_id", "channel", "ts", "color", "action_id", "value", "style"}
)
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
    def buttons(self) -> dict[str, dict[str, Any]]:
        """The buttons below it, by what is written on them; each knows its block."""
        return {
            element["text"]["text"]: {**element, "block_id": block["block_id"]}
            for attachment in self.content.get("attachments", [])
            for block in attachment.get("blocks", [])
            if block["type"] == "actions"
            for element in block["elements"]
        }

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
    passes: bool = False
    takes: bool = False  # it is done, but nobody hears of it
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
        self.scopes = {"chat:write", "channels:history"}
        self.app_tokens = {APP_TOKEN}
        self.sockets: list[web.WebSocketResponse] = []
        self.confirmed: list[str] = []
        self.whispers: list[dict[str, Any]] = []
        self.most_at_once = 0
        self.opening_faults: list[str] = []
        self.link = ""
        self.deaf = False
        self.port = 0
        self._tickets = 0
        self._open_tickets: set[str] = set()
        # Messages are from now, or from when the notices of tests are, whichever is later.
        self._clock = max(int(time.time()), int(NOON.timestamp()))
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

    def pass_one(self) -> None:
        """Let one of the next requests go well, before those that fail."""
        self.faults.append(Fault(passes=True))

    def chat(self, text: str) -> None:
        """Write a message that is none of ours."""
        self._keep(CHANNEL, {"text": text, "user": "U0SOMEBODY"})

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
        method = request.match_info["method"]
        body = await self._read(request)
        fault = await self._next_fault(request)
        if fault is not None and not fault.takes:
            said = json.dumps({"ok": False, "error": fault.error or "fatal_error"})
            return _say_fault(fault, 200, said, "application/json")

        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if method == "apps.connections.open":
            return self._give_ticket(token)
        if token not in self.tokens:
            return _error("invalid_auth" if token else "not_authed")
        if body is None:
            return _error("invalid_json")

        answer = self._answer(method, body)
        if fault is not None:
            await asyncio.Event().wait()

        return answer

    def _answer(self, method: str, body: dict[str, Any]) -> web.Response:
        if method == "auth.test":
            answer = _ok(user="monitor", team="Acme", user_id="U0BOT", team_id="T000")
            answer.headers["X-OAuth-Scopes"] = ",".join(sorted(self.scopes))
            return answer
        if method in ("conversations.history", "conversations.replies"):
            return self._list(method, body)
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

    async def take_whisper(self, request: web.Request) -> web.StreamResponse:
        """Take what is said to one person through a response_url."""
        self.whispers.append(await request.json())
        async with self._came:
            self._came.notify_all()

        return web.Response(text="ok")

    async def take_socket(self, request: web.Request) -> web.StreamResponse:
        """Be the WebSocket of Socket Mode, for who has a ticket that was not used yet."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._open_tickets:
            return web.Response(status=401)

        self._open_tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": len(self.sockets) + 1})
        self.sockets.append(socket)
        self.most_at_once = max(self.most_at_once, len(self.sockets))
        async with self._came:
            self._came.notify_all()
        try:
            async for message in socket:
                if self.deaf:
                    await asyncio.Event().wait()
                if message.type is WSMsgType.TEXT:
                    self.confirmed.append(json.loads(message.data)["envelope_id"])
                    async with self._came:
                        self._came.notify_all()
        finally:
            self.sockets.remove(socket)
            async with self._came:
                self._came.notify_all()

        return socket

    async def send_click(self, payload: dict[str, Any], *, id: str = "e1") -> None:
        """Send a click over the newest connection."""
        envelope = {
            "type": "interactive",
            "envelope_id": id,
            "payload": payload,
            "accepts_response_payload": False,
        }
        await self.sockets[-1].send_json(envelope)

    async def disconnect(self, reason: str) -> None:
        """Announce on all connections that they are to be replaced."""
        for socket in list(self.sockets):
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})

    def cut(self, socket: web.WebSocketResponse) -> None:
        """End a connection without a word."""
        assert socket._req is not None
        assert socket._req.transport is not None
        socket._req.transport.abort()

    async def until(self, happened: Callable[[], object], *, within: float = 20) -> None:
        """Return once something has happened here."""
        async with asyncio.timeout(within), self._came:
            await self._came.wait_for(happened)

    def click(
        self, button: dict[str, Any], *, user: str = ANA, name: str = "ana"
    ) -> dict[str, Any]:
        """Give what Slack sends when somebody presses a button."""
        action = {key: value for key, value in button.items() if key not in ("confirm", "style")}

        return {
            "type": "block_actions",
            "user": {"id": user, "username": name, "name": name, "team_id": "T000"},
            "api_app_id": "A000",
            "token": "legacy-canary",
            "container": {"type": "message_attachment", "channel_id": CHANNEL},
            "trigger_id": "1.2.3",
            "channel": {"id": CHANNEL, "name": "on-call"},
            "response_url": f"http://{HOST}:{self.port}/actions/T000/1/reply-canary",
            "actions": [{**action, "action_ts": "1700000001.000200"}],
        }

    def _give_ticket(self, token: str) -> web.Response:
        if self.opening_faults:
            return _error(self.opening_faults.pop(0))
        if token not in self.app_tokens:
            return _error("invalid_auth")

        self._tickets += 1
        ticket = f"ticket-canary-{self._tickets}"
        self._open_tickets.add(ticket)

        link = f"ws://{HOST}:{self.port}/link/?ticket={ticket}&app_id=A000"

        return _ok(url=self.link or link)

    def _list(self, method: str, asked: dict[str, Any]) -> web.Response:
        """Give what is in a channel, newest first, or in a thread; only ids name channels here."""
        if "channels:history" not in self.scopes:
            return _error("missing_scope")
        if asked.get("channel") not in self.channels.values():
            return _error("channel_not_found")

        in_thread = method == "conversations.replies"
        found = [
            message
            for message in self.messages
            if float(message.ts) > float(asked.get("oldest", 0))
            and (
                asked["ts"] in (message.thread_ts, message.ts)
                if in_thread
                else message.thread_ts is None or message.content.get("reply_broadcast")
            )
        ]
        if not in_thread:
            found.reverse()
        begin, limit = int(asked.get("cursor") or 0), int(asked.get("limit", 100))
        page = found[begin : begin + limit]
        more = str(begin + limit) if begin + limit < len(found) else ""
        with_metadata = asked.get("include_all_metadata") in ("true", "1")

        return _ok(
            messages=[
                {
                    name: value
                    for name, value in {"ts": one.ts, **one.content}.items()
                    if name != "metadata" or with_metadata
                }
                for one in page
            ],
            has_more=bool(more),
            response_metadata={"next_cursor": more},
        )

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
            body = dict(request.query)
            if await request.read():
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
        if fault.passes:
            return None
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
    app.router.add_get("/api/{method}", slack.take_call)
    app.router.add_post("/actions/{rest:.*}", slack.take_whisper)
    app.router.add_get("/link/", slack.take_socket)
    async with serve_app(app) as port:
        slack.port = port
        yield slack


def just_now() -> float:
    """Give a time for a click: what is from the second in which we started is refused."""
    return time.time() + 1


def signed(
    payload: object, *, at: float, secret: str = SIGNING_SECRET, body: bytes | None = None
) -> tuple[bytes, dict[str, str]]:
    """Give body and headers of a request as Slack signs them, a Unix time being its own."""
    if body is None:
        body = urlencode({"payload": json.dumps(payload)}).encode()
    timestamp = str(int(at))
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256)

    return body, {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={digest.hexdigest()}",
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
    }


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
        ids = [block["block_id"] for block in blocks if "block_id" in block]
        if not all(_is_valid(block) for block in blocks) or len(set(ids)) < len(ids):
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
        case {"type": "actions", "elements": list(elements)}:
            names = {element.get("action_id") for element in elements}
            return 1 <= len(elements) == len(names) <= 25 and all(map(_is_button, elements))
        case {"type": "divider"}:
            return True
        case _:
            return False


def _is_button(element: dict[str, Any]) -> bool:
    confirm = element.get("confirm")

    return (
        element["type"] == "button"
        and _is_plain(element["text"], 75)
        and 1 <= len(element["action_id"]) <= 255
        and 1 <= len(element.get("value", "x")) <= 2_000
        and element.get("style", "primary") in ("primary", "danger")
        and (
            confirm is None
            or (
                _is_plain(confirm["title"], 100)
                and _is_plain(confirm["text"], 300)
                and _is_plain(confirm["confirm"], 30)
                and _is_plain(confirm["deny"], 30)
            )
        )
    )


def _is_plain(text: dict[str, Any], longest: int) -> bool:
    return text["type"] == "plain_text" and 1 <= len(text["text"]) <= longest


def _texts(part: Any) -> list[str]:
    """Give all texts that people may see, in order."""
    match part:
        case dict():
            return [
                text
                for name, value in part.items()
                if name not in _UNSEEN
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
