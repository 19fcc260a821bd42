"""A stand-in for the issues of one repository on GitHub, on loopback."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from tests.support.receiver import HOST, serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN: Final = "github-canary-9a3d"
REPOSITORY: Final = "acme/site"


class FakeGitHub:
    """The issues, with their comments, and which faults come next."""

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.faults: deque[tuple[int, dict[str, str]]] = deque()
        self.port = 0

    @property
    def api(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Answer as the REST API does."""
        if self.faults:
            status, headers = self.faults.popleft()
            return web.json_response({"message": "no"}, status=status, headers=headers)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Bad credentials"}, status=401)

        parts = request.match_info["rest"].strip("/").split("/")
        match request.method, parts:
            case "GET", [""]:
                return web.json_response({"full_name": REPOSITORY})
            case "GET", ["issues"]:
                return web.json_response(self.issues)
            case "POST", ["issues"]:
                issue = {"number": len(self.issues) + 1, **(await request.json())}
                self.issues.append(issue)
                return web.json_response(issue, status=201)
            case "GET", ["issues", number, "comments"]:
                return web.json_response(self.comments.get(int(number), []))
            case "POST", ["issues", number, "comments"]:
                comment = await request.json()
                self.comments.setdefault(int(number), []).append(comment)
                return web.json_response(comment, status=201)
            case _:
                return web.json_response({"message": "Not Found"}, status=404)


@asynccontextmanager
async def serve_github() -> AsyncIterator[FakeGitHub]:
    """Run a GitHub with one repository."""
    github = FakeGitHub()
    app = web.Application()
    app.router.add_route("*", f"/repos/{REPOSITORY}{{rest:.*}}", github.take)
    async with serve_app(app) as port:
        github.port = port
        yield github
