"""Socket Mode over real sockets: clicks come in, connections are replaced, nothing loud is said."""

from __future__ import annotations

import json
import logging
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor import slack_socket
from monitor.outbound import open_session
from tests.support.logs import capture_logs
from tests.support.receiver import redirects, serve_receiver
from tests.support.running import running, write
from tests.support.servers import unused_port
from tests.support.slack import ANA, APP_TOKEN, BEN, TOKEN, FakeSlack, serve_slack
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from monitor.app import Monitor

SECRETS = ("canary", "ticket")


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with serve_slack() as fake:
        yield fake


def configure(slack: FakeSlack, **options: Any) -> str:
    bot = {
        "token": TOKEN,
        "channel": "#on-call",
        "base_url": slack.base_url,
        "app_token": APP_TOKEN,
        "users": [ANA],
        **options,
    }
    wanted = {name: value for name, value in bot.items() if value is not None}

    return json.dumps(
        {
            "defaults": {"every": "1h", "failure_threshold": 1},
            "endpoints": {"gone": f"http://127.0.0.1:{unused_port()}/"},
            "notifiers": {"oncall": {"slack": wanted}},
        }
    )


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a twentieth as long for the next connection."""
    defaults = slack_socket.SlackSockets.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "patience", 0.05)


@asynccontextmanager
async def told(folder: Path, slack: FakeSlack, **options: Any) -> AsyncIterator[Monitor]:
    """Run a monitor that has told of one incident, and is connected."""
    async with running(folder, configure(slack, **options)) as monitor:
        await slack.until(lambda: slack.sockets)
        await until(lambda: slack.first_posts)
        yield monitor


def taken_by(monitor: Monitor) -> str:
    (incident,) = monitor.engine.situation.incidents.values()

    return incident.acknowledgement.by if incident.acknowledgement else ""


def press(slack: FakeSlack, **who: str) -> dict[str, Any]:
    return slack.click(slack.first_posts[0].buttons["Acknowledge"], **who)


async def test_a_click_comes_in_and_is_confirmed(tmp_path: Path, slack: FakeSlack) -> None:
    async with told(tmp_path, slack) as monitor:
        await slack.send_click(press(slack), id="envelope-7")
        await slack.until(lambda: slack.confirmed)
        by = taken_by(monitor)
        await until(lambda: "Acknowledged by" in slack.first_posts[0].visible)

    assert slack.confirmed == ["envelope-7"]
    assert by == f"@ana ({ANA}) in Slack"
    assert slack.first_posts[0].buttons == {}
    assert slack.sockets == []


async def test_a_stranger_is_told_alone(tmp_path: Path, slack: FakeSlack) -> None:
    async with told(tmp_path, slack) as monitor:
        await slack.send_click(press(slack, user=BEN, name="ben"))
        await slack.until(lambda: slack.whispers and slack.confirmed)

        assert taken_by(monitor) == ""
    assert f"your member ID, {BEN}" in slack.whispers[0]["text"]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_an_announced_end_is_forestalled(
    tmp_path: Path, slack: FakeSlack, reason: str
) -> None:
    async with told(tmp_path, slack) as monitor:
        (old,) = slack.sockets
        await slack.disconnect(reason)
        await slack.until(lambda: slack.sockets and old not in slack.sockets)
        await slack.send_click(press(slack))
        await until(lambda: taken_by(monitor))

        assert len(slack.sockets) == 1
        assert slack.most_at_once == 2, "the new one is there before the old one goes"


async def test_a_connection_that_is_closed_or_breaks_is_replaced(
    tmp_path: Path, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = timedelta(seconds=0.3)
    defaults = slack_socket.SlackSockets.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "ping_every", every)
    async with told(tmp_path, slack) as monitor:
        (first,) = slack.sockets
        await first.close()
        await slack.until(lambda: slack.sockets and first not in slack.sockets)
        (second,) = slack.sockets
        slack.cut(second)
        await slack.until(lambda: slack.sockets and second not in slack.sockets)
        await slack.send_click(press(slack))
        await until(lambda: taken_by(monitor))


async def test_it_connects_once_slack_lets_it_and_says_so_once(
    tmp_path: Path, slack: FakeSlack
) -> None:
    slack.opening_faults = ["internal_error", "ratelimited"]
    with capture_logs() as lines:
        async with running(tmp_path, configure(slack)):
            await until(lambda: "slack_socket_connected" in [one["event"] for one in lines])

    said = [line for line in lines if line["event"].startswith("slack_socket")]
    assert [line["event"] for line in said] == ["slack_socket_failed", "slack_socket_connected"]
    assert said[0]["error"] == "Slack says internal_error"


async def test_a_redirect_is_not_followed() -> None:
    async with (
        serve_receiver() as elsewhere,
        serve_receiver(then=redirects(elsewhere.url())) as proxy,
        open_session(redirected=slack_socket.refuse_redirect) as session,
    ):
        with pytest.raises(ConnectionError):
            await session.ws_connect(f"ws://127.0.0.1:{proxy.port}/link/?ticket=x")

    assert len(proxy.received) == 1
    assert elsewhere.received == []


async def test_the_address_that_redirects_is_given_up(tmp_path: Path, slack: FakeSlack) -> None:
    async with serve_receiver(then=redirects("/elsewhere")) as proxy:
        slack.link = f"ws://127.0.0.1:{proxy.port}/link/?ticket=x"
        async with running(tmp_path, configure(slack)):
            await proxy.wait_for(1)

    assert {one.path for one in proxy.received} == {"/link/?ticket=x"}


@pytest.mark.parametrize(
    ("url", "base", "fine"),
    [
        ("wss://wss-primary.slack.com/link/?ticket=x", "https://slack.com/api/", True),
        ("ws://wss-primary.slack.com/link/?ticket=x", "https://slack.com/api/", False),
        ("ws://127.0.0.1:1/link", "http://127.0.0.1:1/api/", True),
        ("https://slack.com/", "https://slack.com/api/", False),
        ("None", "https://slack.com/api/", False),
        ("wss://[", "https://slack.com/api/", False),
    ],
)
def test_only_a_socket_over_tls_is_connected_to(url: str, base: str, fine: bool) -> None:
    assert slack_socket.is_socket(url, base) is fine


async def test_a_reload_connects_and_disconnects(tmp_path: Path, slack: FakeSlack) -> None:
    async with told(tmp_path, slack) as monitor:
        (kept,) = slack.sockets
        write(tmp_path, configure(slack, users=[ANA, BEN]))
        assert (await monitor.reload()).problems == ()
        assert slack.sockets == [kept], "the same app stays connected"
        await slack.send_click(press(slack, user=BEN, name="ben"))
        await until(lambda: taken_by(monitor))

        write(tmp_path, configure(slack, app_token=None, users=None))
        assert (await monitor.reload()).problems == ()
        await slack.until(lambda: not slack.sockets)


async def test_stopping_waits_for_no_slack(tmp_path: Path, slack: FakeSlack) -> None:
    async with told(tmp_path, slack):
        slack.deaf = True
        began = time.monotonic()
    assert time.monotonic() - began < 9, "the library would wait for ten seconds"


async def test_no_secret_is_logged(
    tmp_path: Path,
    slack: FakeSlack,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    slack.opening_faults = ["invalid_auth"]
    async with told(tmp_path, slack):
        (old,) = slack.sockets
        await slack.sockets[0].send_str("no JSON")
        await slack.sockets[0].send_str("{" + '"a":[' * 5_000)
        await slack.send_click({**press(slack), "type": "shortcut"})
        await slack.until(lambda: slack.confirmed)
        await slack.disconnect("warning")
        await slack.until(lambda: slack.sockets and old not in slack.sockets)

    output = capsys.readouterr()
    seen = f"{caplog.text}\n{output.out}\n{output.err}"
    assert [secret for secret in SECRETS if secret in seen] == []
