"""The notifier and the evidence of the examples by themselves: what they say of each answer."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.notice import NoticeEvent
from monitor.notifiers._payload import payload
from tests.support.github import REPOSITORY, TOKEN, serve_github
from tests.support.notices import make_delivery, make_notice
from tests.support.receiver import answers, serve_receiver

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery
    from tests.support.github import FakeGitHub

HOOKS = Path(__file__).parents[2] / "config/examples/hooks"


async def run_hook(name: str, said: bytes = b"", **environ: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HOOKS / name),
        env={"PATH": os.environ["PATH"], **environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate(said)
    assert process.returncode is not None

    return process.returncode, out.decode()


async def tell(github: FakeGitHub, delivery: Delivery, **environ: str) -> tuple[int, str]:
    named = {"GITHUB_API": github.api, "GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": REPOSITORY}

    return await run_hook("open-task", json.dumps(payload(delivery)).encode(), **named | environ)


async def test_a_task_is_opened_once_and_each_change_is_one_comment() -> None:
    over = make_delivery(make_notice(NoticeEvent.RESOLVED, headline="it is ```over```"))
    async with serve_github() as github:
        said = [await tell(github, one) for one in (make_delivery(), make_delivery(), over, over)]

    assert [code for code, _ in said] == [0, 0, 0, 0]
    assert [issue["title"] for issue in github.issues] == ["Incident: shop (high)"]
    assert len(github.comments[1]) == 1
    assert github.comments[1][0]["body"].count("```") == 2


async def test_a_test_opens_no_task() -> None:
    async with serve_github() as github:
        code, _ = await tell(github, make_delivery(make_notice(NoticeEvent.TEST)))

    assert (code, github.issues) == (0, [])


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [
        (500, {}, 75),
        (429, {}, 75),
        (401, {}, 77),
        (403, {}, 77),
        (403, {"Retry-After": "5"}, 75),
        (403, {"X-RateLimit-Remaining": "0"}, 75),
    ],
)
async def test_what_may_pass_is_told_apart(status: int, headers: dict[str, str], code: int) -> None:
    async with serve_github() as github:
        github.faults.append((status, headers))
        ended, said = await tell(github, make_delivery())

    assert (ended, f"GitHub answers {status}" in said) == (code, True)


async def test_nobody_there_is_tried_again() -> None:
    async with serve_github() as github:
        code, said = await tell(github, make_delivery(), GITHUB_API="http://127.0.0.1:9")

    assert (code, "GitHub cannot be asked" in said) == (75, True)


async def test_of_the_logs_the_end_is_printed() -> None:
    lines = "\n".join(f"line {number}" for number in range(500))
    async with serve_receiver(answers(200, lines), answers(503, "")) as logs:
        environ = {"LOGS_URL": logs.url(), "LOGS_TOKEN": "logs-canary"}
        good = await run_hook("recent-logs", b"", **environ)
        bad = await run_hook("recent-logs", b"", **environ)

    assert good == (0, "\n".join(f"line {number}" for number in range(300, 500)) + "\n")
    assert bad == (1, "the logs cannot be read: answered 503\n")
