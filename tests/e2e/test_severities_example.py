"""The decision matrix of runbook 003: how bad it is decides what is done after a bad deploy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.program import daemon
from tests.support.receiver import serve_receiver
from tests.support.shop import open_shop
from tests.support.street import announce, find_rollbacks, until_passing

if TYPE_CHECKING:
    from tests.support.program import Daemon
    from tests.support.receiver import Receiver
    from tests.support.shop import Shop

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "runbook-003-severities.yml"


def overlay(folder: Path) -> str:
    """Let the minutes of the example be seconds."""
    service = yaml.safe_load(EXAMPLE.read_text())["services"]["site"]
    (level,) = service["remedy"]["levels"]
    often = {"every": "300ms"}
    changes = {
        "web": {"listen": "127.0.0.1:${PORT:-9797}"},
        "defaults": {"retry_every": "100ms", "timeout": "250ms"},
        "services": {
            "site": {
                "remedy": {"levels": [{**level, "recover_within": "1s"}]},
                "rollback": {"modes": {"critical": {"mode": "countdown", "countdown": "1s"}}},
            }
        },
        "endpoints": {
            "page": often,
            "checkout": often,
            "search": {
                **often,
                "latency": {
                    "p95": {
                        "lt": "100ms",
                        "window": "1s",
                        "min_samples": 1,
                        "failure_threshold": 1,
                    }
                },
            },
        },
    }
    path = folder / "overlay.yml"
    path.write_text(yaml.safe_dump(changes))

    return str(path)


async def deploy_what_is_bad(running: Daemon, shop: Shop, path: str) -> None:
    await until_passing(running)
    await announce(running, "site")
    if path == "/search":
        shop.delays[path] = 0.15
    else:
        shop.statuses[path] = 500


@pytest.mark.parametrize(
    ("path", "story"),
    [
        pytest.param("/", [("rollback", "countdown"), ("rollback", "verifying")], id="critical"),
        pytest.param("/checkout", [("remedy", "verifying"), ("rollback", "verifying")], id="high"),
        pytest.param("/search", [("rollback", "awaiting")], id="medium"),
    ],
)
async def test_how_bad_it_is_decides_what_is_done(
    path: str, story: list[tuple[str, str]], tmp_path: Path
) -> None:
    async with open_shop() as shop, serve_receiver() as fix, serve_receiver() as restore:
        shop.headers = {"x-release": "1.0"}
        environ = {
            "SITE_URL": shop.url,
            "FIX_URL": fix.url("/fix"),
            "FIX_SECRET": "fix-canary-2f7c51aa",
            "RESTORE_URL": restore.url("/restore"),
            "RESTORE_SECRET": "restore-canary-81d04e",
            "SLACK_WEBHOOK_URL": restore.url("/slack"),
        }
        async with daemon(
            tmp_path, "--config", overlay(tmp_path), config=str(EXAMPLE), environ=environ
        ) as running:
            await deploy_what_is_bad(running, shop, path)
            for kind, state in story:
                await running.until(
                    lambda status, kind=kind, state=state: any(  # type: ignore[misc]  # bound now
                        (one["kind"], one["state"]) == (kind, state)
                        for one in find_rollbacks(status, "site")
                    )
                )

    assert done(fix, "/fix") == (1 if ("remedy", "verifying") in story else 0)
    assert done(restore, "/restore") == (1 if ("rollback", "verifying") in story else 0)


def done(receiver: Receiver, path: str) -> int:
    return sum(one.path == path for one in receiver.received)
