"""`notify test`: a marked message through each kind of notifier, and what came back in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from tests.support.mail import serve_mailbox
from tests.support.pagerduty import ROUTING_KEY, serve_pagerduty
from tests.support.program import run
from tests.support.receiver import answers, serve_receiver
from tests.support.servers import unused_port
from tests.support.slack import TOKEN, serve_slack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

CANARY = "canary-7d81"


def configure(folder: Path, notifiers: Mapping[str, Any]) -> None:
    text = {
        "environment": "staging",
        "endpoints": {"shop": "http://127.0.0.1:9/"},
        "notifiers": dict(notifiers),
    }
    (folder / "monitor.yml").write_text(yaml.safe_dump(text, sort_keys=False))


async def test_each_receiver_gets_a_message_that_says_that_it_is_a_test(tmp_path: Path) -> None:
    async with (
        serve_slack() as slack,
        serve_receiver() as hook,
        serve_pagerduty() as pagerduty,
        serve_mailbox() as mailbox,
    ):
        configure(
            tmp_path,
            {
                "oncall": {
                    "slack": {"token": TOKEN, "channel": "#on-call", "base_url": slack.base_url}
                },
                "events": {"webhook": {"url": hook.url()}},
                "pager": {
                    "pagerduty": {"routing_key": ROUTING_KEY, "base_url": pagerduty.base_url}
                },
                "mail": {
                    "email": {
                        "host": "127.0.0.1",
                        "port": mailbox.port,
                        "tls": "none",
                        "from": "m@shop.example",
                        "to": "a@shop.example",
                    }
                },
                "log": {"log": {}},
            },
        )
        ended = await run("notify", "test", "--all", cwd=tmp_path)

    [message] = slack.messages
    [mail] = mailbox.mails
    lines = ended.out.splitlines()
    assert ended.code == 0, ended.err
    assert [line.partition(":")[0] for line in lines] == [
        "✔ oncall",
        "✔ events",
        "✔ pager",
        "✔ mail",
        "✔ log",
    ]
    assert lines[0].startswith("✔ oncall: delivered, as C")
    assert "This is a test of the notifier oncall: nothing is wrong" in message.text
    assert hook.received[0].json["event"] == "test"
    assert hook.received[0].json["environment"] == "staging"
    assert [alert.status for alert in pagerduty.alerts] == ["resolved"]
    assert mail.message["Subject"] == "[TEST] This is a test of the notifier mail: nothing is wrong"
    assert "nothing to be done" in mail.text
    assert "Severity" not in mail.text
    assert not (tmp_path / ".production-monitor").exists()


async def test_what_came_back_is_told_with_what_to_look_at_and_without_secrets(
    tmp_path: Path,
) -> None:
    async with (
        serve_receiver(answers(404, f"no /{CANARY} here")) as hook,
        serve_receiver(answers(429, "", retry_after="30")) as busy,
    ):
        configure(
            tmp_path,
            {
                "wrong": {"webhook": {"url": hook.url(f"/{CANARY}")}},
                "away": {"webhook": {"url": f"http://127.0.0.1:{unused_port()}/{CANARY}"}},
                "busy": {"webhook": {"url": busy.url()}},
                "log": {"log": {}},
            },
        )
        ended = await run("notify", "test", "wrong", "away", "busy", cwd=tmp_path)

    assert ended.code == 1
    assert ended.out.splitlines() == [
        "✘ wrong: refused: answered 404 no *** here",
        "  nothing takes notices there: is the URL right?",
        "✘ away: not delivered: no connection: Connection refused",
        "  is the address right, and may this machine reach it?",
        "✘ busy: not delivered: answered 429, asks to wait 30 s",
        "  it is told too much at present; what is real is tried again",
    ]
    assert CANARY not in ended.out + ended.err


async def test_an_unknown_name_is_a_mistake_that_names_the_known_ones(tmp_path: Path) -> None:
    configure(tmp_path, {"log": {"log": {}}, "events": {"webhook": {"url": "http://127.0.0.1:9/"}}})

    unknown = await run("notify", "test", "oncall", cwd=tmp_path)
    nobody = await run("notify", "test", cwd=tmp_path)

    assert (unknown.code, unknown.out) == (2, "")
    assert "oncall: no such notifier, expected one of log, events" in unknown.err
    assert nobody.code == 2
    assert "expected the names of notifiers, or --all" in nobody.err
