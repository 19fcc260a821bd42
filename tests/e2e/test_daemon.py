"""The daemon: ready, reload, drain, one owner, and what survives the end of the process."""

from __future__ import annotations

import asyncio
import fcntl
import json
import signal
import stat
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.support.program import daemon, run, start
from tests.support.servers import unused_port
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shop import Shop

ANY = {"PORT": "1"}
"""The port of a command that listens on none."""

CONFIG = """
web: {{listen: "127.0.0.1:${{PORT}}"}}
defaults: {{every: 200ms, retry_every: 100ms, timeout: 150ms}}
notifiers: {{log: {{log: {{}}}}}}
endpoints:
  shop:
    url: {url}/
    health: {{failure_threshold: {threshold}}}
"""


def configure(folder: Path, shop: Shop, threshold: int = 3, more: str = "") -> None:
    (folder / "monitor.yml").write_text(CONFIG.format(url=shop.url, threshold=threshold) + more)


async def test_it_opens_tells_and_resolves(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    async with daemon(tmp_path) as running:
        shop.status = 503
        opened = await running.until(lambda status: status["incidents"])
        shop.status = 200
        await running.until(lambda status: status["incidents"][0]["resolved_at"])
        await until(lambda: "resolved" in running.said())

        assert opened["incidents"][0]["checks"][0]["reasons"][0]["code"] == "status"
        assert await running.stop() == 0
        assert "Traceback" not in running.said()


async def test_it_says_at_its_start_whom_it_tells_and_where_its_page_is(
    shop: Shop, tmp_path: Path
) -> None:
    configure(tmp_path, shop)
    async with daemon(tmp_path) as running:
        await until(lambda: "started" in running.said())
        (line,) = (one for one in running.said().splitlines() if " started " in one)

    assert "notifiers=log" in line
    assert f"page={running.url}/" in line


async def test_counts_and_incidents_survive_a_kill(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop, threshold=3)
    shop.status = 503
    async with daemon(tmp_path) as running:
        before = await running.until(lambda status: status["incidents"])
        await running.stop(signal.SIGKILL)

    async with daemon(tmp_path) as running:
        after = await running.status()

    assert [one["id"] for one in after["incidents"]] == [one["id"] for one in before["incidents"]]
    assert after["checks"][0]["state"] == "fail"
    assert after["checks"][0]["consecutive_failures"] > 3


async def test_a_second_daemon_is_told_who_holds_the_store(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    async with daemon(tmp_path) as running:
        second = await run(
            "run", "--config", "monitor.yml", cwd=tmp_path, environ={"PORT": str(unused_port())}
        )
        oneshot = await run("--cycles", "1", cwd=tmp_path, environ={"PORT": "1"})
        without = await run("--cycles", "1", "--no-state", cwd=tmp_path, environ={"PORT": "1"})

        for refused in (second, oneshot):
            assert refused.code == 2
            assert f"(pid {running.process.pid}, since" in refused.err
        assert without.code == 0


async def test_a_port_that_is_taken_is_said(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)

    ended = await run(cwd=tmp_path, environ={"PORT": str(shop.port)})

    assert ended.code == 2
    assert f"cannot listen on 127.0.0.1:{shop.port}: " in ended.err
    assert "Traceback" not in ended.err


async def test_a_good_reload_watches_what_is_new_and_keeps_what_is_counted(
    shop: Shop, tmp_path: Path
) -> None:
    configure(tmp_path, shop, threshold=3)
    shop.status = 503
    async with daemon(tmp_path) as running:
        before = await running.until(lambda status: status["incidents"])
        configure(tmp_path, shop, threshold=4, more=f"  other: {shop.url}/other\n")
        running.hang_up()
        after = await running.until(lambda status: len(status["checks"]) == 2)

    assert after["incidents"][0]["id"] == before["incidents"][0]["id"]
    assert after["incidents"][0]["resolved_at"] is None


async def test_a_bad_reload_changes_nothing_and_says_every_mistake(
    shop: Shop, tmp_path: Path
) -> None:
    configure(tmp_path, shop)
    async with daemon(tmp_path) as running:
        configure(tmp_path, shop, more="  other: {url: 5, evry: 3s}\n")
        running.hang_up()
        await until(lambda: "reload_refused" in running.said())
        _, metrics = await running.get("/metrics")
        status = await running.status()

        assert "evry" in running.said()
        assert "production_monitor_config_last_reload_successful 0.0" in metrics
        assert [check["check"] for check in status["checks"]] == ["shop.health"]


async def test_a_removed_endpoint_leaves_its_incident_and_the_metrics(
    shop: Shop, tmp_path: Path
) -> None:
    configure(tmp_path, shop, more="  gone: http://127.0.0.1:1/\n")
    async with daemon(tmp_path) as running:
        await running.until(lambda status: status["incidents"])
        configure(tmp_path, shop)
        running.hang_up()
        status = await running.until(lambda status: status["incidents"][0]["resolved_at"])
        _, metrics = await running.get("/metrics")

    assert "no longer configured" in status["incidents"][0]["timeline"][-1]["text"]
    assert 'endpoint="gone"' not in metrics


async def test_it_stops_while_a_probe_hangs_and_blames_nobody(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    text = (tmp_path / "monitor.yml").read_text()
    (tmp_path / "monitor.yml").write_text(
        text.replace("every: 200ms", "every: 5s", 1).replace("timeout: 150ms", "timeout: 4s", 1)
    )
    async with daemon(tmp_path) as running:
        shop.delay = 60
        asked = shop.asked
        await until(lambda: shop.asked > asked)

        assert await running.stop() == 0

    shop.delay = 0
    ended = await run("status", "--output", "json", cwd=tmp_path, environ={"PORT": "1"})
    assert ended.json()["checks"][0]["consecutive_failures"] <= 1


async def test_the_second_signal_to_stop_is_to_hurry(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    text = (tmp_path / "monitor.yml").read_text()
    (tmp_path / "monitor.yml").write_text(
        text.replace("every: 200ms", "every: 30s", 1).replace("timeout: 150ms", "timeout: 25s", 1)
    )
    async with daemon(tmp_path) as running:
        shop.delay = 60
        asked = shop.asked
        text = (tmp_path / "monitor.yml").read_text()
        (tmp_path / "monitor.yml").write_text(text.replace("every: 30s", "every: 29s", 1))
        running.hang_up()  # another interval: the endpoint is asked at once
        await until(lambda: shop.asked > asked)
        running.process.send_signal(signal.SIGTERM)
        await until(lambda: " stopping" in running.said())
        running.hang_up()
        began = monotonic()

        assert await running.stop() == 0
        assert monotonic() - began < 6, "the probe alone would have had ten seconds"
        assert running.said().count(" reloaded ") == 1


async def test_a_log_that_nobody_reads_stops_nothing(shop: Shop, tmp_path: Path) -> None:
    """Its pipe fills up, then its reader goes away: probing, telling and stopping go on."""
    configure(tmp_path, shop, threshold=1)
    port = unused_port()
    process = await start(
        "run",
        "--config",
        "monitor.yml",
        cwd=tmp_path,
        environ={"PORT": str(port), "MONITOR_LOG_LEVEL": "debug"},
    )
    assert process.stderr is not None
    pipe = process.stderr._transport.get_extra_info("pipe")  # type: ignore[attr-defined]  # no other way to it
    process.stderr._transport.pause_reading()  # type: ignore[attr-defined]  # no other way to it
    try:
        await until(lambda: shop.asked > 2)
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        for status in (503, 200) * 5:
            shop.status = status
            goal = shop.asked + 2
            while shop.asked < goal:
                await asyncio.sleep(0.02)
        process.stderr._transport.close()  # type: ignore[attr-defined]  # no other way to it
        asked = shop.asked
        await until(lambda: shop.asked > asked + 2)
        process.send_signal(signal.SIGTERM)

        async with asyncio.timeout(15):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_status_and_deploy_go_through_the_control_socket(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    async with daemon(tmp_path):
        socket = tmp_path / ".production-monitor/control.sock"
        told = await run(
            "deploy",
            "shop",
            "--version",
            "1.5",
            "--commit",
            "abc",
            cwd=tmp_path,
            environ={"PORT": "1"},
        )
        typo = await run("deploy", "shopp", "--version", "1", cwd=tmp_path, environ={"PORT": "1"})
        status = await run("status", "--output", "json", cwd=tmp_path, environ={"PORT": "1"})

        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert (told.code, told.out.startswith("shop 1.5: finished")) == (0, True)
        assert (typo.code, "did you mean shop?" in typo.err) == (2, True)
        assert status.json()["deploys"][0]["commit"] == "abc"

    async with asyncio.timeout(15):
        while True:
            alone = await run("status", cwd=tmp_path, environ={"PORT": "1"})
            if alone.code != 0:  # what was seen half a second ago is still believed
                break
    assert alone.code == 3, "nobody watches, so nothing is known"
    assert "shop.health" in alone.out


async def test_changes_over_http_need_a_token_with_the_scope(shop: Shop, tmp_path: Path) -> None:
    tokens = (
        "tokens:\n    - {name: ci, scope: deploy, token: deploy-token-1}\n"
        "    - {name: on-call, scope: operate, token: operate-token-1}\n"
    )
    configure(tmp_path, shop)
    text = (tmp_path / "monitor.yml").read_text()
    (tmp_path / "monitor.yml").write_text(
        text.replace(
            'web: {listen: "127.0.0.1:${PORT}"}',
            f'web:\n  listen: "127.0.0.1:${{PORT}}"\n  {tokens}',
        )
    )
    marker = {"service": "shop", "version": "2.0"}

    def bearer(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    async with daemon(tmp_path) as running:
        nobody, _ = await running.post("/api/v1/deploys", json=marker)
        wrong, _ = await running.post("/api/v1/deploys", json=marker, headers=bearer("wrong"))
        told, body = await running.post(
            "/api/v1/deploys", json=marker, headers=bearer("deploy-token-1")
        )
        low, why = await running.post("/-/reload", headers=bearer("deploy-token-1"))
        reloaded, _ = await running.post("/-/reload", headers=bearer("operate-token-1"))
        remote = await run(
            "deploy",
            "shop",
            "--version",
            "2.1",
            "--server",
            running.url,
            cwd=tmp_path,
            environ={"MONITOR_TOKEN": "deploy-token-1"},
        )

        assert (nobody, wrong, told, low, reloaded) == (401, 401, 200, 403, 200)
        assert json.loads(body)["version"] == "2.0"
        assert "scope deploy, this needs operate" in why
        assert remote.code == 0, remote.err
        assert "deploy-token-1" not in running.said()


async def test_without_tokens_changes_over_http_are_refused(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    async with daemon(tmp_path) as running:
        code, body = await running.post("/-/reload")

    assert code == 403
    assert "none is configured" in body


async def test_systemd_is_told_of_the_start_each_reload_and_the_end(
    shop: Shop, tmp_path: Path
) -> None:
    import socket

    configure(tmp_path, shop)
    text = (tmp_path / "monitor.yml").read_text()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20)

        def heard() -> bytes:
            return next(said for said in iter(lambda: notify.recv(1000), b"") if b"DOG" not in said)

        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
        async with daemon(tmp_path, environ=environ) as running:
            start = {notify.recv(1000), notify.recv(1000)}
            running.hang_up()
            reload = [heard(), heard()]
            (tmp_path / "monitor.yml").write_text("endpoints: 5")
            running.hang_up()
            refused = [heard(), heard()]
            (tmp_path / "monitor.yml").write_text(f"store: sqlite:///other.db\n{text}")
            running.hang_up()
            due = [heard(), heard()]
            await running.stop()
            stopping = heard()

    assert start == {b"READY=1\nSTATUS=endpoints watched: 1", b"WATCHDOG=1"}
    assert reload[0].startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    assert reload[1] == b"READY=1\nSTATUS=endpoints watched: 1"
    assert refused[1].startswith(b"READY=1\nSTATUS=the last reload was refused: monitor.yml:1:")
    restart = b"store was changed: a restart takes it over"
    assert due[1] == b"READY=1\nSTATUS=" + restart + b"; endpoints watched: 1"
    assert stopping == b"STOPPING=1\nSTATUS="


async def test_a_store_that_cannot_be_written_later_stops_no_probe(
    shop: Shop, tmp_path: Path
) -> None:
    """The database is locked by somebody else: probing and telling go on, and it recovers."""
    import sqlite3

    configure(tmp_path, shop)
    async with daemon(tmp_path) as running:
        other = sqlite3.connect(tmp_path / ".production-monitor/monitor.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        shop.status = 503
        await running.until(lambda status: len(status["incidents"]) == 2)
        asked = shop.asked
        await until(lambda: shop.asked > asked + 2)
        await until(lambda: "answers 503" in running.said())
        other.execute("ROLLBACK")
        other.close()
        shop.status = 200
        await running.until(lambda status: all(one["resolved_at"] for one in status["incidents"]))

        assert await running.stop() == 0


async def test_a_shell_that_knows_only_the_store_finds_the_daemon(
    shop: Shop, tmp_path: Path
) -> None:
    """Under systemd the socket is in a directory that no shell's environment names."""
    configure(tmp_path, shop, more=f"store: sqlite:///{tmp_path}/state/monitor.db\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runtime").mkdir()
    args = ("--config", str(tmp_path / "monitor.yml"))
    async with daemon(
        tmp_path, environ={"RUNTIME_DIRECTORY": str(tmp_path / "runtime")}
    ) as running:
        told = await run(
            "deploy", "shop", "--version", "7", *args, cwd=tmp_path / "elsewhere", environ=ANY
        )
        status = await running.status()
        await running.stop(signal.SIGKILL)

    alone = await run("status", *args, cwd=tmp_path / "elsewhere", environ=ANY)

    assert told.code == 0, told.err
    assert [deploy["version"] for deploy in status["deploys"]] == ["7"]
    assert "no monitor runs on" in alone.err
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("command", [["status"], ["deploy", "shop", "--version", "1"]])
async def test_a_command_makes_no_store_of_its_own(
    shop: Shop, tmp_path: Path, command: list[str]
) -> None:
    configure(tmp_path, shop)

    ended = await run(*command, cwd=tmp_path, environ=ANY)

    assert ended.code == 2
    assert "nothing is known yet" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["monitor.yml"]
