"""The installed program among faults: hanging targets, and a folder too deep for a socket."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tests.support.program import daemon, run
from tests.support.servers import say_nothing, serve_script
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shop import Shop


async def test_a_hundred_hanging_targets_delay_no_healthy_one(shop: Shop, tmp_path: Path) -> None:
    async with serve_script(say_nothing) as silent:
        hanging = {
            f"hangs-{number}": {"url": silent.url(f"/{number}"), "every": "10s", "timeout": "9s"}
            for number in range(100)
        }
        config = {
            "web": {"listen": "127.0.0.1:${PORT}"},
            "endpoints": {
                **hanging,
                "shop": {"url": shop.url, "every": "200ms", "timeout": "200ms"},
            },
        }
        (tmp_path / "monitor.yml").write_text(json.dumps(config))
        config["endpoints"] = {"shop": {"url": shop.url, "every": "200ms", "timeout": "200ms"}}
        (tmp_path / "ready.yml").write_text(json.dumps(config))

        # Ready means that the first round is done, so the hanging ones come by a reload.
        (tmp_path / "now.yml").write_text((tmp_path / "ready.yml").read_text())
        async with daemon(tmp_path, config="now.yml") as running:
            (tmp_path / "now.yml").write_text((tmp_path / "monitor.yml").read_text())
            running.hang_up()
            await until(lambda: silent.connections == 100)
            asked = shop.asked
            begin = asyncio.get_running_loop().time()
            await until(lambda: shop.asked >= asked + 10)
            took = asyncio.get_running_loop().time() - begin
            status = await running.status()
            hung = silent.connections

    healthy = next(one for one in status["checks"] if one["check"] == "shop.health")
    assert hung == 100, "all of them still hang"
    assert took < 4, "ten intervals are two seconds"
    assert healthy["verdict"] == "pass"


async def test_a_path_that_is_too_long_for_a_socket_keeps_no_command_from_the_store(
    shop: Shop, tmp_path: Path
) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    (folder / "monitor.yml").write_text(json.dumps({"endpoints": {"shop": shop.url}}))

    checked = await run("--cycles", "1", cwd=folder)
    told = await run("deploy", "shop", "--version", "2.0", cwd=folder)
    status = await run("status", cwd=folder)

    assert checked.code == 0, checked.err
    assert told.code == 0, told.err
    assert status.code == 0, status.err
