"""Slack and the installed program: an incident is taken on there, and a rollback approved."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from tests.support.program import Daemon, daemon, run
from tests.support.receiver import serve_receiver
from tests.support.slack import (
    ANA,
    APP_TOKEN,
    BEN,
    CHANNEL,
    SIGNING_SECRET,
    TOKEN,
    FakeSlack,
    Message,
    just_now,
    serve_slack,
    signed,
)
from tests.support.street import (
    NOTE,
    UNLIMITED,
    Street,
    announce,
    open_street,
    stands,
    until_passing,
    write_config,
    write_hook,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONFIG: Final = Path(__file__).parents[2] / "config"
EXAMPLE: Final = CONFIG / "examples" / "runbook-003-communication.yml"


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_street(tmp_path) as opened:
        yield opened


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with serve_slack() as fake:
        yield fake


def bot(slack: FakeSlack, **options: Any) -> dict[str, Any]:
    return {
        "slack": {
            "token": TOKEN,
            "channel": CHANNEL,
            "base_url": slack.base_url,
            **({"users": [ANA, BEN], "approvers": [ANA]} if options else {}),
            **options,
        }
    }


def about(slack: FakeSlack, service: str) -> Message:
    """Give the one message about a service."""
    (found,) = [one for one in slack.first_posts if f"*{service} " in one.text]

    return found


async def press(running: Daemon, slack: FakeSlack, button: dict[str, Any], **who: str) -> int:
    body, headers = signed(slack.click(button, **who), at=just_now())
    code, _ = await running.post("/slack/actions", data=body, headers=headers)

    return code


async def test_who_presses_acknowledge_has_it_and_nobody_else_is_woken(
    street: Street, slack: FakeSlack, tmp_path: Path
) -> None:
    async with serve_receiver() as boss:
        write_config(
            tmp_path,
            street,
            {},
            endpoints={name: {"url": street.url(name)} for name in ("shop", "till")},
            notifiers={
                "oncall": bot(slack, signing_secret=SIGNING_SECRET),
                "boss": {"webhook": {"url": boss.url()}},
            },
            routes=[{"notify": ["oncall"], "escalate": [{"after": "3s", "notify": ["boss"]}]}],
        )
        async with daemon(tmp_path) as running:
            await until_passing(running)
            street["shop"].broken = street["till"].broken = True
            await until(lambda: len(slack.first_posts) == 2)
            message = about(slack, "shop")
            code = await press(running, slack, message.buttons["Acknowledge"])
            await until(lambda: "Acknowledged by" in message.visible)
            taken = message.visible
            await boss.wait_for(1)
            street["shop"].broken = street["till"].broken = False
            await until(lambda: message.colour == "#2eb67d")
            said = running.said()

    assert code == 200
    assert f"Acknowledged by @ana ({ANA}) in Slack at 20" in taken
    assert message.buttons == {}
    assert {one.json["service"] for one in boss.received} == {"till"}
    assert boss.received[0].json["event"] == "escalated"
    assert [reply.text.split(" ")[0] for reply in slack.thread_of(message)] == [
        ":eyes:",
        ":white_check_mark:",
    ]
    assert "canary" not in said


async def test_a_rollback_is_approved_by_who_may_over_socket_mode(
    street: Street, slack: FakeSlack, tmp_path: Path
) -> None:
    rollback = {
        "mode": {"mode": "approve", "expires": "10m"},
        "steps": [{"name": "shop.restore", "command": write_hook(tmp_path, "shop", NOTE)}],
        "limits": UNLIMITED,
    }
    notifiers = {"oncall": bot(slack, app_token=APP_TOKEN)}
    write_config(tmp_path, street, {"shop": rollback}, notifiers=notifiers)
    async with daemon(tmp_path) as running:
        await until_passing(running)
        await slack.until(lambda: slack.sockets)
        await announce(running, "shop")
        street["shop"].broken = True
        await until(
            lambda: slack.first_posts and "Approve rollback" in slack.first_posts[0].buttons
        )
        (message,) = slack.first_posts
        lines = (message.text, message.visible.split("\n")[2])
        approve, veto = message.buttons["Approve rollback"], message.buttons["Veto"]

        await slack.send_click(slack.click(approve, user=BEN, name="ben"), id="ben")
        await slack.until(lambda: "ben" in slack.confirmed)
        refused = street.effects("shop")
        for id in ("ana", "ana again"):
            await slack.send_click(slack.click(approve), id=id)
        await running.until(lambda status: stands(status, "shop") == "recovered")
        await slack.send_click(slack.click(veto), id="too late")
        await slack.until(lambda: len(slack.whispers) == 2)
        await until(lambda: message.colour == "#2eb67d")
        said = running.said()

    assert lines[0].startswith(":rotating_light: *shop ")
    assert "Since 20" in lines[1]
    assert "waits for approval, until" in " ".join(lines)
    assert "Press *Approve rollback*, or *Veto*." in lines[1]
    assert refused == []
    assert f"your member ID, {BEN}, is not among the approvers" in slack.whispers[0]["text"]
    assert len(street.effects("shop")) == 1, "a double click is one rollback"
    assert "There is nothing to veto" in slack.whispers[1]["text"]
    assert message.buttons == {}
    assert sorted(slack.confirmed) == ["ana", "ana again", "ben", "too late"]
    assert slack.sockets == []
    assert len(slack.first_posts) == 1
    assert "canary" not in said


async def test_a_message_that_arrived_before_a_kill_is_not_written_again(
    street: Street, slack: FakeSlack, tmp_path: Path
) -> None:
    endpoints = {"shop": {"url": street.url("shop")}}
    write_config(tmp_path, street, {}, endpoints=endpoints, notifiers={"oncall": bot(slack)})
    async with daemon(tmp_path) as running:
        await until_passing(running)
        slack.fail(takes=True)
        street["shop"].broken = True
        await until(lambda: slack.messages)
        await running.stop(signal.SIGKILL)
    async with daemon(tmp_path) as running:
        await running.until(lambda status: not status["undelivered"])
        told = len(slack.messages)
        street["shop"].broken = False
        await until(lambda: slack.first_posts[0].colour == "#2eb67d")
        await running.until(lambda status: not status["undelivered"])

    assert told == 1
    assert len(slack.first_posts) == 1
    assert [one.text.split(" ")[0] for one in slack.messages[1:]] == [":white_check_mark:"]


async def test_the_example_of_runbook_003_tells_how_it_stands(
    street: Street, slack: FakeSlack, tmp_path: Path
) -> None:
    street["shop"].broken = True
    overlay = {
        "store": "sqlite:///monitor.db",
        "notifiers": {"incidents": {"slack": {"base_url": slack.base_url, "channel": CHANNEL}}},
        "endpoints": {"shop": {"url": street.url("shop")}},
    }
    (tmp_path / "overlay.yml").write_text(json.dumps(overlay))
    command = ("--config", str(EXAMPLE), "--config", "overlay.yml", "--every", "50ms")
    secrets = {"SLACK_BOT_TOKEN": TOKEN, "SLACK_APP_TOKEN": APP_TOKEN}
    down = await run(*command, "--cycles", "3", cwd=tmp_path, environ=secrets)
    (message,) = slack.first_posts
    opened = message.visible
    street["shop"].broken = False
    up = await run(*command, "--cycles", "3", cwd=tmp_path, environ=secrets)

    assert (down.code, up.code) == (1, 0), down.err + up.err
    assert message.earlier[0]["text"].endswith("<@U024BE7LH> <@U024BE7LJ>")
    assert "Public shop, customers cannot buy" in opened
    assert "*Phase*\ninvestigating" in opened
    assert "<https://monitor.shop.example/incidents/" in opened
    assert "Acknowledge" in opened
    assert "*Phase*\nresolved" in message.visible
    assert "Post-mortem: <https://monitor.shop.example/" in slack.thread_of(message)[-1].visible


def test_the_manifest_asks_for_what_is_used_and_no_more() -> None:
    manifest = yaml.safe_load((CONFIG / "slack-manifest.yml").read_text())

    assert manifest["oauth_config"]["scopes"] == {
        "bot": ["chat:write", "channels:history", "groups:history"]
    }
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert manifest["settings"]["interactivity"]["is_enabled"] is True
