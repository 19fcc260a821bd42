"""Rollbacks of the installed program: at most one effect, whatever hooks and deploys do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import signal
import sqlite3
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.program import Daemon, daemon, run
from tests.support.receiver import answers, drops, serve_receiver
from tests.support.servers import unused_port
from tests.support.street import (
    NOTE,
    UNLIMITED,
    Street,
    announce,
    find_rollbacks,
    open_street,
    stands,
    until_passing,
    write_config,
    write_hook,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.receiver import Receiver

SECRET: Final = "hook-secret-canary-5d1f"
VARIABLES: Final = {
    "MONITOR_ATTEMPT",
    "MONITOR_DEPLOY_ID",
    "MONITOR_DRY_RUN",
    "MONITOR_ENVIRONMENT",
    "MONITOR_FROM_VERSION",
    "MONITOR_INCIDENT_ID",
    "MONITOR_LEVEL",
    "MONITOR_REASON",
    "MONITOR_ROLLBACK_ID",
    "MONITOR_SERVICE",
    "MONITOR_SEVERITY",
    "MONITOR_STEP_KEY",
    "MONITOR_TO_VERSION",
}
HOSTILE: Final = "2.0\n$(touch pwned)`touch pwned`;touch pwned\x00-rf \u202e" + "v" * 5_000
ANYWHERE: Final = {"PORT": "1"}
"""For commands beside a daemon, which listen nowhere."""


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_street(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def watching(folder: Path, receiver: Receiver | None = None) -> AsyncIterator[Daemon]:
    """Run a daemon over the folder, once all that it watches passes."""
    async with daemon(folder) as running:
        await until_passing(running)
        yield running


async def deploy(folder: Path, service: str, version: str, *more: str) -> None:
    told = await run("deploy", service, "--version", version, *more, cwd=folder, environ=ANYWHERE)
    assert told.code == 0, told.err


def automatic(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "mode": "automatic",
        "steps": list(steps),
        "verify": {"within": "10s"},
        "limits": UNLIMITED,
        **more,
    }


def events(receiver: Receiver) -> list[tuple[str, str]]:
    """Give what was told, in order: the event, and where the rollback stood."""
    return [
        (one.json["event"], (one.json["rollback"] or {}).get("state", ""))
        for one in receiver.received
    ]


async def test_a_bad_deploy_is_rolled_back_once_verified_and_told(
    street: Street, tmp_path: Path
) -> None:
    hook = write_hook(tmp_path, "shop", "cat > told.json", "env > told.env", NOTE)
    async with serve_receiver() as receiver:
        write_config(
            tmp_path,
            street,
            {"shop": automatic({"command": hook})},
            notifiers={"events": {"webhook": {"url": receiver.url()}}},
        )
        async with watching(tmp_path) as running:
            await deploy(tmp_path, "shop", "2.0", "--id", "run-7")
            street["shop"].broken = True
            status = await running.until(
                lambda status: (
                    stands(status, "shop") == "recovered" and status["incidents"][0]["resolved_at"]
                )
            )
            await until(lambda: events(receiver)[-1:] == [("resolved", "recovered")])

            # It breaks again with the same deploy, over a restart: a person's turn.
            await running.stop(signal.SIGKILL)
        street["shop"].curable = False
        async with daemon(tmp_path) as running:
            again = await running.until(lambda status: len(find_rollbacks(status, "shop")) == 2)

    rollback = find_rollbacks(status, "shop")[0]
    told = json.loads((tmp_path / "told.json").read_text())
    variables = dict(
        line.split("=", 1) for line in (tmp_path / "told.env").read_text().splitlines()
    )
    assert events(receiver)[:3] == [
        ("opened", "executing"),
        ("rollback", "recovered"),
        ("resolved", "recovered"),
    ]
    assert street.effects("shop") == [f"{rollback['id']}.1.1 1"]
    assert (rollback["deploy"], rollback["from"]) == ("run-7", "2.0")
    assert [(step["state"], step["attempt"]) for step in rollback["steps"]] == [("done", 1)]
    assert told["deploy_id"] == variables["MONITOR_DEPLOY_ID"] == "run-7"
    assert told["step_key"] == variables["MONITOR_STEP_KEY"] == f"{rollback['id']}.1.1"
    assert {name for name in variables if name.startswith("MONITOR_")} == VARIABLES
    assert "PORT" not in variables
    assert stands(again, "shop") == "ALREADY_ROLLED_BACK"


async def test_a_deploy_is_announced_from_where_nobody_knows_the_secrets(
    street: Street, tmp_path: Path
) -> None:
    hook = write_hook(tmp_path, "shop", NOTE)
    command = {"run": hook, "env": {"TOKEN": "${TOKEN}"}}
    write_config(tmp_path, street, {"shop": automatic({"command": command})})
    deployed = ("deploy", "shop", "--version", "2.0")
    async with daemon(tmp_path, environ={"TOKEN": SECRET}) as running:
        (tmp_path / "hook-shop.sh").unlink()
        told = await run(*deployed, cwd=tmp_path)
        status = await run("status", "--output", "json", cwd=tmp_path)
        await running.stop()
    alone = await run(*deployed, cwd=tmp_path)
    (tmp_path / "monitor.yml").write_text(
        (tmp_path / "monitor.yml").read_text().replace("{", '{"store": "${STORE}",', 1)
    )
    nowhere = await run(*deployed, cwd=tmp_path)

    assert told.code == 0, told.err
    assert status.json()["deploys"][0]["version"] == "2.0"
    assert (alone.code, "variable TOKEN is not set" in alone.err) == (2, True)
    assert (nowhere.code, "variable STORE is not set" in nowhere.err) == (2, True)


async def test_each_hook_ends_as_it_should_whatever_it_does(street: Street, tmp_path: Path) -> None:
    """Many shops break at once after a deploy; the hook of each behaves in its own way."""
    hooks: dict[str, tuple[str, ...]] = {
        "good": (NOTE,),
        "forks": ("sleep 60 &", "echo $! > forked.pid", NOTE),
        "floods": ("head -c 50000000 /dev/zero | tr '\\0' x", NOTE),
        "tattles": ('echo "token $TOKEN"', 'printf %s "$TOKEN" | cut -c1-40', NOTE),
        "hangs": (NOTE, "sleep 60 & echo $! > hung.pid", "wait"),
        "fails": (NOTE, "exit 1"),
        "retries": (NOTE, "exit 75"),
        "dies": (NOTE, "kill -9 $$"),
        "deleted": (NOTE,),
        "helpless": (NOTE,),
        "slow": (NOTE,),
    }
    expected = {
        "good": ("recovered", 1),
        "forks": ("recovered", 1),
        "floods": ("recovered", 1),
        "tattles": ("recovered", 1),
        "hangs": ("uncertain", 1),
        "fails": ("failed", 1),
        "retries": ("failed", 2),
        "dies": ("uncertain", 1),
        "deleted": ("failed", 0),
        "helpless": ("not_recovered", 1),
        "slow": ("inconclusive", 1),
    }
    env = {"tattles": {"TOKEN": "${TOKEN}"}}
    rollbacks = {
        name: automatic(
            {
                "command": {
                    "run": write_hook(tmp_path, name, *lines),
                    "env": env.get(name, {}),
                    "timeout": "1s" if name == "hangs" else "15s",
                }
            }
        )
        for name, lines in hooks.items()
    }
    for name in ("helpless", "slow"):
        rollbacks[name]["verify"] = {"within": "1s"}
    street["helpless"].curable = False
    street["slow"].slow_once_cured = 0.2  # and it takes eight passes
    async with serve_receiver() as receiver:
        slow = {"url": street.url("slow"), "health": {"success_threshold": 8}}
        configure_many(tmp_path, street, rollbacks, receiver, slow=slow)
        async with daemon(tmp_path, environ={"TOKEN": SECRET}) as running:
            await until_passing(running)
            (tmp_path / "hook-deleted.sh").unlink()
            status = await break_all(running, street, expected)
            await running.until(lambda status: not status["undelivered"])
            memory = Path(f"/proc/{running.process.pid}/status").read_text()

            said = running.said()

    found = {name: (stands(status, name), len(street.effects(name))) for name in expected}
    steps = {name: find_rollbacks(status, name)[-1]["steps"][-1] for name in expected}
    told = {
        one.json["service"]: one.json["text"]
        for one in receiver.received
        if one.json["rollback"] and one.json["rollback"]["state"] != "executing"
    }
    assert found == expected
    assert "did not end within 1s" in steps["hangs"]["detail"]
    assert not is_alive(tmp_path / "hung.pid"), "the whole group was stopped"
    assert is_alive(tmp_path / "forked.pid"), "what a hook leaves behind on purpose goes on"
    assert 0 < len(steps["floods"]["output"]) <= 65536
    assert peak_mib(memory) < 300
    assert "expected a program" in steps["deleted"]["detail"]
    assert "token ***" in steps["tattles"]["output"]
    assert {name for name in expected if name not in told} == set()
    assert "a person has to look" in told["hangs"]
    assert "did not help" in told["helpless"]
    for place in (said, json.dumps(status), *(str(one.body) for one in receiver.received)):
        assert SECRET not in place
    assert SECRET.encode() not in read_store(tmp_path)
    os.kill(int((tmp_path / "forked.pid").read_text()), signal.SIGKILL)


async def test_a_webhook_step_is_done_refused_or_uncertain_and_never_sent_thrice(
    street: Street, tmp_path: Path
) -> None:
    behaviours = {
        "ok": (answers(200), False),
        "refuses": (answers(403), False),
        "breaks": (answers(500), False),
        "breaks-often": (answers(500), True),
        "drops": (drops(), False),
        "drops-often": (drops(), True),
        "busy": (answers(429), False),
    }
    expected = {
        "ok": ("not_recovered", 1),
        "refuses": ("failed", 1),
        "breaks": ("uncertain", 1),
        "breaks-often": ("uncertain", 2),
        "drops": ("uncertain", 1),
        "drops-often": ("uncertain", 2),
        "busy": ("uncertain", 1),
        "closed": ("failed", 0),
    }

    async def behave(request: Any) -> Any:
        return await behaviours[request.path.strip("/")][0](request)

    async with serve_receiver(then=behave) as receiver:
        urls = {name: receiver.url(f"/{name}") for name in behaviours}
        urls["closed"] = f"http://127.0.0.1:{unused_port()}/closed"
        rollbacks = {
            name: automatic(
                {
                    "webhook": {
                        "url": url,
                        "secret": SECRET,
                        "headers": {"Authorization": "Bearer header-canary-77"},
                        "idempotent": behaviours.get(name, (None, False))[1],
                    }
                },
                verify={"within": "500ms"},
            )
            for name, url in urls.items()
        }
        configure_many(tmp_path, street, rollbacks)
        async with watching(tmp_path) as running:
            status = await break_all(running, street, expected)

    sent = {name: [one for one in receiver.received if one.path == f"/{name}"] for name in expected}
    assert {name: (stands(status, name), len(sent[name])) for name in expected} == expected
    for name, requests in sent.items():
        key = find_rollbacks(status, name)[-1]["steps"][-1]["key"]
        assert {one.headers["webhook-id"] for one in requests} <= {key}
        for one in requests:
            assert one.headers["webhook-signature"] == sign(one.headers, one.body)
            assert one.json["service"] == name
    assert [one.json["attempt"] for one in sent["drops-often"]] == [1, 2]


async def test_guards_hold_back_and_say_why(street: Street, tmp_path: Path) -> None:
    """Each shop breaks with another reason why its hook must not run."""
    expected = {
        "observed": ("MODE", 0),
        "undeployed": ("NO_DEPLOY", 0),
        "late": ("OUTSIDE_WINDOW", 0),
        "ill": ("UNHEALTHY_BEFORE", 0),
        "again": ("UNHEALTHY_BEFORE", 1),
        "answered": ("recovered", 1),
        "marked": ("recovered", 1),
        "unfinished": ("DEPLOY_IN_PROGRESS", 0),
    }
    hook = write_hook(tmp_path, "any", NOTE)
    rollbacks = {name: automatic({"command": hook}) for name in expected}
    rollbacks["observed"]["mode"] = "observe"
    rollbacks["late"]["when"] = {"within": "1s"}
    services = {"answered": {"version": {"endpoint": "answered", "json": "$.version"}}}
    async with serve_receiver() as receiver:
        configure_many(tmp_path, street, rollbacks, receiver, services=services)
        async with watching(tmp_path) as running:
            await announce(running, "late")
            for name in ("ill", "again"):
                street[name].broken = True
            await announce(running, "again")
            await running.until(
                lambda status: stands(status, "again") == "recovered" and stands(status, "ill")
            )
            street["ill"].broken = False
            await until_passing(running)
            street["again"].curable = False
            street["answered"].version = HOSTILE
            await announce(running, "unfinished", state="started")
            for name in ("observed", "ill", "marked"):
                await announce(running, name)
            await announce(running, "again", "3.0")
            await running.until(
                lambda status: any(
                    one["service"] == "answered" and one["version"].startswith("2.0")
                    for one in status["deploys"]
                )
            )
            for name in expected:
                street[name].broken = True
            await running.until(
                lambda status: all(
                    stands(status, name) == how for name, (how, _) in expected.items()
                )
            )
            seen = street["observed"].asked
            await until(lambda: street["observed"].asked > seen + 5)
            status = await running.status()
            _, metrics = await running.get("/metrics")

    assert {
        name: (stands(status, name), len(street.effects(name))) for name in expected
    } == expected
    assert not (tmp_path / "pwned").exists(), "a version is data, whatever is in it"
    assert len(find_rollbacks(status, "observed")) == 1
    (timeline,) = [one["timeline"] for one in status["incidents"] if one["service"] == "observed"]
    assert [entry["event"] for entry in timeline].count("rollback_blocked") == 1
    told = [one.json for one in receiver.received if one.json["event"] == "rollback"]
    assert "observed" not in {one["service"] for one in told}, "it only records"
    assert 'rollback_blocked_total{reason="MODE",service="observed"} 1.0' in metrics


async def test_the_kill_switch_is_a_file_that_holds_back_until_it_is_gone(
    street: Street, tmp_path: Path
) -> None:
    write_config(
        tmp_path, street, {"shop": automatic({"command": write_hook(tmp_path, "shop", NOTE)})}
    )
    switch = tmp_path / ".production-monitor/rollbacks-off"
    async with watching(tmp_path) as running:
        switch.touch()
        await announce(running, "shop")
        street["shop"].broken = True
        await running.until(lambda status: stands(status, "shop") == "KILL_SWITCH")
        seen = street["shop"].asked
        await until(lambda: street["shop"].asked > seen + 5)
        held = street.effects("shop")

        switch.unlink()
        await running.until(lambda status: stands(status, "shop") == "recovered")

    assert held == []
    assert len(street.effects("shop")) == 1


async def test_without_a_journal_nothing_is_rolled_back_but_people_are_told(
    street: Street, tmp_path: Path
) -> None:
    """Another process holds the database; once it lets go, what was held back goes ahead."""
    hook = write_hook(tmp_path, "shop", NOTE)
    async with serve_receiver() as receiver:
        write_config(
            tmp_path,
            street,
            {"shop": automatic({"command": hook})},
            notifiers={"events": {"webhook": {"url": receiver.url()}}},
        )
        async with watching(tmp_path) as running:
            await announce(running, "shop")
            other = sqlite3.connect(
                tmp_path / ".production-monitor/monitor.db", isolation_level=None
            )
            other.execute("BEGIN IMMEDIATE")
            street["shop"].broken = True
            await until(lambda: any(event == "opened" for event, _ in events(receiver)))
            seen = street["shop"].asked
            await until(lambda: street["shop"].asked > seen + 5)
            held = street.effects("shop")
            other.execute("ROLLBACK")
            other.close()
            await running.until(lambda status: stands(status, "shop") == "recovered")

    assert held == []
    assert len(street.effects("shop")) == 1


async def test_a_daemon_that_is_killed_while_a_hook_runs_never_runs_it_again(
    street: Street, tmp_path: Path
) -> None:
    hook = write_hook(
        tmp_path,
        "shop",
        NOTE,
        "while [ ! -e go ]; do sleep 0.05; done",
        "echo still here",
        "touch end",
    )
    street["shop"].curable = False
    async with serve_receiver() as receiver:
        write_config(
            tmp_path,
            street,
            {"shop": automatic({"command": hook})},
            notifiers={"events": {"webhook": {"url": receiver.url()}}},
        )
        async with watching(tmp_path) as running:
            await announce(running, "shop")
            street["shop"].broken = True
            await until(lambda: street.effects("shop"))
            await running.stop(signal.SIGKILL)

        async with daemon(tmp_path) as running:
            status = await running.until(lambda status: stands(status, "shop") == "uncertain")
            (tmp_path / "go").touch()
            await until((tmp_path / "end").exists)  # it was left alone, and ends in good order
            street["shop"].broken = False
            await running.until(lambda status: status["incidents"][0]["resolved_at"])
            street["shop"].broken = True
            latched = await running.until(lambda status: len(find_rollbacks(status, "shop")) == 2)
            await running.until(lambda status: not status["undelivered"])

    assert len(street.effects("shop")) == 1
    assert find_rollbacks(status, "shop")[0]["steps"][0]["state"] == "uncertain"
    assert stands(latched, "shop") in ("ALREADY_ROLLED_BACK", "LATCHED")
    assert ("rollback", "uncertain") in events(receiver)


@pytest.mark.parametrize(("seconds", "state"), [(1, "verifying"), (60, "executing")])
async def test_a_hook_is_waited_for_when_the_daemon_is_told_to_stop_or_left_journalled(
    street: Street, tmp_path: Path, seconds: int, state: str
) -> None:
    hook = write_hook(tmp_path, "shop", NOTE, f"sleep {seconds} & echo $! > hook.pid; wait")
    write_config(tmp_path, street, {"shop": automatic({"command": hook})})
    async with watching(tmp_path) as running:
        await announce(running, "shop")
        street["shop"].broken = True
        await until((tmp_path / "hook.pid").exists)
        code = await running.stop()

    found = await run("status", "--output", "json", cwd=tmp_path, environ=ANYWHERE)
    assert (code, stands(found.json(), "shop")) == (0, state)
    async with daemon(tmp_path) as running:
        end = "recovered" if state == "verifying" else "uncertain"
        await running.until(lambda status: stands(status, "shop") == end)
    assert len(street.effects("shop")) == 1
    if is_alive(tmp_path / "hook.pid"):
        os.kill(int((tmp_path / "hook.pid").read_text()), signal.SIGKILL)


async def test_a_run_that_ends_finishes_the_verification_first(
    street: Street, tmp_path: Path
) -> None:
    hook = write_hook(tmp_path, "shop", NOTE)
    write_config(tmp_path, street, {"shop": automatic({"command": hook})})
    every = ("--every", "50ms", "--output", "json")
    await run("--cycles", "2", *every, cwd=tmp_path, environ=ANYWHERE)
    await deploy(tmp_path, "shop", "2.0")
    street["shop"].broken = True

    without = await run("--cycles", "3", *every, "--no-hooks", cwd=tmp_path, environ=ANYWHERE)
    nothing = await run("status", "--output", "json", cwd=tmp_path, environ=ANYWHERE)
    ended = await run("--cycles", "1", *every, cwd=tmp_path, environ=ANYWHERE)
    after = await run("status", "--output", "json", cwd=tmp_path, environ=ANYWHERE)

    assert (without.code, without.json()["checks"][0]["state"]) == (1, "fail")
    assert nothing.json()["rollbacks"] == [], "--no-hooks decides nothing"
    assert ended.code == 1, "the last round that was asked for failed"
    assert stands(after.json(), "shop") == "recovered"
    assert after.json()["incidents"][0]["resolved_at"]
    assert len(street.effects("shop")) == 1


def configure_many(
    folder: Path,
    street: Street,
    rollbacks: dict[str, dict[str, Any]],
    receiver: Receiver | None = None,
    *,
    slow: dict[str, Any] | None = None,
    **more: Any,
) -> None:
    """Watch many shops that break at once; others that pass keep it from being a common cause."""
    write_config(
        folder,
        street,
        rollbacks,
        notifiers={"events": {"webhook": {"url": receiver.url()}}} if receiver else {},
        endpoints={
            **{name: {"url": street.url(name)} for name in rollbacks},
            **({"slow": slow} if slow else {}),
            **{
                f"quiet-{number}": {"url": street.url("quiet"), "every": "1h"}
                for number in range(len(rollbacks) + 1)
            },
        },
        **more,
    )


async def break_all(
    running: Daemon, street: Street, expected: dict[str, tuple[str, int]]
) -> dict[str, Any]:
    """Deploy to all shops and break them; give the status once each rollback has ended."""
    for name in expected:
        await announce(running, name)
        street[name].broken = True

    return await running.until(
        lambda status: all(
            found[-1]["ended_at"] if (found := find_rollbacks(status, name)) else False
            for name in expected
        )
    )


def is_alive(pid: Path) -> bool:
    try:
        state = Path(f"/proc/{pid.read_text().strip()}/stat").read_text()
    except OSError:
        return False

    return state.rpartition(")")[2].split()[0] != "Z"


def peak_mib(status: str) -> float:
    """Give the most memory that a process has had, from its status in /proc."""
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]

    return int(line.split()[1]) / 1024


def read_store(folder: Path) -> bytes:
    """Give the bytes of all files of the store."""
    return b"".join(
        path.read_bytes() for path in (folder / ".production-monitor").iterdir() if path.is_file()
    )


def sign(headers: Any, body: bytes) -> str:
    """Write the signature that Standard Webhooks asks for."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()

    return f"v1,{base64.b64encode(digest).decode()}"
