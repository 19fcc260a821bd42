"""A run as people see it on a terminal: progress while it takes long, a narrow screen, color."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.program import run
from tests.support.servers import unused_port
from tests.support.terminal import run_on_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shop import Shop


def configure(folder: Path, shop: Shop, *, timeout: str = "3s") -> None:
    (folder / "monitor.yml").write_text(
        "endpoints:\n"
        f"  shop: {{url: '{shop.url}/', timeout: {timeout}}}\n"
        f"  gone: http://127.0.0.1:{unused_port()}/\n"
    )


async def test_progress_is_shown_once_a_run_takes_more_than_a_second(
    shop: Shop, tmp_path: Path
) -> None:
    shop.delay = 1.6
    configure(tmp_path, shop)

    seen = await run_on_terminal("--cycles", "1", "--no-state", cwd=tmp_path)

    assert seen.code == 1
    assert "round 1 of 1: 1 of 2 endpoints" in seen.raw
    assert "\x1b[2K" in seen.raw
    assert seen.raw.index("endpoints") < seen.raw.index("pass")


async def test_progress_tells_of_the_wait_between_rounds(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)

    seen = await run_on_terminal(
        *("--cycles", "2", "--every", "1500ms", "--no-state"), cwd=tmp_path
    )

    assert "round 1 of 2 is done, the next is to come" in seen.raw


async def test_a_quick_run_shows_only_its_result(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)

    seen = await run_on_terminal("--cycles", "1", "--no-state", cwd=tmp_path)

    assert "\x1b[2K" not in seen.raw
    assert seen.text.startswith("✔ pass     shop.health")


async def test_nothing_but_the_result_where_nobody_looks(shop: Shop, tmp_path: Path) -> None:
    shop.delay = 1.3
    configure(tmp_path, shop)

    ended = await run(
        "--cycles", "1", "--no-state", "--endpoint", "shop", cwd=tmp_path, environ={"NO_COLOR": ""}
    )

    assert ended.err == ""
    assert "\x1b" not in ended.out


async def test_a_run_reads_well_at_80_columns(shop: Shop, tmp_path: Path) -> None:
    shop.database = "a very long state " * 10
    (tmp_path / "monitor.yml").write_text(
        "endpoints:\n  storefront-homepage-of-the-shop:\n"
        f"    url: {shop.url}/\n    health:\n      expect:\n"
        "        - {json: $.database.status, equals: connected}\n"
    )

    seen = await run_on_terminal("--cycles", "1", "--no-state", cwd=tmp_path)

    lines = seen.text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("✘ FAIL     storefront-homepage-of-the-shop.health")
    assert lines[1].startswith('           json $.database.status is "a very long')


@pytest.mark.parametrize("environ", [{}, {"NO_COLOR": "1"}])
async def test_color_is_for_terminals_that_want_it(
    shop: Shop, tmp_path: Path, environ: dict[str, str]
) -> None:
    configure(tmp_path, shop)

    run_seen = await run_on_terminal(
        "--cycles", "1", "--endpoint", "shop", cwd=tmp_path, environ=environ
    )
    status_seen = await run_on_terminal("status", cwd=tmp_path, environ=environ)

    assert ("\x1b[1;32m✔ pass" in run_seen.raw) is not bool(environ)
    assert ("\x1b[1;32m✔ pass" in status_seen.raw) is not bool(environ)
