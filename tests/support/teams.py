"""A stand-in for a workflow of Teams on loopback, strict as documented."""

from __future__ import annotations

import json
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from tests.support.receiver import HOST, serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SIGNATURE: Final = "teams-canary-4d7a"
PATH: Final = "/powerautomate/automations/direct/workflows/0123456789abcdef/triggers/manual"

_ELEMENTS: Final = frozenset({"Container", "RichTextBlock"})
_STYLES: Final = frozenset({"default", "emphasis", "good", "attention", "warning", "accent"})


class FakeTeams:
    """The cards that came, and which faults come next."""

    def __init__(self) -> None:
        self.cards: list[dict[str, Any]] = []
        self.sizes: list[int] = []
        self.faults: deque[tuple[int, str, dict[str, str]]] = deque()
        self.port = 0

    @property
    def webhook_url(self) -> str:
        query = f"api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={SIGNATURE}"

        return f"http://{HOST}:{self.port}{PATH}/paths/invoke?{query}"

    def fail(self, status: int, text: str = "", **headers: str) -> None:
        """Let one of the next requests be answered so."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        self.faults.append((status, text, named))

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Answer as a workflow does: it takes what it may never be able to show."""
        body = await request.read()
        if self.faults:
            status, text, headers = self.faults.popleft()
            return web.Response(status=status, text=text, headers=headers)
        if request.query.get("sig") != SIGNATURE:
            return _error(401, "DirectApiAuthorizationRequired")
        self.sizes.append(len(body))
        if len(body) > 28_000:
            return _error(413, "RequestEntityTooLarge")
        if problem := find_problem(json.loads(body)):
            return _error(400, f"TriggerInputSchemaMismatch {problem}")

        self.cards.append(json.loads(body)["attachments"][0]["content"])

        return web.Response(status=202)


@asynccontextmanager
async def serve_teams() -> AsyncIterator[FakeTeams]:
    """Run a Teams with one workflow."""
    teams = FakeTeams()
    app = web.Application()
    app.router.add_post("/{path:.*}", teams.take)
    async with serve_app(app) as port:
        teams.port = port
        yield teams


def texts_of(card: dict[str, Any]) -> list[str]:
    """Give all lines of a card, as people see them."""
    lines = []
    for element in card["body"]:
        inner = element["items"] if element["type"] == "Container" else [element]
        lines += ["".join(run["text"] for run in one["inlines"]) for one in inner]

    return lines


def find_problem(message: dict[str, Any]) -> str:
    """Give the first thing that is no message of a workflow, or no card for Teams."""
    attachments = message.get("attachments", [])
    if message.get("type") != "message" or len(attachments) != 1:
        return "expected a message with one attachment"
    if attachments[0]["contentType"] != "application/vnd.microsoft.card.adaptive":
        return "expected an Adaptive Card"
    card = attachments[0]["content"]
    if card["type"] != "AdaptiveCard" or card["version"] not in ("1.2", "1.3", "1.4", "1.5"):
        return "expected an Adaptive Card of a version that Teams shows"
    for element in card["body"]:
        if element["type"] not in _ELEMENTS:
            return f"no such element {element['type']}"
        if element["type"] == "Container" and element["style"] not in _STYLES:
            return f"no such style {element['style']}"
    for action in card.get("actions", []):
        if action["type"] != "Action.OpenUrl" or not action["url"].startswith("http"):
            return "no such action"
    if len(card.get("actions", [])) > 6:
        return "too many actions"

    return ""


def _error(status: int, code: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": code}}, status=status)
