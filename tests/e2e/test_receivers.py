"""Slack, mail and phone together, and Alertmanager over a restart: a daemon and receivers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.authority import Authority
from tests.support.mail import MAILBOX_PASSWORD, MAILBOX_USER, serve_mailbox
from tests.support.pagerduty import ROUTING_KEY, serve_pagerduty
from tests.support.program import daemon, run
from tests.support.receiver import answers, serve_receiver
from tests.support.slack import TOKEN, serve_slack
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.shop import Shop

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "receivers.yml"
QUICK = {"every": "200ms", "retry_every": "100ms", "timeout": "150ms"}


async def test_the_example_tells_the_team_and_the_phone_and_mail_in_place_of_slack(
    shop: Shop, tmp_path: Path
) -> None:
    shop.status = 500
    authority = Authority(tmp_path)
    async with (
        serve_slack() as slack,
        serve_pagerduty() as pagerduty,
        serve_mailbox(tls=authority.context(), login=True) as mailbox,
    ):
        mail = {
            "host": "127.0.0.1",
            "port": mailbox.port,
            "username": MAILBOX_USER,
            "ca_file": str(authority.file),
        }
        changes = {
            "web": {"listen": "127.0.0.1:${PORT}"},
            "defaults": QUICK,
            "notifiers": {
                "team": {"slack": {"base_url": slack.base_url, "channel": "#nowhere"}},
                "mail": {"email": mail},
                "phone": {"pagerduty": {"base_url": pagerduty.base_url}},
            },
            "endpoints": {"shop": f"{shop.url}/"},
        }
        overlay = tmp_path / "overlay.yml"
        overlay.write_text(yaml.safe_dump(changes))
        environ = {
            "SLACK_BOT_TOKEN": TOKEN,
            "MAIL_PASSWORD": MAILBOX_PASSWORD,
            "PAGERDUTY_KEY": ROUTING_KEY,
        }
        async with daemon(
            tmp_path, "--config", str(overlay), config=str(EXAMPLE), environ=environ
        ) as running:
            await until(lambda: pagerduty.alerts and mailbox.mails)
            shop.status = 200
            await until(lambda: pagerduty.alerts[0].status == "resolved")
            await until(lambda: len(mailbox.mails) == 2)
            said = running.said()

    opened, over = (one.message for one in mailbox.mails)
    assert slack.messages == []
    assert opened["To"] == "on-call@shop.example, team-lead@shop.example"
    assert opened["Subject"].startswith("[HIGH] shop answers 500")
    assert over["Subject"].startswith("[RESOLVED] shop ")
    assert len(pagerduty.alerts) == 1
    for secret in (MAILBOX_PASSWORD, ROUTING_KEY, TOKEN):
        assert secret not in said


async def test_after_a_restart_alertmanager_is_told_again_at_once(
    shop: Shop, tmp_path: Path
) -> None:
    shop.status = 500
    async with serve_receiver(then=answers(200, "")) as alertmanager:
        text = {
            "web": {"listen": "127.0.0.1:${PORT}"},
            "defaults": QUICK,
            "notifiers": {"am": {"alertmanager": {"urls": [alertmanager.origin]}}},
            "endpoints": {"shop": f"{shop.url}/"},
        }
        (tmp_path / "monitor.yml").write_text(yaml.safe_dump(text))
        async with daemon(tmp_path) as running:
            await alertmanager.wait_for(1)
            await running.until(lambda status: status["incidents"])
            await running.stop()
        before = len(alertmanager.received)
        async with daemon(tmp_path):
            await alertmanager.wait_for(before + 1)

    [first] = alertmanager.received[0].json
    [again] = alertmanager.received[before].json
    assert again["labels"] == first["labels"]
    assert again["startsAt"] == first["startsAt"]
    assert datetime.fromisoformat(again["endsAt"]) > datetime.now(UTC)


@pytest.mark.needs("prometheus-alertmanager")
async def test_a_run_tells_a_real_alertmanager(shop: Shop, tmp_path: Path) -> None:
    from tests.support.alertmanager import serve_alertmanager

    shop.status = 500
    async with serve_alertmanager(tmp_path / "am", "http://127.0.0.1:9/") as alertmanager:
        text = {
            "notifiers": {"am": {"alertmanager": {"urls": [alertmanager.url]}}},
            "endpoints": {"shop": f"{shop.url}/"},
        }
        (tmp_path / "monitor.yml").write_text(yaml.safe_dump(text))
        ended = await run("--cycles", "3", "--every", "50ms", cwd=tmp_path)
        [alert] = await alertmanager.alerts()
        examined = await run("doctor", cwd=tmp_path)

    assert ended.code == 1, ended.err
    assert alert["labels"]["service"] == "shop"
    assert re.search(r"am .*is Alertmanager 0\.", " ".join(examined.out.split()))
