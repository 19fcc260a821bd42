"""The example of a deploy that is watched: rolled back, and proven by health, figures and flow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from aiohttp import web

from tests.support.program import daemon, run
from tests.support.servers import serve_pages
from tests.support.slack import serve_slack
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
EXAMPLE = str(EXAMPLES / "runbook-001-post-deploy.yml")
TOKEN = "admin-token-canary"


class Worker:
    """A worker whose release is a link in a folder; release `bad` fails, and so may the flow."""

    def __init__(self, folder: Path) -> None:
        self.releases = folder / "releases"
        for name in ("good", "bad"):
            (self.releases / name).mkdir(parents=True)
        self.flow_works = True
        self.asked = 0
        self._began = time.monotonic()
        self.use("good")

    def use(self, release: str) -> None:
        link = self.releases / "current"
        link.unlink(missing_ok=True)
        link.symlink_to(release)

    @property
    def current(self) -> str:
        return (self.releases / "current").readlink().name

    async def health(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({}, status=401)
        if self.current == "bad":
            return web.json_response({"database": "lost"}, status=503)
        return web.json_response({"database": "connected"})

    async def metrics(self, _request: web.Request) -> web.Response:
        self.asked += 1000
        return web.Response(text=f"requests_total {self.asked}\nrequests_failed_total 1\n")

    async def issues(self, _request: web.Request) -> web.Response:
        return web.json_response([{"title": "lost"}] if self.current == "bad" else [])

    async def register(self, _request: web.Request) -> web.Response:
        return web.json_response({"token": "canary-token-0815"})

    async def verify(self, request: web.Request) -> web.Response:
        right = request.query["t"] == "canary-token-0815" and self.flow_works
        return web.json_response({"verified": right})

    @property
    def pages(self) -> Mapping[str, Any]:
        return {
            "/api/admin/health": self.health,
            "/metrics": self.metrics,
            "/issues": self.issues,
            "/api/register": self.register,
            "/api/verify": self.verify,
        }


def quicken(folder: Path) -> str:
    """Write minutes as fractions of a second."""
    proofs = [
        {"check": "admin.health", "passes": 6, "within": "15s"},
        {"check": "errors.value", "passes": 6},
        {"check": "signup.health", "passes": 2},
    ]
    rollback = {"certify_after": "600ms", "verify": {"within": "18s", "expect": proofs}}
    quick = {"every": "100ms"}
    changes = {
        "store": f"sqlite:///{folder}/monitor.db",
        "web": {"listen": "127.0.0.1:${PORT}"},
        "witnesses": [],
        "defaults": {"every": "100ms", "retry_every": "100ms", "timeout": "100ms"},
        "services": {"worker": {"rollback": rollback}},
        "endpoints": {"recent-errors": quick, "signup": quick},
    }
    (folder / "quick.yml").write_text(yaml.safe_dump(changes))

    return "quick.yml"


async def test_a_recovery_is_proven_by_health_figures_and_the_flow_that_customers_need(
    tmp_path: Path,
) -> None:
    worker = Worker(tmp_path)
    async with serve_pages(worker.pages) as server, serve_slack() as slack:
        environ = {
            "WORKER_URL": server.url("").rstrip("/"),
            "TRACKER_URL": server.url("").rstrip("/"),
            "ADMIN_TOKEN": TOKEN,
            "RELEASES": str(worker.releases),
            "SLACK_WEBHOOK_URL": slack.webhook_url,
        }
        quick = quicken(tmp_path)
        async with daemon(tmp_path, "--config", quick, config=EXAMPLE, environ=environ) as running:
            chosen = ("--config", EXAMPLE, "--config", quick)
            there = {**environ, "PORT": str(running.port)}
            await running.until(
                lambda now: all(one["state"] == "pass" for one in now["checks"]), "all to pass"
            )
            await run("deploy", "worker", "--version", "good", *chosen, cwd=tmp_path, environ=there)
            await running.until(
                lambda now: any(one["state"] == "certified" for one in now["deploys"]),
                "the good one to be certified",
            )
            await run("deploy", "worker", "--version", "bad", *chosen, cwd=tmp_path, environ=there)
            worker.flow_works = False
            worker.use("bad")
            await until(lambda: worker.current == "good")
            waiting = await running.until(
                lambda now: _is_open(now) and _passes(now, "admin.health"),
                "the health to be back, and the flow to be awaited",
            )
            worker.flow_works = True
            ended = await running.until(
                lambda now: any(one["state"] == "recovered" for one in now["rollbacks"]),
                "the recovery to be proven",
            )

    assert waiting["rollbacks"][0]["state"] == "verifying"
    (rollback,) = [one for one in ended["rollbacks"] if one["state"] == "recovered"]
    assert (rollback["from"], rollback["to"]) == ("bad", "good")
    assert TOKEN not in (tmp_path / "daemon.log").read_text()


def _is_open(status: dict[str, Any]) -> bool:
    return any(one["state"] == "verifying" for one in status["rollbacks"])


def _passes(status: dict[str, Any], check: str) -> bool:
    return any(one["check"] == check and one["state"] == "pass" for one in status["checks"])
