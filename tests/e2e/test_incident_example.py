"""The example of runbook 002: detect, keep the logs, flip the flag, roll back, open a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.authority import Authority
from tests.support.discord import serve_discord
from tests.support.github import REPOSITORY, serve_github
from tests.support.github import TOKEN as GITHUB_TOKEN
from tests.support.program import daemon, run
from tests.support.providers import GOOD, NETLIFY_SITE, NETLIFY_TOKEN, serve_netlify
from tests.support.receiver import answers, serve_receiver
from tests.support.slack import TOKEN, serve_slack
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.discord import FakeDiscord
    from tests.support.github import FakeGitHub
    from tests.support.providers import Netlify
    from tests.support.receiver import Receiver
    from tests.support.slack import FakeSlack

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
INCIDENT = str(EXAMPLES / "runbook-002-incident.yml")
HOOKS = EXAMPLES / "hooks"


def environment(
    *,
    authority: Authority,
    netlify: Netlify,
    discord: FakeDiscord,
    flags: Receiver,
    logs: Receiver,
) -> dict[str, str]:
    return {
        "SSL_CERT_FILE": str(authority.file),
        "SITE_URL": netlify.site,
        "SLACK_BOT_TOKEN": TOKEN,
        "DISCORD_WEBHOOK_URL": discord.webhook_url,
        "GITHUB_TOKEN": GITHUB_TOKEN,
        "GITHUB_REPOSITORY": REPOSITORY,
        "LOGS_URL": logs.url("/logs"),
        "LOGS_TOKEN": "logs-canary-1c8b",
        "FLAGS_URL": flags.origin,
        "FLAGS_TOKEN": "flags-canary-7e4a",
        "NETLIFY_AUTH_TOKEN": NETLIFY_TOKEN,
        "NETLIFY_SITE": NETLIFY_SITE,
        "MONITOR_INTERVAL": "300",
    }


def overlay(folder: Path, slack: FakeSlack, netlify: Netlify, github: FakeGitHub) -> str:
    """Give addresses of here to the example, and let its minutes be seconds."""
    written = yaml.safe_load(Path(INCIDENT).read_text())
    rollback: dict[str, Any] = written["services"]["site"]["rollback"]
    flag, restore = rollback["levels"]
    flag["recover_within"] = "1s"
    run = restore["steps"][0]["command"]
    run["run"] = [str(HOOKS / "netlify-restore")]
    run["env"]["NETLIFY_API"] = netlify.api
    task = written["notifiers"]["tasks"]["command"]
    changes = {
        "web": {"listen": "127.0.0.1:${PORT:-9797}"},
        "defaults": {"retry_every": "100ms", "timeout": "300ms"},
        "notifiers": {
            "oncall": {"slack": {"base_url": slack.base_url}},
            "tasks": {
                "command": {
                    "run": [str(HOOKS / "open-task")],
                    "env": {**task["env"], "GITHUB_API": github.api},
                }
            },
        },
        "services": {
            "site": {
                "rollback": {
                    "mode": "automatic",
                    "certify_after": "1s",
                    "levels": [flag, restore],
                }
            }
        },
    }
    path = folder / "overlay.yml"
    path.write_text(yaml.safe_dump(changes))

    return str(path)


async def test_an_incident_is_handled_as_the_runbook_has_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with (
        serve_netlify(authority.context()) as netlify,
        serve_slack() as slack,
        serve_discord() as discord,
        serve_github() as github,
        serve_receiver(then=answers(200, "first\nTypeError: undefined is not a function")) as logs,
        serve_receiver(then=answers(204, "")) as flags,
    ):
        environ = environment(
            authority=authority, netlify=netlify, discord=discord, flags=flags, logs=logs
        )
        changes = overlay(tmp_path, slack, netlify, github)
        async with daemon(
            tmp_path, "--config", changes, config=INCIDENT, environ=environ
        ) as running:
            await running.until(
                lambda status: any(
                    deploy["version"] == GOOD and deploy["certified_at"]
                    for deploy in status["deploys"]
                )
            )
            good, netlify.page = netlify.page, "<h1>500</h1>"
            netlify.published = "deploy-2"
            await until(lambda: netlify.restored)
            netlify.page = good
            status = await running.until(
                lambda status: all(one["resolved_at"] for one in status["incidents"])
            )
            await until(lambda: len(github.comments.get(1, [])) >= 2)
            await until(lambda: "recovered" in discord.messages[-1].text)
            await until(lambda: "recovered" in slack.first_posts[0].text)
            _, told = await running.get(f"/api/v1/incidents/{status['incidents'][0]['id']}")
            said = running.said()

    events = [entry["event"] for entry in json.loads(told)["timeline"]]
    kept = next(one for one in json.loads(told)["timeline"] if one["event"] == "evidence")
    assert kept["evidence"] == "first\nTypeError: undefined is not a function"
    assert logs.received[0].headers["authorization"] == "Bearer logs-canary-1c8b"
    assert [(one.method, one.path) for one in flags.received] == [("DELETE", "/flags/new-homepage")]
    assert netlify.restored == ["deploy-1"]
    assert events[0] == "opened"
    assert events.index("evidence") < events.index("resolved")

    [issue] = github.issues
    assert issue["title"] == "Incident: site (critical)"
    assert "TypeError" in github.comments[1][-1]["body"]
    assert len(slack.first_posts) == 1
    assert "site" in discord.messages[0].text
    assert discord.messages[0].colour == 0x2EB67D
    assert "canary" not in said + told


async def test_slack_and_discord_are_told_at_the_threshold_and_not_before(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with (
        serve_netlify(authority.context()) as netlify,
        serve_slack() as slack,
        serve_discord() as discord,
        serve_github() as github,
        serve_receiver() as logs,
        serve_receiver() as flags,
    ):
        environ = environment(
            authority=authority, netlify=netlify, discord=discord, flags=flags, logs=logs
        )
        changes = overlay(tmp_path, slack, netlify, github)
        netlify.page = "<h1>500</h1>"
        once = ("--config", INCIDENT, "--config", changes, "--cycles")
        await run(*once, "4", "--every", "50ms", "--no-hooks", cwd=tmp_path, environ=environ)
        before = len(slack.messages) + len(discord.messages) + len(github.issues)
        ended = await run(*once, "1", "--no-hooks", cwd=tmp_path, environ=environ)

    assert before == 0
    assert ended.code == 1
    assert "5 times in a row" in slack.first_posts[0].text
    assert "5 times in a row" in discord.messages[0].text
    assert len(github.issues) == 1
