"""The sentence of the runbooks "10 attempts, 10 s apart", as the command says it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.program import run
from tests.support.shop import open_shop
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

APART: Final = int(os.environ.get("ATTEMPTS_APART") or 2)
"""So many seconds lie between two attempts; 10 are those of the runbooks."""

CONFIG = """\
endpoints:
  api: {url: "%s/health", health: {failure_threshold: 10}}
"""


async def test_10_attempts_so_far_apart_end_with_the_first_that_passes(tmp_path: Path) -> None:
    async with open_shop() as shop:
        (tmp_path / "monitor.yml").write_text(CONFIG % shop.url)
        shop.status = 500
        attempts = ("--cycles", "10", "--every", f"{APART}s", "--until", "pass")
        running = asyncio.create_task(run(*attempts, cwd=tmp_path))
        await until(lambda: shop.asked == 1)
        shop.status = 200
        ended = await running

    first, second = shop.times["/health"]
    assert second - first == pytest.approx(APART, abs=0.5)
    assert ended.code == 0


async def test_after_10_attempts_none_of_which_passed_it_has_failed(tmp_path: Path) -> None:
    async with open_shop() as shop:
        (tmp_path / "monitor.yml").write_text(CONFIG % shop.url)
        shop.status = 500
        attempts = ("--cycles", "10", "--every", "50ms", "--until", "pass", "--output", "json")
        ended = await run(*attempts, cwd=tmp_path)

    assert (shop.asked, ended.code) == (10, 1)
    (check,) = ended.json()["checks"]
    assert (check["consecutive_failures"], check["state"]) == (10, "fail")
