"""An academy on loopback: sign-up with a session and CSRF, posts, certificates, codes by SMS."""

from __future__ import annotations

import secrets
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

FORM: str = """<!doctype html><title>Join</title>
<form method=post action=/register>
<input type=hidden name=csrf value='{csrf}'><input name=email></form>"""


@dataclass
class Academy:
    """What it knows, how often each path was asked, and what a test breaks.

    `statuses` are of paths that fail; `patience` is how often the inbox has to be asked before the
    code is there, and a post before it is published.
    """

    port: int = 0
    sessions: dict[str, str] = field(default_factory=dict)
    users: dict[int, str] = field(default_factory=dict)
    posts: dict[int, dict[str, object]] = field(default_factory=dict)
    certificates: dict[str, int] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    statuses: dict[str, int] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    patience: int = 2

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # sign-up

    async def show_form(self, _request: web.Request) -> web.Response:
        session, csrf = secrets.token_hex(8), f"c/{secrets.token_urlsafe(16)}+=&"
        self.sessions[session] = csrf
        response = web.Response(
            text=FORM.format(csrf=csrf.replace("&", "&amp;")), content_type="text/html"
        )
        response.set_cookie("session", session, httponly=True)

        return response

    async def register(self, request: web.Request) -> web.Response:
        form = await request.post()
        csrf = self.sessions.get(request.cookies.get("session", ""))
        if csrf is None or form["csrf"] != csrf:
            return web.json_response({"error": "csrf"}, status=403)

        number = len(self.users) + 41
        token = f'{secrets.token_hex(8)}"{{token}}\\é'
        self.users[number] = token
        self.tokens.append(token)

        return web.json_response({"id": number, "token": token}, status=201)

    # posts and certificates

    async def write(self, request: web.Request) -> web.Response:
        document = await request.json()
        user = document["author"]
        if document["token"] != self.users.get(user):
            return web.json_response({"error": "token"}, status=401)

        number = len(self.posts) + 7
        self.posts[number] = {"author": user, "text": document["text"], "asked": 0}

        return web.Response(status=201, headers={"Location": f"/api/posts/{number}"})

    async def read(self, request: web.Request) -> web.Response:
        post = self.posts[int(request.match_info["number"])]
        asked = post["asked"] = int(str(post["asked"])) + 1
        state = "published" if asked >= self.patience else "queued"

        return web.json_response({"state": state, "text": post["text"]})

    async def certify(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Author") not in {str(user) for user in self.users}:
            return web.json_response({"error": "author"}, status=401)

        name = f"C/{secrets.token_hex(4)}"
        self.certificates[name] = int(request.match_info["number"])

        return web.json_response({"certificate": {"number": name}}, status=201)

    async def show_certificate(self, request: web.Request) -> web.Response:
        post = self.certificates.get(request.query.get("number", ""))
        if post is None:
            return web.Response(status=404)

        text = f"<main id=certificate><h1>Certificate</h1> for post {post}</main>"

        return web.Response(text=text, content_type="text/html")

    async def leave(self, request: web.Request) -> web.Response:
        gone = self.users.pop(int(request.match_info["number"]), None)

        return web.Response(status=204 if gone else 404)

    # codes

    async def send_code(self, request: web.Request) -> web.Response:
        phone = (await request.json())["phone"]
        self.codes[phone] = f"{secrets.randbelow(900_000) + 100_000}"

        return web.json_response({"sent": True}, status=202)

    async def inbox(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer inbox-canary":
            return web.Response(status=401)
        if self.asked["/test/inbox"] % self.patience:
            return web.Response(text="")

        return web.Response(text=f"Your code is {self.codes[request.query['phone']]}.")

    async def verify(self, request: web.Request) -> web.Response:
        form = await request.post()
        good = self.codes.get(str(form["phone"])) == form["code"]

        return web.json_response({"verified": good}, status=200 if good else 400)


@asynccontextmanager
async def serve_academy() -> AsyncIterator[Academy]:
    academy = Academy()

    @web.middleware
    async def count(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        academy.asked[request.path] += 1
        if status := academy.statuses.get(request.path):
            return web.json_response({"error": "broken"}, status=status)
        return await handler(request)

    app = web.Application(middlewares=[count])
    app.add_routes(
        [
            web.get("/register", academy.show_form),
            web.post("/register", academy.register),
            web.post("/api/posts", academy.write),
            web.get("/api/posts/{number}", academy.read),
            web.post("/api/posts/{number}/certificate", academy.certify),
            web.get("/certificates", academy.show_certificate),
            web.delete("/api/users/{number}", academy.leave),
            web.post("/api/otp", academy.send_code),
            web.get("/test/inbox", academy.inbox),
            web.post("/api/otp/verify", academy.verify),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    academy.port = runner.addresses[0][1]
    try:
        yield academy
    finally:
        await runner.cleanup()
