"""No secret gets out: each kind is planted as a canary, and all that is written is read."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.program import daemon, run
from tests.support.receiver import Receiver, answers, serve_receiver
from tests.support.servers import unused_port
from tests.support.shop import Shop, open_shop
from tests.support.slack import TOKEN, WEBHOOK_PATH, FakeSlack, serve_slack
from tests.support.street import until_passing, write_hook
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.program import Daemon

IN_HOOK: Final = "hook-environment-canary-8d1b"
WEB_TOKEN: Final = "web-token-canary-0a4e"
IN_ENVIRONMENT: Final = {
    "HOOK_PATH": "path-canary-1c9a",
    "HOOK_HEADER": "header-canary-2b8d",
    "HOOK_SECRET": "signing-canary-3a7c",
    "BASIC": "password-canary-4e6f",
    "BEARER": "bearer-canary-5d5e",
    "QUERY": "query-canary-6c4b",
    "SLACK": TOKEN,
    "WEB_TOKEN": WEB_TOKEN,
    "IN_HOOK": IN_HOOK,
    "STEP_PATH": "step-path-canary-b2e0",
    "STEP_HEADER": "step-header-canary-c3f1",
    "STEP_SECRET": "step-signing-canary-d4a2",
    "PAGER": "pagercanary0123456789abcdef01234",
    "DISCORD": "discord-canary-e5c3",
    "TEAMS": "teams-canary-f6d4",
    "TELEGRAM": "123456:telegram-canary-a7e5",
    "ALERTS": "alertmanager-canary-b8f6",
    "MAIL": "mail-canary-c9a7",
}
IN_FILE: Final = "file-canary-7b3a"
IN_CREDENTIAL: Final = "credential-canary-9e5c"
HIDDEN: Final = (
    *IN_ENVIRONMENT.values(),
    *(IN_FILE, IN_CREDENTIAL),
    WEBHOOK_PATH.rpartition("/")[2],
    base64.b64encode(f"user:{IN_ENVIRONMENT['BASIC']}".encode()).decode(),
    IN_ENVIRONMENT["HOOK_SECRET"][:12],
    "wrong-token-canary-e5b3",
)

HOOK: Final = (
    "cat /proc/self/environ | tr '\\0' '\\n'",  # what it says is kept and shown
    "env > hook-environ",
    "cat > hook-input",
    "while [ ! -e free ]; do sleep 0.05; done",
)


def configure(folder: Path, target: Receiver, shop: Shop, slack: FakeSlack) -> None:
    """Put a secret wherever the configuration takes one."""
    (folder / "secret").write_text(IN_FILE + "\n")
    (folder / "credentials").mkdir()
    (folder / "credentials" / "token").write_text(IN_CREDENTIAL + "\n")
    command = {"run": write_hook(folder, "loud", *HOOK), "env": {"MINE": "${IN_HOOK}"}}
    request = {
        "url": target.url("/step/${STEP_PATH}"),
        "headers": {"X-Key": "${STEP_HEADER}"},
        "secret": "${STEP_SECRET}",
    }
    quiet = {"expect": [{"status": 500}, {"body": {"equals": "quiet"}}]}
    config = {
        "web": {
            "listen": "127.0.0.1:${PORT}",
            "tokens": [{"name": "people", "scope": "operate", "token": "${WEB_TOKEN}"}],
        },
        "defaults": {"every": "500ms", "timeout": "450ms", "failure_threshold": 2},
        "notifiers": {
            "hook": {
                "webhook": {
                    "url": target.url("/${HOOK_PATH}/x"),
                    "headers": {"X-Key": "${HOOK_HEADER}"},
                    "secret": "${HOOK_SECRET}",
                }
            },
            "gone": {"webhook": {"url": f"http://127.0.0.1:{unused_port()}/${{HOOK_PATH}}"}},
            "chat": {"slack": {"webhook_url": slack.webhook_url}},
            "bot": {"slack": {"token": "${SLACK}", "channel": "#x", "base_url": target.url("/")}},
            "pager": {"pagerduty": {"routing_key": "${PAGER}", "base_url": target.url("/pager")}},
            "discord": {"discord": {"webhook_url": target.url("/discord/${DISCORD}")}},
            "teams": {"teams": {"webhook_url": target.url("/teams?sig=${TEAMS}")}},
            "telegram": {
                "telegram": {"token": "${TELEGRAM}", "chat": 7, "base_url": target.url("/")}
            },
            "alerts": {
                "alertmanager": {
                    "urls": [target.url("/alerts")],
                    "auth": {"bearer": "${ALERTS}"},
                }
            },
            "mail": {
                "email": {
                    "host": "127.0.0.1",
                    "port": unused_port(),
                    "username": "monitor",
                    "password": "${MAIL}",
                    "from": "monitor@shop.example",
                    "to": "people@shop.example",
                }
            },
        },
        "services": {
            "shop": {
                "rollback": {
                    "mode": "automatic",
                    "steps": [{"command": command}, {"webhook": request}],
                }
            }
        },
        "endpoints": {
            "shop": {"url": shop.url},
            "basic": {
                "url": target.url("/basic"),
                "request": {"auth": {"basic": {"username": "user", "password": "${BASIC}"}}},
                "health": {"expect": [{"body": {"equals": "quiet"}}]},
            },
            "bearer": {
                "url": target.url("/?key=${QUERY}"),
                "request": {"headers": {"Authorization": "Bearer ${BEARER}"}},
                "health": quiet,
            },
            "auth": {
                "url": target.url("/auth"),
                "request": {"auth": {"bearer": "${credential:token}"}},
                "health": quiet,
            },
            "file": {
                "url": target.url("/file"),
                "request": {"headers": {"X-Token": "${file:secret}"}},
                "health": quiet,
            },
        },
    }
    (folder / "monitor.yml").write_text(json.dumps(config))


async def echo(request: Any) -> Any:
    """Be a target or a receiver that says again whatever it was told."""
    said = f"{await request.text()} {request.path_qs} {dict(request.headers)}"

    return await answers(500, said)(request)


async def say_little(request: Any) -> Any:
    """Be well as a target, and an echo as a receiver."""
    if request.method == "POST":
        return await echo(request)

    return await answers(200 if request.path == "/basic" else 500, "quiet")(request)


async def ask(running: Daemon) -> dict[str, str]:
    """Give all that the interface shows, also to who comes with a wrong token."""
    bearer = {"Authorization": "Bearer wrong-token-canary-e5b3"}

    return {
        "status": json.dumps(await running.status(), ensure_ascii=False),
        "page": (await running.get("/"))[1],
        "metrics": (await running.get("/metrics"))[1],
        "a probe's series": (await running.get("/probe?target=bearer"))[1],
        "no probe's series": (await running.get("/probe?target=none"))[1],
        "a refusal": (await running.post("/-/reload", headers=bearer))[1],
    }


async def command(folder: Path, environ: dict[str, str]) -> dict[str, str]:
    """Give all that commands write."""
    once = ("--cycles", "2", "--every", "10ms", "--no-state", "--no-notify", "--no-hooks")
    server = ("--server", f"http://127.0.0.1:{environ['PORT']}")
    commands = {
        "show": ("check-config", "monitor.yml", "--show"),
        "status of people": ("status",),
        "status from far": ("status", *server, "--output", "json"),
        "probe": ("probe", "bearer"),
        "probe json": ("probe", "auth", "--output", "json"),
        "check": once,
        **{f"check {form}": (*once, "--output", form) for form in ("json", "junit", "github")},
    }
    ended = {name: await run(*args, cwd=folder, environ=environ) for name, args in commands.items()}

    return {name: one.out + one.err for name, one in ended.items()}


def list_processes() -> str:
    """Give what `ps` shows to everybody."""
    shown = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            shown.append(path.read_text(errors="replace"))
        except OSError:
            continue

    return "\n".join(shown)


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_secret_is_in_anything_that_is_written_or_shown(tmp_path: Path, form: str) -> None:
    """The target and the receivers echo what they get, and the hook its environment."""
    async with (
        serve_receiver(then=say_little) as target,
        open_shop() as shop,
        serve_slack() as slack,
    ):
        slack.fail(status=500, body=f"no {TOKEN} {WEBHOOK_PATH}")
        slack.fail("channel_is_archived")
        configure(tmp_path, target, shop, slack)
        environ = {
            **IN_ENVIRONMENT,
            "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"),
            "MONITOR_TOKEN": WEB_TOKEN,
        }
        log = {"MONITOR_LOG_LEVEL": "debug", "MONITOR_LOG_FORMAT": form}
        async with daemon(tmp_path, environ={**environ, **log}) as running:
            environ["PORT"] = str(running.port)
            await until_passing(running)
            told = await run(
                *("deploy", "shop", "--version", "2.0", "--server", running.url),
                cwd=tmp_path,
                environ=environ,
            )
            assert told.code == 0, told.err
            shop.status = 503
            await until((tmp_path / "hook-input").exists)
            places = {"ps": list_processes()}
            (tmp_path / "free").touch()
            status = await running.until(
                lambda status: status["rollbacks"] and status["rollbacks"][0]["ended_at"]
            )
            target.then = echo
            await running.until(lambda status: len(status["incidents"]) == 5)
            await until(lambda: len([r for r in target.received if "canary" in r.path]) >= 3)
            for path in ("/pager", "/discord", "/teams", "/bot123456", "/alerts"):
                await until(lambda at=path: any(r.path.startswith(at) for r in target.received))  # type: ignore[misc]  # bound now
            await until(lambda: len(slack.requests) >= 3)
            places |= await ask(running)
            if form == "text":  # commands write no other for it
                places |= await command(tmp_path, environ)
            await running.stop()
            places["log"] = running.said()

    command_step, webhook_step = status["rollbacks"][0]["steps"]
    assert "MINE=***" in command_step["output"], "what was echoed is masked, not left out"
    assert "***" in webhook_step["output"]
    assert "***" in places["status"]

    store = (tmp_path / ".production-monitor").iterdir()
    places["store"] = b"".join(one.read_bytes() for one in store if one.is_file()).decode("latin-1")
    places["what a hook is told"] = (tmp_path / "hook-input").read_text()
    in_hook = (tmp_path / "hook-environ").read_text()
    assert f"MINE={IN_HOOK}" in in_hook
    places["what else a hook inherits"] = in_hook.replace(f"MINE={IN_HOOK}", "")

    leaks = {(place, one) for place, text in places.items() for one in HIDDEN if one in text}
    assert leaks == set()
    assert {name for name, text in places.items() if not text} == set()
    assert places["log"].startswith('{"') is (form == "json")
