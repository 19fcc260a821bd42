"""The examples of backups, rotations and restore tests: jobs that ping, and jobs that do not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from aiohttp import web

from tests.support.program import daemon
from tests.support.servers import serve_pages
from tests.support.slack import serve_slack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.program import Daemon

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
OPERATIONS = str(EXAMPLES / "runbook-001-backups.yml")
SITE = str(EXAMPLES / "runbook-002-backups.yml")
KEYS = {
    "BACKUP_PING_KEY": "backup-0123456789",
    "RESTORE_PING_KEY": "restore-0123456789",
    "ROTATION_PING_KEY": "rotation-0123456789",
}


def overlay(folder: Path, endpoints: Mapping[str, Any]) -> str:
    """Write what a test changes: where it listens, and days that become seconds."""
    path = folder / "overlay.yml"
    listen = {"listen": "127.0.0.1:${PORT}"}
    path.write_text(yaml.safe_dump({"web": listen, "endpoints": dict(endpoints)}))

    return str(path)


async def shell(script: str, running: Daemon, folder: Path) -> None:
    """Run a line of a crontab as cron does."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", script.replace("http://127.0.0.1:9797", running.url), cwd=folder
    )
    assert await process.wait() in (0, 22)


def verdicts(status: dict[str, Any]) -> dict[str, str]:
    return {one["check"]: one["verdict"] for one in status["checks"]}


async def test_the_backup_of_the_site_tells_its_start_and_its_exit_code(tmp_path: Path) -> None:
    written = Path(SITE).read_text().split("#   0 2 * * * ")[1].splitlines()[0]
    line = written.replace("KEY", KEYS["BACKUP_PING_KEY"])
    async with serve_slack() as slack:
        environ = {**KEYS, "SLACK_WEBHOOK_URL": slack.webhook_url}
        more = ("--config", overlay(tmp_path, {"backup": {"every": "200ms"}}))
        async with daemon(tmp_path, *more, config=SITE, environ=environ) as running:
            await shell(line.replace("/path/to/your/backup-script.sh", "false"), running, tmp_path)
            failed = await running.until(lambda status: status["incidents"])
            await shell(line.replace("/path/to/your/backup-script.sh", "true"), running, tmp_path)
            await running.until(lambda status: status["incidents"][0]["resolved_at"])
            _, metrics = await running.get("/metrics")

    reasons = [one["reasons"] for one in failed["checks"]]
    assert "the job ended with exit code 1 at " in reasons[0][0]["message"]
    assert 'probe_heartbeat_last_run_seconds{endpoint="backup"' in metrics


async def test_operations_learn_of_a_backup_a_restore_test_and_a_rotation_that_did_not_happen(
    tmp_path: Path,
) -> None:
    token = tmp_path / "api-token"
    token.write_text("old\n")
    tokens = []

    async def answer(request: web.Request) -> web.StreamResponse:
        tokens.append(request.headers["Authorization"])
        return web.Response(status=200 if tokens[-1] == "Bearer new" else 401)

    async with serve_slack() as slack, serve_pages({"/api/admin/health": answer}) as api:
        environ = {**KEYS, "SLACK_WEBHOOK_URL": slack.webhook_url, "API_URL": api.url("")}
        short = {"heartbeat": {"period": "2s", "grace": "1s"}, "every": "200ms"}
        changes = {
            "restore-test": short,
            "secret-rotation": short,
            "new-token-works": {
                "every": "200ms",
                "request": {"auth": {"bearer": f"${{file:{token}}}"}},
            },
        }
        more = ("--config", overlay(tmp_path, changes))
        async with daemon(tmp_path, *more, config=OPERATIONS, environ=environ) as running:
            for path in ("start", "0"):
                await running.get(f"/ping/{KEYS['BACKUP_PING_KEY']}/{path}")
            await running.get(f"/ping/{KEYS['ROTATION_PING_KEY']}")
            begun = await running.until(lambda s: verdicts(s)["secret-rotation.health"] == "pass")
            token.write_text("new\n")
            rotated = await running.until(
                lambda status: verdicts(status)["new-token-works.health"] == "pass"
            )
            missed = await running.until(
                lambda status: (
                    verdicts(status)["restore-test.health"] == "fail"
                    and verdicts(status)["secret-rotation.health"] == "fail"
                )
            )

    assert verdicts(begun)["nightly-backup.health"] == "pass"
    assert verdicts(begun)["nightly-backup.value"] == "pass"
    assert verdicts(begun)["restore-test.health"] == "waiting"
    assert verdicts(rotated)["new-token-works.health"] == "pass"
    told = {one["check"]: one["reasons"] for one in missed["checks"]}
    assert "no ping ever came" in told["restore-test.health"][0]["message"]
    assert "no ping since " in told["secret-rotation.health"][0]["message"]
    assert tokens[0] == "Bearer old"
