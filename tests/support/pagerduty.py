"""PagerDuty's Events API v2 on loopback: it checks, merges, limits and answers as the real one."""

from __future__ import annotations

import json
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.support.receiver import HOST, serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.receiver import Behaviour

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
_LARGEST = 512 * 1024
_SEVERITIES = ("critical", "error", "warning", "info")


@dataclass
class Alert:
    """One alert: open until it is resolved; what was triggered again is merged into it."""

    dedup_key: str
    triggers: list[dict[str, Any]]
    status: str = "triggered"

    @property
    def payload(self) -> dict[str, Any]:
        """What is shown: that of the first trigger."""
        shown: dict[str, Any] = self.triggers[0]["payload"]

        return shown


@dataclass
class FakePagerDuty:
    """What it has; `next` are behaviours of the next requests, in place of its own."""

    port: int = 0
    alerts: list[Alert] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    next: deque[Behaviour] = field(default_factory=deque)
    keys: set[str] = field(default_factory=lambda: {ROUTING_KEY})
    limit: int = 1_000
    user_agents: set[str] = field(default_factory=set)

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def acts(self) -> list[str]:
        return [event["event_action"] for event in self.events]

    def find(self, dedup_key: str) -> Alert | None:
        """Give the open alert of a key."""
        for alert in self.alerts:
            if alert.dedup_key == dedup_key and alert.status != "resolved":
                return alert

        return None

    async def enqueue(self, request: web.Request) -> web.StreamResponse:
        event, answer = await self._read(request)
        if answer is not None:
            return answer

        errors = list(_find_errors(event))
        if errors:
            return _refuse(errors)

        self.events.append(event)
        key = event.get("dedup_key") or f"made-{len(self.events)}"
        open_one = self.find(key)
        match event["event_action"]:
            case "trigger" if open_one is not None:
                open_one.triggers.append(event)
            case "trigger":
                self.alerts.append(Alert(dedup_key=key, triggers=[event]))
            case "acknowledge" if open_one is not None:
                open_one.status = "acknowledged"
            case "resolve" if open_one is not None:
                open_one.status = "resolved"
        said = {"status": "success", "message": "Event processed", "dedup_key": key}

        return web.json_response(said, status=202)

    async def change(self, request: web.Request) -> web.StreamResponse:
        event, answer = await self._read(request)
        if answer is not None:
            return answer
        if not event.get("payload", {}).get("summary"):
            return _refuse(["'payload.summary' is missing or blank"])

        self.changes.append(event)

        return web.json_response(
            {"status": "success", "message": "Change event processed"}, status=202
        )

    async def _read(self, request: web.Request) -> tuple[dict[str, Any], web.StreamResponse | None]:
        self.user_agents.add(request.headers.get("User-Agent", ""))
        body = await request.read()
        if self.next:
            return {}, await self.next.popleft()(request)
        if len(body) > _LARGEST:
            return {}, web.Response(status=413, text="Request Entity Too Large")
        if self.limit <= 0:
            said = {
                "status": "throttle exceeded",
                "message": "Requests for this service are arriving too quickly.",
            }
            return {}, web.json_response(said, status=429)
        self.limit -= 1
        event: dict[str, Any] = json.loads(body)
        if event.get("routing_key") not in self.keys:
            return {}, _refuse(["'routing_key' is invalid: " + str(event.get("routing_key"))])

        return event, None


def _find_errors(event: dict[str, Any]) -> list[str]:
    action = event.get("event_action")
    if action not in ("trigger", "acknowledge", "resolve"):
        return ["'event_action' is missing or invalid"]

    key = event.get("dedup_key", "")
    errors = ["'dedup_key' is too long"] if len(key) > 255 else []
    if action != "trigger":
        return errors if key else ["'dedup_key' is missing"]

    payload = event.get("payload", {})
    errors += [
        f"'payload.{name}' is missing or blank"
        for name in ("summary", "source", "severity")
        if not payload.get(name)
    ]
    if payload.get("severity") not in _SEVERITIES:
        errors.append(
            "'payload.severity' is invalid (must be one of the following: "
            "'critical', 'warning', 'error' or 'info')"
        )
    if len(payload.get("summary", "")) > 1024:
        errors.append("'payload.summary' is too long (maximum 1024 characters)")

    return errors


def _refuse(errors: list[str]) -> web.Response:
    said = {"status": "invalid event", "message": "Event object is invalid", "errors": errors}

    return web.json_response(said, status=400)


@asynccontextmanager
async def serve_pagerduty() -> AsyncIterator[FakePagerDuty]:
    """Run it."""
    fake = FakePagerDuty()
    app = web.Application(client_max_size=4 * _LARGEST)
    app.router.add_post("/v2/enqueue", fake.enqueue)
    app.router.add_post("/v2/change/enqueue", fake.change)
    async with serve_app(app) as port:
        fake.port = port
        yield fake
