"""Alerts of the installed program: none lost, in order, and nothing loud in them."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.program import daemon, run
from tests.support.receiver import answers, drops, hangs, serve_receiver
from tests.support.servers import unused_port
from tests.support.slack import TOKEN, serve_slack
from tests.support.street import (
    NOTE,
    UNLIMITED,
    Street,
    open_street,
    stands,
    until_passing,
    write_config,
    write_hook,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.receiver import Received, Receiver

ANYWHERE: Final = {"PORT": "1"}
"""For commands beside a daemon, which listen nowhere."""

LOUD: Final = "<!channel>\n\n@here *now* <https://evil.example|click> \x1b[31m\u2028 & `x`"


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_street(tmp_path) as opened:
        yield opened


def configure(folder: Path, street: Street, notifiers: dict[str, Any], **sections: Any) -> None:
    write_config(
        folder,
        street,
        {},
        **{"endpoints": {"shop": {"url": street.url("shop")}}, "notifiers": notifiers, **sections},
    )


def told(receiver: Receiver, incident: str | None = None) -> list[str]:
    """Give the events of what came, in order."""
    return [
        one.json["event"]
        for one in receiver.received
        if incident is None or one.json["incident"] == incident
    ]


def keys(received: list[Received], event: str) -> set[str]:
    return {one.headers["idempotency-key"] for one in received if one.json["event"] == event}


async def test_each_receiver_gets_all_in_order_whatever_it_answers_at_first(
    street: Street, tmp_path: Path
) -> None:
    async with (
        serve_receiver() as fine,
        serve_receiver(answers(429, "slow down", retry_after="2")) as busy,
        serve_receiver(answers(500), answers(502)) as broken,
        serve_receiver(hangs()) as hanging,
        serve_receiver(drops()) as dropping,
        serve_receiver(then=answers(403, "go away")) as refusing,
        serve_slack() as lying,
    ):
        lying.fail(status=200, body='{"ok": false, "error": "fatal_error"}')
        lying.fail(status=200, body="<html>a proxy</html>")
        others = {"busy": busy, "broken": broken, "hanging": hanging, "dropping": dropping}
        configure(
            tmp_path,
            street,
            {
                **{
                    name: {"webhook": {"url": receiver.url(), "timeout": "1s"}}
                    for name, receiver in {**others, "fine": fine, "refusing": refusing}.items()
                },
                "lying": {"slack": {"webhook_url": lying.webhook_url}},
            },
        )
        async with daemon(tmp_path) as running:
            await until_passing(running)
            street["shop"].broken = True
            await fine.wait_for(1)
            assert len(hanging.received) <= 1, "nobody waits for another receiver"
            for receiver in (*others.values(), refusing):
                await until(lambda one=receiver: one.received)  # type: ignore[misc]  # bound now
            await running.until(lambda status: not status["undelivered"])
            street["shop"].broken = False
            await running.until(
                lambda status: status["incidents"][0]["resolved_at"] and not status["undelivered"]
            )
            said = running.said()

    assert told(fine) == ["opened", "resolved"]
    assert told(busy) == ["opened", "opened", "resolved"]
    assert told(broken) == ["opened", "opened", "opened", "resolved"]
    assert told(hanging) == ["opened", "opened", "resolved"]
    assert told(dropping) == ["opened", "opened", "resolved"]
    for receiver in (fine, *others.values()):
        assert len(keys(receiver.received, "opened")) == 1
    assert busy.received[1].at - busy.received[0].at >= 2
    assert [one.json["may_repeat"] for one in busy.received[:2]] == [False, False]
    assert [one.json["may_repeat"] for one in dropping.received[:2]] == [False, True]
    assert told(refusing).count("opened") == 1, "a refusal is not repeated"
    assert "notice_undeliverable" in said
    assert len(lying.messages) == 2
    assert len(lying.requests) == 4


@pytest.mark.parametrize(
    ("reached", "how"),
    [
        pytest.param(True, signal.SIGKILL, id="it hangs, and we are killed"),
        pytest.param(True, signal.SIGTERM, id="it hangs, and we are told to stop"),
        pytest.param(False, signal.SIGKILL, id="it is down, and we are killed"),
    ],
)
async def test_a_daemon_that_ends_before_the_receiver_answered_tells_again_with_the_same_key(
    street: Street, tmp_path: Path, reached: bool, how: signal.Signals
) -> None:
    async with serve_receiver(hangs()) as hanging, serve_receiver() as later:
        first = hanging.url() if reached else f"http://127.0.0.1:{unused_port()}/hook"
        configure(tmp_path, street, {"events": {"webhook": {"url": first}}})
        async with daemon(tmp_path) as running:
            await until_passing(running)
            street["shop"].broken = True
            await running.until(lambda status: status["incidents"] and status["undelivered"])
            if reached:
                await hanging.wait_for(1)
            code = await running.stop(how)

        configure(tmp_path, street, {"events": {"webhook": {"url": later.url()}}})
        async with daemon(tmp_path) as running:
            await later.wait_for(1)
            street["shop"].broken = False
            await later.wait_for(2)

    assert code == (0 if how is signal.SIGTERM else -how)
    assert told(later) == ["opened", "resolved"]
    if reached:
        assert keys(hanging.received, "opened") == keys(later.received, "opened")
        assert later.received[0].json["may_repeat"] is True


async def test_a_run_does_not_wait_for_a_receiver_that_asks_for_an_hour_nor_forgets_it(
    street: Street, tmp_path: Path
) -> None:
    street["shop"].broken = True
    once = ("--cycles", "3", "--every", "20ms")
    async with serve_receiver(answers(429, retry_after="3600")) as receiver:
        configure(tmp_path, street, {"events": {"webhook": {"url": receiver.url()}}})
        async with asyncio.timeout(60):
            first = await run(*once, cwd=tmp_path, environ=ANYWHERE)
        asked = len(receiver.received)
        async with asyncio.timeout(60):
            second = await run(*once, cwd=tmp_path, environ=ANYWHERE)

    assert (asked, len(receiver.received)) == (1, 1), "the wait is kept over a restart"
    for ended in (first, second):
        assert ended.code == 1
        assert "1 notice could not be delivered: kept for the next run" in ended.err


async def test_a_receiver_that_was_down_all_the_time_gets_one_message_about_it_all(
    street: Street, tmp_path: Path
) -> None:
    async with serve_receiver(then=answers(503)) as receiver:
        configure(tmp_path, street, {"events": {"webhook": {"url": receiver.url()}}})
        async with daemon(tmp_path) as running:
            await until_passing(running)
            street["shop"].broken = True
            await receiver.wait_for(1)
            street["shop"].broken = False
            await running.until(lambda status: status["incidents"][0]["resolved_at"])
            failed = len(receiver.received)
            receiver.then = answers(200)
            await running.until(lambda status: not status["undelivered"])
            arrived = [one.json for one in receiver.received[failed:]]

    assert [one["event"] for one in arrived][-1] == "resolved"
    assert "opened" not in [one["event"] for one in arrived]
    assert "shop was down from" in arrived[-1]["text"]
    assert "answers 503, expected 2xx" in arrived[-1]["text"]


async def test_a_bot_keeps_one_message_with_a_thread_and_calls_nobody(
    street: Street, tmp_path: Path
) -> None:
    street["shop"].text = LOUD
    hook = write_hook(tmp_path, "shop", NOTE)
    policy = {"mode": "automatic", "steps": [{"command": hook}], "limits": UNLIMITED}
    async with serve_slack() as slack, serve_slack() as room, serve_receiver() as receiver:
        bot = {"token": TOKEN, "channel": "#on-call", "base_url": slack.base_url}
        write_config(
            tmp_path,
            street,
            {"shop": policy},
            endpoints={
                "shop": {
                    "url": street.url("shop"),
                    "health": {"expect": [{"status": 200}, {"json": "$.text", "equals": "quiet"}]},
                }
            },
            notifiers={
                "bot": {"slack": bot},
                "hook": {"slack": {"webhook_url": room.webhook_url}},
                "events": {"webhook": {"url": receiver.url()}},
                "log": {"log": {}},
            },
        )
        async with daemon(tmp_path) as running:
            await running.until(lambda status: status["incidents"])
            await running.until(lambda status: not status["undelivered"])
            street["shop"].text = "quiet"
            await until_passing(running)
            await running.until(lambda status: not status["undelivered"])
            (before,) = slack.first_posts
            colour = before.colour

            code, _ = await announce(tmp_path)
            street["shop"].broken = True
            street["shop"].text = LOUD
            await running.until(
                lambda status: len(status["incidents"]) == 2 and not status["undelivered"]
            )
            await running.until(lambda status: stands(status, "shop") == "UNHEALTHY_BEFORE")
            said = running.said()

    assert code == 0
    assert colour == "#2eb67d"
    assert len(slack.first_posts) == 2, "one message for each incident"
    first, second = slack.first_posts
    assert len(slack.thread_of(first)) >= 1
    assert "recovered" in first.visible
    assert len(first.earlier) == len(slack.thread_of(first)), "each piece of news updates it"
    assert "rollback" in second.visible.lower()
    for message in (*slack.messages, *room.messages):
        assert message.mentions == []
        assert not [link for link in message.links if "evil.example" in link]
    for one in receiver.received:
        assert len(one.json["text"].splitlines()) == 2
    assert [line for line in said.splitlines() if not line.startswith("2")] == []


async def announce(folder: Path) -> tuple[int, str]:
    ended = await run("deploy", "shop", "--version", "2.0", cwd=folder, environ=ANYWHERE)

    return ended.code, ended.err


async def test_a_webhook_carries_what_others_rely_on(street: Street, tmp_path: Path) -> None:
    hook = write_hook(tmp_path, "shop", NOTE)
    policy = {"mode": "automatic", "steps": [{"command": hook}], "limits": UNLIMITED}
    promised = {
        *("text", "timestamp", "service", "environment", "event", "incident", "class"),
        *("severity", "phase", "checks", "reasons", "since", "contacts", "links", "rollback"),
        "idempotency_key",
    }
    async with serve_receiver() as receiver:
        write_config(
            tmp_path,
            street,
            {"shop": policy},
            services={"shop": {"runbook": "https://wiki.example/shop"}},
            notifiers={"events": {"webhook": {"url": receiver.url()}}},
        )
        async with daemon(tmp_path) as running:
            await until_passing(running)
            assert (await announce(tmp_path))[0] == 0
            street["shop"].broken = True
            await receiver.wait_for(3)

    opened, *_, resolved = [one.json for one in receiver.received]
    for one in receiver.received:
        assert one.json.keys() >= promised | {"may_repeat", "resolved_at"}
        assert one.headers["idempotency-key"] == one.json["idempotency_key"]
        assert one.json["environment"] == "test"
    assert [one.json["event"] for one in receiver.received] == [*("opened", "rollback", "resolved")]
    assert opened["rollback"]["state"] == "executing"
    assert resolved["rollback"].keys() >= {"id", "state", "from", "to", "reason"}
    assert resolved["rollback"]["from"] == "2.0"
    assert (opened["class"], opened["severity"]) == ("outage", "high")
    assert (opened["phase"], resolved["phase"]) == ("identified", "resolved")
    assert opened["reasons"][0]["code"] == "status"
    assert opened["links"]["runbook"] == "https://wiki.example/shop"
    assert opened["timestamp"].endswith("Z")
    assert opened["text"].startswith("shop answers 503, expected 2xx")
    assert len({one.json["idempotency_key"] for one in receiver.received}) == 3


async def test_a_run_that_tells_nobody_silences_no_later_one(
    street: Street, tmp_path: Path
) -> None:
    quick = ("--cycles", "3", "--every", "20ms")
    async with serve_receiver() as receiver:
        events = {"events": {"webhook": {"url": receiver.url()}}}
        configure(tmp_path, street, events, routes=[{"notify": "events"}])
        street["shop"].broken = True
        silent = await run(*quick, "--no-notify", cwd=tmp_path, environ=ANYWHERE)
        heard = told(receiver)
        later = await run(*quick, cwd=tmp_path, environ=ANYWHERE)
        street["shop"].broken = False
        well = await run(*quick, "--no-notify", cwd=tmp_path, environ=ANYWHERE)
        last = await run(*quick, cwd=tmp_path, environ=ANYWHERE)

    assert (silent.code, later.code, well.code, last.code) == (1, 1, 0, 0)
    assert heard == []
    assert told(receiver) == ["opened", "resolved"]
