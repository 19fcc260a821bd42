"""`status` and `deploy`: of the store that nobody holds, of a daemon, and of one elsewhere."""

from __future__ import annotations

import re
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.program import daemon, run
from tests.support.servers import unused_port
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shop import Shop

TOKEN = "canary-0123456789abcdef0123"


def configure(folder: Path, shop: Shop) -> None:
    (folder / "monitor.yml").write_text(
        "web:\n  listen: 127.0.0.1:${PORT:-9797}\n"
        f"  tokens: [{{name: ci, scope: deploy, token: {TOKEN}}}]\n"
        "defaults: {every: 30s, retry_every: 100ms, timeout: 400ms, failure_threshold: 2}\n"
        f"endpoints:\n  shop: {shop.url}/\n"
    )


async def test_a_store_that_nobody_holds_is_read_as_it_is(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    shop.status = 500
    fresh = await run("status", cwd=tmp_path)
    await run("--cycles", "2", "--every", "50ms", cwd=tmp_path)
    text = await run("status", cwd=tmp_path)
    found = (await run("status", "--output", "json", cwd=tmp_path)).json()

    assert fresh.code == 2
    assert "nothing is known yet" in fresh.err
    assert re.search(r"this is what was known last, \d+s ago", text.err)
    assert text.code == 1
    assert text.out.startswith("✘ FAIL     shop.health  status is 500, expected 2xx\n")
    assert "shop: outage, high, investigating" in text.out
    assert text.out.endswith("1 check, 1 open incident\n")
    assert found["verdict"] == "fail"
    assert len(found["incidents"]) == 1


async def test_what_was_known_last_needs_no_variables_of_the_service(
    shop: Shop, tmp_path: Path
) -> None:
    configure(tmp_path, shop)
    shop.status = 500
    written = (tmp_path / "monitor.yml").read_text()
    (tmp_path / "monitor.yml").write_text(
        f"notifiers: {{oncall: {{slack: {{webhook_url: '${{HOOK}}'}}}}}}\n{written}"
        "  stock: ${STOCK_URL}\n  cart: {url: 'http://127.0.0.1:9/', every: '${EVERY}'}\n"
    )
    hook = f"http://127.0.0.1:{unused_port()}/"
    known = {"HOOK": hook, "STOCK_URL": f"{shop.url}/stock", "EVERY": "30s"}
    await run("--cycles", "2", "--every", "50ms", cwd=tmp_path, environ=known)

    seen = await run("status", cwd=tmp_path)
    refused = await run("deploy", "shop", "--version", "1", cwd=tmp_path)

    assert seen.code == 1, seen.err
    assert "shop: outage, high, investigating" in seen.out
    assert "variable HOOK is not set: export it, and 2 more; nothing is known here of" in seen.err
    assert "this is what was known last" in seen.err
    assert refused.code == 2


async def test_to_look_at_a_damaged_store_changes_nothing_about_it(
    shop: Shop, tmp_path: Path
) -> None:
    configure(tmp_path, shop)
    await run("--cycles", "1", cwd=tmp_path)
    folder = tmp_path / ".production-monitor"
    (folder / "monitor.db").write_bytes(b"no database" * 1000)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    seen = await run("status", cwd=tmp_path)

    assert seen.code == 2
    assert "cannot read the store: file is not a database; nothing was changed" in seen.err
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


async def test_what_a_killed_daemon_left_is_looked_at_and_left(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    shop.status = 500
    async with daemon(tmp_path) as running:
        await running.until(lambda status: bool(status["incidents"]))
        await running.stop(signal.SIGKILL)
    log = tmp_path / ".production-monitor/monitor.db-wal"
    left = log.stat()

    seen = await run("status", cwd=tmp_path)

    assert "shop: outage" in seen.out
    assert (log.stat().st_size, log.stat().st_mtime_ns) == (left.st_size, left.st_mtime_ns)


@pytest.mark.parametrize("lost", ["the socket", "the whole folder"])
async def test_a_control_socket_that_was_taken_away_is_opened_again(
    shop: Shop, tmp_path: Path, lost: str
) -> None:
    configure(tmp_path, shop)
    folder = tmp_path / ".production-monitor"
    async with daemon(tmp_path) as running:
        if lost == "the socket":
            (folder / "control.sock").unlink()
        else:
            shutil.rmtree(folder)
        await until(lambda: "control_socket_opened_again" in running.said())
        told = await run("deploy", "shop", "--version", "2.0", cwd=tmp_path)
        status = await run("status", cwd=tmp_path)
        assert await running.stop() == 0

    assert told.code == 0, told.err
    assert status.err == ""
    assert not (folder / "control.sock").exists()


async def test_a_deploy_is_written_into_a_store_that_nobody_holds(
    shop: Shop, tmp_path: Path
) -> None:
    configure(tmp_path, shop)
    await run("--cycles", "1", cwd=tmp_path)

    ended = await run(
        *("deploy", "shop", "--version", "1.5.0", "--id", "build-7", "--commit", "abc1234"),
        cwd=tmp_path,
    )
    (deploy,) = (await run("status", "--output", "json", cwd=tmp_path)).json()["deploys"]

    assert ended.code == 0, ended.err
    assert ended.out.startswith("shop 1.5.0: ")
    assert "build-7" in ended.out
    assert "for the next run" in ended.err
    assert (deploy["version"], deploy["id"], deploy["commit"]) == ("1.5.0", "build-7", "abc1234")


async def test_a_monitor_elsewhere_is_asked_with_a_token(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    async with daemon(tmp_path) as running:
        there = ("--server", running.url)
        seen = await run("status", *there, cwd=elsewhere)
        told = await run(
            *("deploy", "shop", "--version", "2.0", *there),
            cwd=elsewhere,
            environ={"MONITOR_TOKEN": TOKEN},
        )
        refused = await run("deploy", "shop", "--version", "2.0", *there, cwd=elsewhere)
        wrong = await run(
            *("deploy", "shpo", "--version", "2.0", *there),
            cwd=elsewhere,
            environ={"MONITOR_TOKEN": TOKEN},
        )

    assert seen.code == 0, seen.err
    assert "shop.health" in seen.out
    assert told.code == 0, told.err
    assert told.out.startswith("shop 2.0: ")
    assert refused.code == 2
    assert refused.err.startswith(f"{running.url}: ")
    assert wrong.code == 2
    assert "shpo" in wrong.err
    assert TOKEN not in seen.out + told.out + refused.err + wrong.err
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("command", [("status",), ("deploy", "shop", "--version", "1")])
async def test_a_monitor_that_is_not_there_is_said(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{unused_port()}"

    ended = await run(*command, "--server", url, cwd=tmp_path)

    assert ended.code == 2
    assert ended.err == f"{url}: Connection refused\n"


async def test_an_unknown_service_is_said(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    await run("--cycles", "1", cwd=tmp_path)

    ended = await run("deploy", "shpo", "--version", "1", cwd=tmp_path)

    assert ended.code == 2
    assert "shpo" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"MONITOR_LOG_LEVEL": "loud"}, "MONITOR_LOG_LEVEL: expected one of"),
        ({"MONITOR_LOG_FORMAT": "xml"}, "MONITOR_LOG_FORMAT: expected json or text"),
        ({"MONITOR_CYCLES": "many"}, "MONITOR_CYCLES: expected a whole number from 1"),
    ],
)
async def test_a_wrong_variable_is_said(
    environ: dict[str, str], said: str, shop: Shop, tmp_path: Path
) -> None:
    configure(tmp_path, shop)

    ended = await run(cwd=tmp_path, environ={"MONITOR_CYCLES": "1"} | environ)

    assert ended.code == 2
    assert said in ended.err
