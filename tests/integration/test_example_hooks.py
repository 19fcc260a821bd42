"""The rollback hooks of the examples by themselves: what they answer when a provider does not."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.authority import Authority
from tests.support.providers import (
    BAD,
    GOOD,
    NETLIFY_SITE,
    NETLIFY_TOKEN,
    RAILWAY_PLACE,
    RAILWAY_TOKEN,
    serve_netlify,
    serve_railway,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

HOOKS = Path(__file__).parents[2] / "config/examples/hooks"


async def run_hook(name: str, environ: Mapping[str, str]) -> tuple[int, str]:
    """Run a hook by itself; give its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HOOKS / name),
        env={"PATH": os.environ["PATH"], **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None

    return process.returncode, out.decode()


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        pytest.param({}, 0, "restored deploy deploy-1", id="all is well"),
        pytest.param({"MONITOR_TO_VERSION": GOOD[:7]}, 0, "restored", id="a short commit"),
        pytest.param({"MONITOR_TO_VERSION": ""}, 75, "no last known good", id="no version"),
        pytest.param({"MONITOR_TO_VERSION": "f" * 40}, 1, "no deploy of commit", id="unknown"),
        pytest.param({"NETLIFY_AUTH_TOKEN": "old"}, 75, "401: Access Denied", id="bad token"),
        pytest.param({"NETLIFY_SITE": "other"}, 75, "404: Not Found", id="unknown site"),
        pytest.param({"NETLIFY_AUTH_TOKEN": ""}, 75, "NETLIFY_AUTH_TOKEN is not", id="no token"),
        pytest.param({"NETLIFY_API": "http://127.0.0.1:9"}, 75, "refused", id="unreachable"),
    ],
)
async def test_the_netlify_hook_says_whether_anything_was_applied(
    changed: dict[str, str], code: int, said: str, tmp_path: Path
) -> None:
    async with serve_netlify(Authority(tmp_path).context()) as netlify:
        environ = {
            "NETLIFY_API": netlify.api,
            "NETLIFY_AUTH_TOKEN": NETLIFY_TOKEN,
            "NETLIFY_SITE": NETLIFY_SITE,
            "MONITOR_TO_VERSION": GOOD,
            **changed,
        }
        ended, printed = await run_hook("netlify-restore", environ)

    assert (ended, netlify.restored) == (code, ["deploy-1"] if code == 0 else [])
    assert said in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("changed", "refuses", "code", "said"),
    [
        pytest.param({}, "", 0, "rolled back to deployment deployment-1", id="all is well"),
        pytest.param({}, "Deployment not found", 1, "Deployment not found", id="refused"),
        pytest.param({"RAILWAY_TOKEN": "old"}, "", 75, "Not Authorized", id="bad token"),
        pytest.param({"RAILWAY_SERVICE": ""}, "", 75, "RAILWAY_SERVICE is not set", id="no id"),
        pytest.param({"MONITOR_TO_VERSION": "short"}, "", 75, "no last known", id="no commit"),
        pytest.param({"MONITOR_TO_VERSION": BAD}, "", 1, "no deployment of", id="the live one"),
    ],
)
async def test_the_railway_hook_says_whether_anything_was_applied(
    changed: dict[str, str], refuses: str, code: int, said: str
) -> None:
    async with serve_railway() as railway:
        railway.active, railway.refuses = "deployment-2", refuses
        environ = {
            "RAILWAY_API": f"{railway.url}/graphql/v2",
            "RAILWAY_TOKEN": RAILWAY_TOKEN,
            "MONITOR_TO_VERSION": GOOD,
            **RAILWAY_PLACE,
            **changed,
        }
        ended, printed = await run_hook("railway-rollback", environ)

    assert (ended, railway.rolled_back_to) == (code, ["deployment-1"] if code == 0 else [])
    assert said in printed
    assert "Traceback" not in printed
