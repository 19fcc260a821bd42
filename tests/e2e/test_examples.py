"""Every example is loaded, and does what it promises, against local counterparts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.authority import Authority
from tests.support.program import daemon, run
from tests.support.providers import (
    BAD,
    GOOD,
    NETLIFY_SITE,
    NETLIFY_TOKEN,
    RAILWAY_PLACE,
    RAILWAY_TOKEN,
    SECURE,
    serve_netlify,
    serve_railway,
)
from tests.support.receiver import serve_receiver
from tests.support.servers import page, serve_pages
from tests.support.slack import APP_TOKEN, TOKEN, serve_slack
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.providers import Netlify, Railway
    from tests.support.receiver import Receiver
    from tests.support.shop import Shop
    from tests.support.slack import FakeSlack

CONFIG = Path(__file__).parents[2] / "config"
EXAMPLES = CONFIG / "examples"
HOOKS = EXAMPLES / "hooks"
SITE = str(EXAMPLES / "runbook-002-site-with-functions.yml")
RAILWAY = str(EXAMPLES / "runbook-004-api-and-web.yml")


def overlay(folder: Path, changes: Mapping[str, Any]) -> str:
    """Write what a test changes of an example: addresses, and minutes that become seconds."""
    path = folder / "overlay.yml"
    path.write_text(yaml.safe_dump(dict(changes)))

    return str(path)


# All of them


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.needs("chromium")] * (path.stem == "browser"))
        for path in sorted([*EXAMPLES.glob("*.yml"), CONFIG / "monitor.yml"])
    ],
    ids=lambda path: path.name,
)
async def test_an_example_loads_where_no_variable_is_set(path: Path, tmp_path: Path) -> None:
    ended = await run("check-config", "--allow-unset", str(path), cwd=tmp_path)

    assert ended.code == 0, ended.err
    assert ": good: " in ended.out


@pytest.mark.parametrize("path", [SITE, RAILWAY], ids=["002", "004"])
async def test_a_missing_secret_is_found_before_the_deploy(path: str, tmp_path: Path) -> None:
    ended = await run("check-config", path, cwd=tmp_path)

    assert ended.code == 2
    assert "SLACK_" in ended.err
    assert "_TOKEN" in ended.err


@pytest.mark.parametrize("hook", sorted(HOOKS.iterdir()), ids=lambda path: path.name)
def test_a_hook_can_be_run(hook: Path) -> None:
    assert os.access(hook, os.X_OK)


def test_each_example_is_exercised_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.yml")} == {
        "minimal.yml",
        "full.yml",
        "browser.yml",  # by test_browser.py
        "dependencies.yml",  # by test_withholding.py
        "network.yml",  # by test_network_example.py
        "ports.yml",  # by test_ports_example.py
        "receivers.yml",  # by test_receivers.py
        "requests.yml",  # by test_request_examples.py
        "runbook-001-journey.yml",  # by test_journey_examples.py, as is the canary
        "runbook-002-canary.yml",
        "runbook-001-metrics.yml",  # by test_metrics_examples.py
        "runbook-004-metrics.yml",
        "runbook-001-post-deploy.yml",  # by test_post_deploy_example.py
        "runbook-003-escalation.yml",  # by test_escalation.py
        "runbook-002-incident.yml",  # by test_incident_example.py
        "runbook-001-backups.yml",  # by test_backup_examples.py
        "runbook-002-backups.yml",
        "runbook-000-webhook-platform.yml",  # by test_sql_examples.py
        "runbook-001-database.yml",
        "runbook-001-pre-deploy.yml",  # by test_command_examples.py
        "runbook-003-communication.yml",  # by test_slack.py
        "runbook-003-severities.yml",  # by test_severities_example.py
        "runbook-004-integration-tests.yml",
        Path(SITE).name,
        Path(RAILWAY).name,
    }


# minimal.yml and monitor.yml


async def test_the_smallest_one_tells_slack(shop: Shop, tmp_path: Path) -> None:
    shop.status = 500
    changes = overlay(tmp_path, {"endpoints": {"shop": f"{shop.url}/"}})

    async with serve_slack() as slack:
        ended = await run(
            *("--config", str(EXAMPLES / "minimal.yml"), "--config", changes),
            *("--cycles", "3", "--every", "50ms"),
            cwd=tmp_path,
            environ={"SLACK_WEBHOOK_URL": slack.webhook_url},
        )

    assert ended.code == 1, ended.err
    assert len(slack.messages) == 1
    assert "shop answers 500, expected 200" in slack.messages[0].visible.replace("2xx", "200")


async def test_what_a_fresh_install_watches_is_the_monitor_itself(tmp_path: Path) -> None:
    changes = overlay(
        tmp_path,
        {
            "web": {"listen": "127.0.0.1:${PORT}"},
            "endpoints": {"monitor": "http://127.0.0.1:${PORT}/-/healthy"},
            "defaults": {"every": "1s", "retry_every": "100ms", "timeout": "500ms"},
        },
    )

    async with daemon(tmp_path, "--config", changes, config=str(CONFIG / "monitor.yml")) as running:
        status = await running.until(lambda status: status["checks"][0]["state"] == "pass")

    assert [check["check"] for check in status["checks"]] == ["monitor.health"]


# full.yml


async def test_the_long_one_watches_and_tells_everyone(tmp_path: Path) -> None:
    body = {"version": "1.2", "database": {"status": "connected"}}
    rate = {"status": "success", "data": {"resultType": "vector", "result": []}}
    pages = {
        "/": page(b'<div id="live-stream"></div>', headers=SECURE),
        "/health": page(json.dumps(body).encode()),
        "/status": page(b"down", status=500),
        "/api/v1/query": page(json.dumps(rate).encode()),
        "/api/register": page(b'{"token": "journey-canary"}'),
        "/api/verify": page(),
        "/api/canary": page(),
    }
    example = yaml.safe_load((EXAMPLES / "full.yml").read_text())
    steps = example["endpoints"]["signup"]["journey"]
    authority = Authority(tmp_path)
    async with (
        serve_pages(pages, tls=authority.context()) as site,
        serve_slack() as slack,
        serve_receiver() as events,
    ):
        url = site.url(host="localhost")
        changes = overlay(
            tmp_path,
            {
                "store": "sqlite:///monitor.db",
                "witnesses": [],
                "notifiers": {
                    "oncall": {"slack": {"base_url": slack.base_url}},
                    "events": {"webhook": {"url": events.url()}},
                },
                "endpoints": {
                    "homepage": {"url": url},
                    "api": {"url": f"{url}health"},
                    "warehouse": {"url": f"{url}status"},
                    "documentation": {"url": url},
                    "prom-error-rate": {"metrics": {"prometheus": url}},
                    "signup": {
                        "journey": [
                            step | {"url": step["url"].replace("https://shop.example/", url)}
                            for step in steps
                        ]
                    },
                },
            },
        )
        ended = await run(
            *("--config", str(EXAMPLES / "full.yml"), "--config", changes),
            *("--cycles", "3", "--every", "50ms", "--output", "json"),
            cwd=tmp_path,
            environ={
                "SSL_CERT_FILE": str(authority.file),
                "SLACK_BOT_TOKEN": TOKEN,
                "SLACK_APP_TOKEN": APP_TOKEN,
                "SLACK_WEBHOOK_URL": slack.webhook_url,
                "HOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "API_TOKEN": "api-canary",
                "DEPLOY_TOKEN": "deploy-canary-0123456789abcdef",
                "ONCALL_TOKEN": "oncall-canary-0123456789abcdef",
                "RELEASE_TOKEN": "release-canary",
                "ADMIN_TOKEN": "admin-canary",
                "BACKUP_PING_KEY": "backup-canary-0123456789",
            },
        )

    verdicts = {check["check"]: check["verdict"] for check in ended.json()["checks"]}
    assert ended.code == 1, ended.err
    assert verdicts.pop("warehouse.health") == "fail"
    assert set(verdicts.values()) == {"pass", "waiting"}
    assert len(slack.messages) == 1, "its routes call the others for the storefront alone"
    assert "warehouse answers 500" in slack.messages[0].visible
    assert events.received == []
    assert "canary" not in ended.out + ended.err


# Runbook 002


def site_environment(netlify: Netlify, authority: Authority) -> dict[str, str]:
    return {
        "SSL_CERT_FILE": str(authority.file),
        "SITE_URL": netlify.site,
        "SLACK_BOT_TOKEN": TOKEN,
        "NETLIFY_AUTH_TOKEN": NETLIFY_TOKEN,
        "NETLIFY_SITE": NETLIFY_SITE,
        "CANARY_TOKEN": "canary-of-tests",
    }


def site_overlay(folder: Path, slack: FakeSlack, netlify: Netlify) -> str:
    hook = {
        "run": [str(HOOKS / "netlify-restore")],
        "env": {
            "NETLIFY_AUTH_TOKEN": "${NETLIFY_AUTH_TOKEN}",
            "NETLIFY_SITE": "${NETLIFY_SITE}",
            "NETLIFY_API": netlify.api,
        },
    }

    return overlay(
        folder,
        {
            "web": {"listen": "127.0.0.1:${PORT:-9797}"},
            "defaults": {"retry_every": "100ms", "timeout": "500ms"},
            "notifiers": {"oncall": {"slack": {"base_url": slack.base_url}}},
            "endpoints": {"send-sms": {"failure_rate": {"over": "4s", "min_samples": 8}}},
            "services": {
                "site": {
                    "rollback": {
                        "mode": "automatic",
                        "certify_after": "1s",
                        "steps": [{"command": hook}],
                    }
                }
            },
        },
    )


async def test_the_site_is_checked_once_after_a_deploy(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve_netlify(authority.context()) as netlify:
        environ = site_environment(netlify, authority)
        good = await run(
            *("--config", SITE, "--cycles", "1", "--tag", "smoke"), cwd=tmp_path, environ=environ
        )
        netlify.published = "deploy-2"
        bad = await run(
            *("--config", SITE, "--cycles", "1", "--tag", "smoke"), cwd=tmp_path, environ=environ
        )

    assert good.code == 0, good.out + good.err
    assert netlify.sms[0] == {"dry_run": True}
    assert netlify.pages >= 21
    assert bad.code == 1
    assert "status is 502, expected 200" in bad.out
    assert netlify.restored == []


async def test_a_burst_that_is_limited_and_a_page_without_its_container_fail(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    async with serve_netlify(authority.context()) as netlify:
        environ = site_environment(netlify, authority)
        netlify.limit, netlify.page = 10, "<h1>Party</h1>"
        ended = await run(
            *("--config", SITE, "--cycles", "1", "--output", "json"),
            *("--endpoint", "rate-limit", "--endpoint", "homepage", "--no-notify"),
            cwd=tmp_path,
            environ=environ,
        )

    told = {one["check"]: one["reasons"] for one in ended.json()["checks"]}
    assert ended.code == 1
    assert told["rate-limit.health"][0]["message"].startswith("status is 429, expected 200 (")
    assert told["homepage.health"][0]["message"].startswith("html #live-stream is absent")


async def test_a_bad_deploy_of_the_site_is_restored_by_netlify(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serve_netlify(authority.context()) as netlify, serve_slack() as slack:
        environ = {**site_environment(netlify, authority), "MONITOR_INTERVAL": "500"}
        changes = site_overlay(tmp_path, slack, netlify)
        async with daemon(tmp_path, "--config", changes, config=SITE, environ=environ) as running:
            await running.until(
                lambda status: any(
                    deploy["version"] == GOOD and deploy["certified_at"]
                    for deploy in status["deploys"]
                )
            )

            netlify.published = "deploy-2"

            status = await running.until(
                lambda status: (
                    any(one["state"] == "recovered" for one in status["rollbacks"])
                    and all(one["resolved_at"] for one in status["incidents"])
                )
            )
            await until(lambda: "recovered" in slack.messages[-1].text)
            said = running.said()

    (incident,) = status["incidents"]
    (rollback,) = [one for one in status["rollbacks"] if one["state"] == "recovered"]
    assert netlify.restored == ["deploy-1"]
    assert (rollback["from"], rollback["to"]) == (BAD, GOOD)
    assert incident["checks"][0]["check"] == "send-sms.health"
    assert "5 times in a row" in incident["timeline"][0]["text"]
    assert f"restored deploy deploy-1 of commit {GOOD}" in rollback["steps"][0]["output"]
    assert len(slack.first_posts) == 1
    assert NETLIFY_TOKEN not in said + json.dumps(status)


async def test_observing_the_site_restores_nothing_and_says_what_it_would_have_done(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    async with serve_netlify(authority.context()) as netlify, serve_slack() as slack:
        environ = {**site_environment(netlify, authority), "MONITOR_INTERVAL": "5000"}
        changes = overlay(
            tmp_path,
            {
                "defaults": {"timeout": "5s", "retry_every": "100ms"},
                "notifiers": {"oncall": {"slack": {"base_url": slack.base_url}}},
            },
        )
        chosen = ("--config", SITE, "--config", changes)
        rounds = ("--every", "100ms", "--cycles")
        await run(*chosen, *rounds, "2", cwd=tmp_path, environ=environ)
        netlify.published = "deploy-2"
        bad = await run(*chosen, *rounds, "6", cwd=tmp_path, environ=environ)
        told = await run("status", *chosen, "--output", "json", cwd=tmp_path, environ=environ)

    assert bad.code == 1
    assert netlify.restored == []
    assert told.json()["rollbacks"][-1]["blocked"] == "MODE"
    assert len(slack.first_posts) == 1


# Runbook 004


def railway_environment(railway: Railway, slack: FakeSlack, alerts: Receiver) -> dict[str, str]:
    return {
        "API_HEALTH_URL": f"{railway.url}/api",
        "WEB_HEALTH_URL": f"{railway.url}/web",
        "ALERT_WEBHOOK_URL": alerts.url(),
        "SLACK_WEBHOOK_URL": slack.webhook_url,
        "RAILWAY_TOKEN": RAILWAY_TOKEN,
        **RAILWAY_PLACE,
    }


def railway_overlay(folder: Path, railway: Railway) -> str:
    hook = {
        "run": [str(HOOKS / "railway-rollback")],
        "env": {
            "RAILWAY_TOKEN": "${RAILWAY_TOKEN}",
            "RAILWAY_API": f"{railway.url}/graphql/v2",
            **{name: f"${{{name}}}" for name in RAILWAY_PLACE},
        },
    }
    rollback = {"certify_after": "1s", "steps": [{"command": hook}]}

    return overlay(
        folder,
        {
            "defaults": {"retry_every": "100ms"},
            "services": {"api": {"rollback": rollback}},
        },
    )


async def test_after_a_deploy_up_to_ten_attempts_are_made(tmp_path: Path) -> None:
    async with (
        serve_railway() as railway,
        serve_slack() as slack,
        serve_receiver() as alerts,
    ):
        environ = railway_environment(railway, slack, alerts)
        chosen = ("--config", RAILWAY, "--cycles", "10", "--every", "50ms", "--until", "pass")
        railway.warm_after = 2
        warm = await run(*chosen, cwd=tmp_path, environ=environ)
        asked = railway.asked
        railway.active = "deployment-2"
        broken = await run(*chosen, "--no-hooks", cwd=tmp_path, environ=environ)

    assert (warm.code, asked) == (0, 3), warm.out + warm.err
    assert (broken.code, railway.asked) == (1, 13)
    assert railway.rolled_back_to == []


async def test_a_scheduled_run_annotates_and_posts_the_four_fields(tmp_path: Path) -> None:
    async with (
        serve_railway() as railway,
        serve_slack() as slack,
        serve_receiver() as alerts,
    ):
        railway.active = "deployment-2"
        ended = [
            await run(
                *("--config", RAILWAY, "--cycles", "1", "--output", "github"),
                cwd=tmp_path,
                environ=railway_environment(railway, slack, alerts),
            )
            for _ in range(3)
        ]
        (alert,) = await alerts.wait_for(1)

    assert [one.code for one in ended] == [1, 1, 1]
    annotation, summary = ended[-1].out.splitlines()
    assert annotation.startswith("::error file=")
    assert "runbook-004-api-and-web.yml,line=" in annotation
    assert "status is 503, expected 200" in annotation
    assert summary == "fail: 4 checks: 1 pass, 1 fail, 2 waiting"
    assert (alert.json["service"], alert.json["environment"]) == ("api", "production")
    assert "api answers 503, expected 200" in alert.json["text"]
    assert alert.json["timestamp"].endswith(("Z", "+00:00"))
    assert "; rollback blocked: NO_DEPLOY (no deploy" in alert.json["text"]
    assert len(slack.messages) == 1


async def test_a_bad_deploy_of_the_api_is_rolled_back_by_railway(tmp_path: Path) -> None:
    async with (
        serve_railway() as railway,
        serve_slack() as slack,
        serve_receiver() as alerts,
    ):
        environ = railway_environment(railway, slack, alerts)
        chosen = ("--config", RAILWAY, "--config", railway_overlay(tmp_path, railway))
        rounds = ("--cycles", "8", "--every", "200ms")
        good = await run(*chosen, *rounds, cwd=tmp_path, environ=environ)
        railway.active = "deployment-2"
        bad = await run(*chosen, *rounds, "--output", "json", cwd=tmp_path, environ=environ)
        told = await run("status", *chosen, "--output", "json", cwd=tmp_path, environ=environ)

    assert good.code == 0, good.out + good.err
    assert bad.code == 0, bad.out + bad.err
    assert railway.rolled_back_to == ["deployment-1"]
    assert railway.asked_for[0]["serviceId"] == "service-1"
    (rollback,) = told.json()["rollbacks"]
    assert (rollback["state"], rollback["from"], rollback["to"]) == ("recovered", BAD, GOOD)
    events = [one.json["event"] for one in alerts.received]
    assert events[0] == "opened"
    assert "rollback" in events
    assert events[-1] == "resolved"
    assert RAILWAY_TOKEN not in bad.out + bad.err + told.out
