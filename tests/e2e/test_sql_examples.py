"""The examples of databases, against a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.databases import QUOTED, DatabaseServer, serve_postgresql
from tests.support.program import run
from tests.support.slack import serve_slack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.program import Ended

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
WEBHOOKS = str(EXAMPLES / "runbook-000-webhook-platform.yml")
DATABASE = str(EXAMPLES / "runbook-001-database.yml")
SCHEMA = """
\\c shop
CREATE TABLE webhook_events (client_id text, status text,
  created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE migrations (name text, applied_at timestamptz DEFAULT now());
CREATE TABLE jobs (id text, escrow_state text, escrow_pending boolean, updated_at timestamptz);
CREATE TABLE applications (id int, job_id text);
INSERT INTO migrations VALUES ('0041_reviews');
INSERT INTO jobs VALUES ('job-7', 'deploying', true, now() - interval '5 minutes');
INSERT INTO applications VALUES (1, 'job-7');
"""
pytestmark = pytest.mark.needs("pg_ctlcluster", "setpriv", "psql")


@pytest.fixture(scope="module")
def started() -> Iterator[DatabaseServer]:
    with serve_postgresql() as server:
        server.run(SCHEMA)
        yield server


@pytest.fixture
def server(started: DatabaseServer) -> Iterator[DatabaseServer]:
    yield started
    started.run(
        "\\c shop\nTRUNCATE webhook_events; DELETE FROM jobs WHERE id <> 'job-7';"
        "DELETE FROM applications WHERE id <> 1;"
        "DELETE FROM migrations WHERE name <> '0041_reviews'"
    )


def add_events(server: DatabaseServer, client: str, count: int, *, status: str, took: str) -> None:
    server.run(
        "\\c shop\nINSERT INTO webhook_events "
        f"SELECT '{client}', '{status}', now() - interval '{took}', now() "
        f"FROM generate_series(1, {count})"
    )


def environ(server: DatabaseServer, url: str = "") -> dict[str, str]:
    return {
        "DATABASE_URL": url or server.url(),
        "STAGING_DATABASE_URL": url or server.url(),
        "ESCROW_DATABASE_URL": server.url(),
        "MIGRATION": "0042_escrows",
        "SLACK_WEBHOOK_URL": "http://127.0.0.1:1/",
    }


async def look(
    config: str,
    folder: Path,
    server: DatabaseServer,
    *options: str,
    changes: dict[str, Any] | None = None,
    url: str = "",
) -> tuple[Ended, list[str]]:
    """Watch by an example; give how it ended, and what Slack was told."""
    overlay = folder / "overlay.yml"
    overlay.write_text(yaml.safe_dump(changes or {"environment": "test"}))
    async with serve_slack() as slack:
        ended = await run(
            *("--config", config, "--config", str(overlay), "--output", "json", *options),
            cwd=folder,
            environ={**environ(server, url), "SLACK_WEBHOOK_URL": slack.webhook_url},
        )
    assert QUOTED not in ended.out + ended.err

    return ended, [one.visible for one in slack.messages]


def verdicts(ended: Ended) -> dict[str, str]:
    return {one["check"]: one["verdict"] for one in ended.json()["checks"]}


def said(ended: Ended) -> dict[str, str]:
    return {
        one["check"]: one["reasons"][0]["message"]
        for one in ended.json()["checks"]
        if one["reasons"]
    }


async def test_webhooks_that_are_delivered_are_healthy(
    server: DatabaseServer, tmp_path: Path
) -> None:
    add_events(server, "acme", 3, status="failed", took="1 second")
    add_events(server, "acme", 3, status="sent", took="1 second")
    ended, _ = await look(WEBHOOKS, tmp_path, server, "--cycles", "1")

    assert ended.code == 0, ended.out + ended.err
    assert verdicts(ended) == {
        "database.health": "pass",
        "webhook-errors.value": "pass",
        "dead-letters.value": "pass",
        "delivery-latency.value": "waiting",
        "failed-by-client.value": "pass",
    }


async def test_an_alert_names_the_clients_whose_webhooks_fail(
    server: DatabaseServer, tmp_path: Path
) -> None:
    add_events(server, "acme", 3, status="failed", took="1 second")
    add_events(server, "globex", 40, status="failed", took="1 second")
    add_events(server, "initech", 70, status="failed", took="1 second")
    ended, told = await look(WEBHOOKS, tmp_path, server, "--cycles", "3", "--every", "50ms")

    messages = said(ended)
    assert ended.code == 1
    assert "113" in messages["webhook-errors.value"]
    assert "113" in messages["dead-letters.value"]
    assert messages["failed-by-client.value"] == (
        'failed is 70 for client_id "initech", 40 for client_id "globex" '
        "(2 of 3 rows), expected less than 10"
    )
    assert any('"initech"' in one for one in told)


async def test_slow_deliveries_are_a_latency_in_seconds(
    server: DatabaseServer, tmp_path: Path
) -> None:
    add_events(server, "acme", 3, status="sent", took="2 minutes")
    changes = {
        "endpoints": {
            "delivery-latency": {
                "every": "100ms",
                "timeout": "100ms",
                "value": {"window": "1s", "min_samples": 1, "failure_threshold": 1},
            }
        }
    }
    ended, _ = await look(
        *(WEBHOOKS, tmp_path, server, "--cycles", "15", "--every", "100ms"),
        changes=changes,
    )

    assert verdicts(ended)["delivery-latency.value"] == "fail"
    assert "120" in said(ended)["delivery-latency.value"]


async def test_a_database_that_is_down_is_told_once(server: DatabaseServer, tmp_path: Path) -> None:
    ended, _ = await look(
        *(WEBHOOKS, tmp_path, server, "--cycles", "1"),
        url="postgresql://monitor:pw@127.0.0.1:1/shop",
    )

    assert verdicts(ended) == {
        "database.health": "fail",
        "webhook-errors.value": "unknown",
        "dead-letters.value": "unknown",
        "delivery-latency.value": "waiting",
        "failed-by-client.value": "unknown",
    }
    assert said(ended)["database.health"] == "127.0.0.1:1 refused the connection"


async def test_a_migration_is_verified_before_a_deploy(
    server: DatabaseServer, tmp_path: Path
) -> None:
    server.run("\\c shop\nINSERT INTO applications VALUES (2, 'job-0')")
    options = (DATABASE, tmp_path, server, "--cycles", "1", "--tag", "pre-deploy")
    wrong, _ = await look(*options)
    server.run(
        "\\c shop\nDELETE FROM applications WHERE id = 2;"
        "INSERT INTO migrations VALUES ('0042_escrows', now() + interval '1 minute')"
    )
    right, _ = await look(*options)

    assert wrong.code == 1
    assert said(wrong) == {
        "migrated.value": 'value is "0041_reviews", expected "0042_escrows"',
        "orphans.health": "rows has 1 row, expected 0",
    }
    assert right.code == 0, right.out + right.err


async def test_an_escrow_that_hangs_is_named(server: DatabaseServer, tmp_path: Path) -> None:
    server.run(
        "\\c shop\nINSERT INTO jobs VALUES ('job-8', 'deploying', true, now() - interval '2 hours')"
    )
    ended, _ = await look(
        *(DATABASE, tmp_path, server, "--cycles", "2", "--every", "50ms", "--no-hooks")
    )

    message = said(ended)["stuck-escrows.value"]
    assert verdicts(ended)["stuck-escrows.value"] == "fail"
    assert 'job "job-8"' in message
    assert "job-7" not in message
    assert "(1 of 2 rows), expected less than 1800" in message


async def remedied(
    server: DatabaseServer, folder: Path, *, recover_within: str = ""
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Let the example run until its remedy has ended; give that, and its incident's timeline."""
    changes: dict[str, Any] = {
        "endpoints": {
            "stuck-escrows": {
                "every": "10s",
                "retry_every": "100ms",
                "tags": ["escrow"],
            }
        },
        "services": {"escrow": {"remedy": {"verify": {"within": "20s"}}}},
    }
    if recover_within:
        example = yaml.safe_load(Path(DATABASE).read_text())["services"]["escrow"]["remedy"]
        levels = example["levels"]
        levels[0]["recover_within"] = recover_within
        for level in levels:
            command = level["steps"][0]["command"]
            command["run"] = [str(EXAMPLES / command["run"][0])]
        changes["services"]["escrow"]["remedy"]["levels"] = levels
    options = (DATABASE, folder, server, "--tag", "escrow", "--cycles", "3", "--every", "100ms")
    ended, _ = await look(*options, changes=changes)
    assert ended.code in (0, 1), ended.out + ended.err
    again, _ = await look(*options, changes=changes)  # what was tried is not tried again
    status = await run(
        *("status", "--config", DATABASE, "--config", "overlay.yml", "--output", "json"),
        cwd=folder,
        environ=environ(server),
    )
    found = status.json()
    (remedy,) = found["rollbacks"]
    (incident,) = [one for one in found["incidents"] if one["id"] == remedy["incident"]]
    assert again.code == 0, again.out + again.err

    return remedy, incident["timeline"]


def stick(server: DatabaseServer, state: str) -> None:
    """Let a job hang, as far as it got."""
    server.run(
        f"\\c shop\nINSERT INTO jobs VALUES ('job-8', '{state}', true, now() - interval '2 hours')"
    )


def escrow(server: DatabaseServer) -> str:
    return server.run("\\c shop\nSELECT escrow_state FROM jobs WHERE id = 'job-8'").strip()


async def test_an_escrow_that_was_retried_in_vain_is_rolled_back_once_and_it_is_in_the_timeline(
    server: DatabaseServer, tmp_path: Path
) -> None:
    stick(server, "retrying")
    remedy, timeline = await remedied(server, tmp_path)

    assert (remedy["kind"], remedy["state"], remedy["level"]) == ("remedy", "recovered", 2)
    assert escrow(server) == "rolled_back"
    assert [(one["name"], one["state"]) for one in remedy["steps"]] == [
        ("escrow.retry", "failed"),
        ("escrow.rollback", "done"),
    ]
    assert [one["output"] for one in remedy["steps"]] == [
        "no job is left that was not tried again already\n",
        "rolled back: job-8\n",
    ]
    undone = [one for one in timeline if one["event"] == "escrow.rollback"]
    assert [one["details"]["step_state"] for one in undone] == ["started", "done"]
    assert (
        undone[1]["details"]
        | {
            "remedy_id": remedy["id"],
            "step": f"{remedy['id']}.2.1",
            "step_kind": "command",
            "level": "2",
            "attempt": "1",
            "outcome": "exit 0",
        }
        == undone[1]["details"]
    )


async def test_an_escrow_that_a_retry_does_not_help_is_rolled_back_after_its_time(
    server: DatabaseServer, tmp_path: Path
) -> None:
    stick(server, "deploying")
    remedy, _ = await remedied(server, tmp_path, recover_within="500ms")

    assert (remedy["state"], remedy["level"]) == ("recovered", 2)
    assert [one["state"] for one in remedy["steps"]] == ["done", "done"]
    assert escrow(server) == "rolled_back"


async def test_an_escrow_that_a_retry_helps_is_not_rolled_back(
    server: DatabaseServer, tmp_path: Path
) -> None:
    stick(server, "deploying")
    server.run(
        "\\c shop\nCREATE FUNCTION works() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.escrow_pending := false; RETURN NEW; END $$;"
        "CREATE TRIGGER works BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION works()"
    )
    try:
        remedy, _ = await remedied(server, tmp_path)
    finally:
        server.run("\\c shop\nDROP TRIGGER works ON jobs; DROP FUNCTION works")

    assert (remedy["state"], remedy["level"]) == ("recovered", 1)
    assert [one["name"] for one in remedy["steps"]] == ["escrow.retry"]
    assert escrow(server) == "retrying"
