"""Heartbeats of a real daemon: pings as curl sends them, and what comes when they do not come."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.support.program import daemon, run
from tests.support.receiver import serve_receiver
from tests.support.stored import held_by_another
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.program import Daemon

KEY = "kkkk-1111-2222-3333"
OTHER = "oooo-1111-2222-3333"
CONFIG = """
web: {{listen: "127.0.0.1:${{PORT}}"}}
endpoints:
  backup:
    every: 200ms
    heartbeat: {{period: {period}, grace: {grace}, key: kkkk-1111-2222-3333}}
  report:
    every: 200ms
    heartbeat: {{cron: "0 2 * * *", timezone: Europe/Madrid, key: oooo-1111-2222-3333}}
"""


def configure(folder: Path, *, period: str = "1h", grace: str = "10m", more: str = "") -> None:
    (folder / "monitor.yml").write_text(CONFIG.format(period=period, grace=grace) + more)


def check(status: dict[str, Any], name: str = "backup.health") -> dict[str, Any]:
    (found,) = [one for one in status["checks"] if one["check"] == name]

    return dict(found)


def outages(status: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what is blamed on a job, and not on the monitor."""
    return [one for one in status["incidents"] if one["class"] == "outage"]


async def until_verdict(running: Daemon, verdict: str) -> dict[str, Any]:
    """Wait for what is said of the backup."""
    return check(
        await running.until(lambda status: check(status)["verdict"] == verdict, f"a {verdict}")
    )


async def test_a_ping_that_does_not_come_opens_at_once_and_the_next_resolves(
    tmp_path: Path,
) -> None:
    async with serve_receiver() as alerts:
        more = f'notifiers: {{alerts: {{webhook: {{url: "{alerts.url()}"}}}}}}\n'
        configure(tmp_path, period="1s", grace="1s", more=more)
        async with daemon(tmp_path) as running:
            assert check(await running.status())["verdict"] == "waiting"
            assert await running.get(f"/ping/{KEY}") == (200, "ok\n")
            healthy = await until_verdict(running, "pass")
            missed = await until_verdict(running, "fail")
            (opened,) = await alerts.wait_for(1)
            assert await running.get(f"/ping/{KEY}") == (200, "ok\n")
            (_, resolved) = await alerts.wait_for(2)

    assert "last ping " in healthy["note"]
    assert missed["reasons"][0]["code"] == "heartbeat_missed"
    assert "no ping since " in opened.json["text"]
    assert "at the latest" in opened.json["text"]
    assert resolved.json["event"] == "resolved"


async def test_a_job_tells_of_its_start_its_exit_code_and_what_it_wrote(tmp_path: Path) -> None:
    more = "    health: {expect: [{output: {not_contains: WARNING}}]}\n    value: {lt: 60}\n"
    configure(tmp_path, more=more)
    async with daemon(tmp_path) as running:
        for path, data in (
            (f"/ping/{OTHER}/start", b""),
            (f"/ping/{OTHER}/3", b"dumping\n\x1b[31mno space left\n"),
        ):
            assert await running.post(path, data=data) == (200, "ok\n")
        failed = await running.until(lambda status: status["incidents"])
        assert await running.post(f"/ping/{OTHER}/0", data=b"WARNING: slow") == (200, "ok\n")
        warned = await running.until(
            lambda status: "output" in str(check(status, "report.health")["reasons"])
        )
        assert await running.get(f"/ping/{OTHER}/start") == (200, "ok\n")
        assert await running.get(f"/ping/{OTHER}") == (200, "ok\n")
        await running.until(lambda status: check(status, "report.value")["verdict"] == "pass")
        _, metrics = await running.get("/metrics")

    reason = check(failed, "report.health")["reasons"][0]
    assert reason["code"] == "heartbeat_failed"
    assert "the job ended with exit code 3 at " in reason["message"]
    assert reason["message"].endswith(": \\x1b[31mno space left")
    assert check(warned, "report.health")["reasons"][0]["code"] == "expectation"
    for series in ("last_ping_timestamp_seconds", "last_run_seconds", "due_timestamp_seconds"):
        assert f'probe_heartbeat_{series}{{endpoint="report",' in metrics


async def test_a_ping_that_was_answered_is_never_lost_and_its_key_never_shown(
    tmp_path: Path,
) -> None:
    configure(tmp_path)
    said = ""
    for life in range(2):
        async with daemon(tmp_path) as running:
            if life:
                assert check(await running.status())["reasons"][0]["message"].endswith(str(life))
            told = await running.post(f"/ping/{KEY}/{life + 1}", data=f"{KEY} {life + 1}".encode())
            await running.stop(signal.SIGKILL)
            said = running.said()
            assert told == (200, "ok\n")
    async with daemon(tmp_path) as running:
        for path in ("/", "/metrics", "/api/v1/status", f"/ping/{KEY}/nonsense"):
            said += (await running.get(path))[1]
        said += str(await run("status", "--config", "monitor.yml", cwd=tmp_path))
        said += str(await run("check-config", "--show", "monitor.yml", cwd=tmp_path))

    assert KEY not in said
    assert "*** 2" in said
    assert KEY.encode() not in (tmp_path / ".production-monitor" / "monitor.db").read_bytes()


async def test_rounds_judge_what_a_daemon_heard(tmp_path: Path) -> None:
    configure(tmp_path)
    async with daemon(tmp_path) as running:
        await running.get(f"/ping/{KEY}")
        await running.get(f"/ping/{OTHER}")
        await running.stop()
    environ = {"PORT": "1"}

    healthy = await run("--cycles", "1", cwd=tmp_path, environ=environ)
    async with daemon(tmp_path) as running:
        await running.get(f"/ping/{KEY}/fail")
        await running.stop()
    failed = await run("--cycles", "1", cwd=tmp_path, environ=environ)

    assert healthy.code == 0, healthy.out + healthy.err
    assert failed.code == 1
    assert "the job said that it failed" in failed.out


async def test_a_heartbeat_is_explained_by_what_the_daemon_or_its_store_knows(
    tmp_path: Path,
) -> None:
    configure(tmp_path)
    environ = {"PORT": "1"}
    nowhere = await run("probe", "report", cwd=tmp_path, environ=environ)
    async with daemon(tmp_path) as running:
        await running.post(f"/ping/{OTHER}/7", data=b"no space left")
        asked = await run("probe", "report", cwd=tmp_path, environ=environ)
        found = await run("probe", "report", "--output", "json", cwd=tmp_path, environ=environ)
        unknown, _ = await running.get("/api/v1/heartbeats/nobody")
        await running.stop()
    looked = await run("probe", "report", cwd=tmp_path, environ=environ)
    doctor = await run("doctor", cwd=tmp_path, environ=environ)

    assert (nowhere.code, unknown) == (2, 404)
    assert "no monitor runs here" in nowhere.err
    for one in (asked, looked):
        assert one.code == 1, one.err
        assert "the job ended with exit code 7 at " in one.out
    assert "no monitor runs on " in looked.err
    assert found.json()["observation"]["values"]["output"] == "no space left"
    assert "jobs ping http://127.0.0.1:1/ping/KEY, from this machine alone" in doctor.out
    assert OTHER not in str((asked, found, looked, doctor))


async def test_the_monitor_blames_nobody_for_a_ping_that_it_could_not_hear(tmp_path: Path) -> None:
    configure(tmp_path, period="1s", grace="1s")
    async with daemon(tmp_path) as running:
        await running.get(f"/ping/{KEY}")
        overdue = datetime.now(UTC) + timedelta(seconds=2)
        await running.stop(signal.SIGKILL)
    await until(lambda: datetime.now(UTC) > overdue)
    rounds = await run("--cycles", "1", cwd=tmp_path, environ={"PORT": "1"})
    back = datetime.now(UTC)
    async with daemon(tmp_path) as running:
        status = await running.until(outages)
        missed, blind = outages(status), status["incidents"]

    assert rounds.code == 3, rounds.out
    assert "the monitor did not listen" in rounds.out
    assert "it cannot judge backup.health" in str(blind), "people may look for themselves"
    opened = datetime.fromisoformat(missed[0]["opened_at"])
    assert opened - back >= timedelta(seconds=2), "a whole period and the grace since it is back"


async def test_a_monitor_that_stood_still_blames_nobody(tmp_path: Path) -> None:
    configure(tmp_path, period="1s", grace="1s")
    async with daemon(tmp_path) as running:
        await running.get(f"/ping/{KEY}")
        overdue = datetime.now(UTC) + timedelta(seconds=2)
        running.process.send_signal(signal.SIGSTOP)
        await until(lambda: datetime.now(UTC) > overdue)
        running.process.send_signal(signal.SIGCONT)
        await until(lambda: "event_loop_stalled" in running.said())
        for _ in range(5):
            assert outages(await running.status()) == []
            await asyncio.sleep(0.1)
        await until_verdict(running, "fail")


async def test_a_ping_counts_while_the_store_cannot_be_written(tmp_path: Path) -> None:
    configure(tmp_path)
    async with daemon(tmp_path) as running:
        with held_by_another(tmp_path / ".production-monitor" / "monitor.db"):
            status, text = await running.get(f"/ping/{KEY}")
            assert (status, check(await running.status())["verdict"]) == (202, "pass")
        assert "not written down yet" in text
        assert (await running.get(f"/ping/{OTHER}"))[0] == 200
        await running.stop(signal.SIGKILL)
    async with daemon(tmp_path) as running:
        assert (await until_verdict(running, "pass"))["note"].startswith("last ping ")
