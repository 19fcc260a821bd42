"""Stand-ins for hosting providers on loopback: what they host, and the API that rolls it back."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.support.receiver import HOST, serve_app

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

GOOD = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
BAD = "b00b1e5deadbeef00112233445566778899aabb0"
NETLIFY_TOKEN = "netlify-canary-55aa"
NETLIFY_SITE = "5d0c8f1e-site"
RAILWAY_TOKEN = "railway-canary-77bb"
RAILWAY_PLACE = {
    "RAILWAY_PROJECT": "project-1",
    "RAILWAY_ENVIRONMENT": "environment-1",
    "RAILWAY_SERVICE": "service-1",
}

SECURE = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass
class Netlify:
    """A site with two functions, its deploys, and Netlify's API as it is documented."""

    port: int = 0
    site_port: int = 0
    published: str = "deploy-1"
    deploys: dict[str, str] = field(default_factory=lambda: {"deploy-1": GOOD, "deploy-2": BAD})
    calls: list[tuple[str, str]] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    sms: list[Any] = field(default_factory=list)
    pages: int = 0
    page: str = '<h1>Party</h1><div id="live-stream"></div>'
    limit: int = 1000

    @property
    def api(self) -> str:
        return f"http://{HOST}:{self.port}/api/v1"

    @property
    def site(self) -> str:
        return f"https://localhost:{self.site_port}"

    @property
    def commit(self) -> str:
        return self.deploys[self.published]

    @property
    def broken(self) -> bool:
        return self.commit == BAD

    async def homepage(self, _request: web.Request) -> web.Response:
        self.pages += 1
        if self.pages > self.limit:
            return web.Response(status=429)
        return web.Response(
            text=self.page, content_type="text/html", headers={**SECURE, "X-Commit": self.commit}
        )

    async def send_sms(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer canary-of-tests":
            return web.Response(status=401)
        self.sms.append(await request.json())
        if self.broken:
            return web.json_response({"errorType": "TypeError"}, status=502)

        return web.json_response({"sent": False, "dry_run": True})

    async def stripe_webhook(self, _request: web.Request) -> web.Response:
        return web.Response(status=405, text="Method Not Allowed")

    async def call(self, request: web.Request) -> web.Response:
        self.calls.append((request.method, request.path_qs))
        if request.headers.get("Authorization") != f"Bearer {NETLIFY_TOKEN}":
            return _netlify_error(401, "Access Denied")

        parts = request.path.removeprefix("/api/v1/").split("/")
        match request.method, parts:
            case "GET", ["sites", site, "deploys"] if site == NETLIFY_SITE:
                return web.json_response([self._deploy(id) for id in reversed(self.deploys)])
            case "POST", ["sites", site, "deploys", id, "restore"] if site == NETLIFY_SITE:
                if id not in self.deploys:
                    return _netlify_error(404, "Not Found")
                self.published = id
                self.restored.append(id)
                return web.json_response(self._deploy(id), status=201)
            case _:
                return _netlify_error(404, "Not Found")

    def _deploy(self, id: str) -> dict[str, Any]:
        return {
            "id": id,
            "site_id": NETLIFY_SITE,
            "state": "ready",
            "context": "production",
            "branch": "main",
            "commit_ref": self.deploys[id],
            "locked": None,
            "error_message": None,
        }


def _netlify_error(code: int, message: str) -> web.Response:
    return web.json_response({"code": code, "message": message}, status=code)


@asynccontextmanager
async def serve_netlify(tls: ssl.SSLContext) -> AsyncIterator[Netlify]:
    """Run the API over HTTP, and the site over TLS."""
    netlify = Netlify()
    api = web.Application()
    api.router.add_route("*", "/{path:.*}", netlify.call)
    site = web.Application()
    site.router.add_get("/", netlify.homepage)
    site.router.add_post("/.netlify/functions/send-sms", netlify.send_sms)
    site.router.add_get("/.netlify/functions/stripe-webhook", netlify.stripe_webhook)
    async with serve_app(api) as port, serve_app(site, tls=tls) as site_port:
        netlify.port, netlify.site_port = port, site_port
        yield netlify


@dataclass
class Railway:
    """An API and a web front end, their deployments, and Railway's GraphQL API."""

    port: int = 0
    active: str = "deployment-1"
    commits: dict[str, str] = field(
        default_factory=lambda: {"deployment-1": GOOD, "deployment-2": BAD}
    )
    rolled_back_to: list[str] = field(default_factory=list)
    asked_for: list[dict[str, Any]] = field(default_factory=list)
    refuses: str = ""
    asked: int = 0
    warm_after: int = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def api_health(self, _request: web.Request) -> web.Response:
        """Answer as the runbook's health check does: 503 unless everything is connected."""
        self.asked += 1
        well = self.commits[self.active] == GOOD and self.asked > self.warm_after
        state = "connected" if well else "disconnected"
        status = {
            "status": "healthy",
            "version": self.commits[self.active],
            "database": {"status": state},
            "external_services": {"supabase": "connected"},
        }

        return web.json_response(status, status=200 if well else 503)

    async def web_health(self, _request: web.Request) -> web.Response:
        return web.Response(text="healthy\n")

    async def graphql(self, request: web.Request) -> web.Response:
        """Answer errors with a status of 200, as GraphQL does."""
        if request.headers.get("Project-Access-Token") != RAILWAY_TOKEN:
            return _graphql_error("Not Authorized")

        body = await request.json()
        if "deploymentRollback" not in body["query"]:
            wanted = body["variables"]["input"]
            self.asked_for.append(wanted)
            return web.json_response({"data": {"deployments": {"edges": self._edges(wanted)}}})
        if self.refuses:
            return _graphql_error(self.refuses)

        self.active = body["variables"]["id"]
        self.rolled_back_to.append(self.active)

        return web.json_response({"data": {"deploymentRollback": True}})

    def _edges(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        nodes = [
            {
                "id": id,
                "status": "SUCCESS" if id == self.active else "REMOVED",
                "canRollback": id != self.active,
                "meta": {"commitHash": commit},
            }
            for id, commit in self.commits.items()
        ]

        return [{"node": node} for node in nodes if node["status"] in wanted["status"]["in"]]


def _graphql_error(message: str) -> web.Response:
    return web.json_response({"errors": [{"message": message}], "data": None})


@asynccontextmanager
async def serve_railway() -> AsyncIterator[Railway]:
    """Run everything on one port: `/api`, `/web` and `/graphql/v2`."""
    railway = Railway()
    app = web.Application()
    app.router.add_get("/api/health", railway.api_health)
    app.router.add_get("/web/health", railway.web_health)
    app.router.add_post("/graphql/v2", railway.graphql)
    async with serve_app(app) as port:
        railway.port = port
        yield railway
