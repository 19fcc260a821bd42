"""The examples of commands, with scripts of an application that `npm run` finds."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.support.program import run
from tests.support.providers import BAD, GOOD, RAILWAY_PLACE, RAILWAY_TOKEN, serve_railway
from tests.support.servers import page, serve_pages
from tests.support.slack import serve_slack

if TYPE_CHECKING:
    from tests.support.program import Ended
    from tests.support.servers import Counterpart

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
PRE_DEPLOY = str(EXAMPLES / "runbook-001-pre-deploy.yml")
INTEGRATION = str(EXAMPLES / "runbook-004-integration-tests.yml")
GOOD_SCHEMA = '{"missing_tables": [], "missing_indexes": []}'


def write_app(folder: Path, **scripts: str) -> dict[str, str]:
    """Make an application whose scripts are these, and an npm that runs them; give variables."""
    app, binaries = folder / "app", folder / "bin"
    app.mkdir(exist_ok=True)
    binaries.mkdir(exist_ok=True)
    (app / "package.json").write_text(json.dumps({"scripts": scripts}))
    npm = binaries / "npm"
    npm.write_text(
        "#!/usr/bin/env python3\n"
        "import json, os, sys\n"
        "assert sys.argv[1:3] == ['run', '--silent']\n"
        "script = json.load(open('package.json'))['scripts'][sys.argv[3]]\n"
        "os.execv('/bin/sh', ['sh', '-c', script])\n"
    )
    npm.chmod(0o755)

    return {"APP_DIR": str(app), "PATH": f"{binaries}:{os.environ['PATH']}"}


async def check(folder: Path, site: Counterpart, *options: str, **scripts: str) -> Ended:
    """Go through the checklist of an application with these scripts."""
    good = {
        "db:dry-run": "echo 3 migrations would be applied",
        "db:verify": f"echo '{GOOD_SCHEMA}'",
        "db:slow-queries": "echo 2",
    }
    names = {name.replace("_", ":", 1).replace("_", "-"): text for name, text in scripts.items()}

    return await run(
        *("--config", PRE_DEPLOY, "--cycles", "1", "--tag", "pre-deploy", *options),
        cwd=folder,
        environ={
            **write_app(folder, **{**good, **names}),
            "STAGING_DATABASE_URL": "postgresql://app:db-canary@127.0.0.1:1/app",
            "STAGING_URL": site.url().rstrip("/"),
            "STAGING_ADMIN_TOKEN": "admin-canary",
            "PRODUCTION_URL": "http://127.0.0.1:1",
        },
    )


async def test_a_checklist_that_is_met_says_that_it_may_be_deployed(tmp_path: Path) -> None:
    async with serve_pages({"/api/admin/health": page(b"{}")}) as site:
        ended = await check(tmp_path, site, "--output", "json")

    report = ended.json()
    assert ended.code == 0, ended.out + ended.err
    assert {one["check"] for one in report["checks"]} == {
        "migrations.health",
        "schema.health",
        "slow-queries.health",
        "slow-queries.value",
        "staging.health",
    }


async def test_each_thing_that_is_wrong_before_a_deploy_is_named_in_the_report(
    tmp_path: Path,
) -> None:
    async with serve_pages({"/api/admin/health": page(b"{}")}) as site:
        ended = await check(
            tmp_path,
            site,
            "--output",
            "json",
            db_dry_run='echo "$DATABASE_URL"; echo "migration 0042: no such column"; exit 1',
            db_verify='echo \'{"missing_tables": [], "missing_indexes": ["orders_by_day"]}\'',
            db_slow_queries="echo 12",
        )

    said = {
        one["check"]: one["reasons"][0]["message"]
        for one in ended.json()["checks"]
        if one["verdict"] == "fail"
    }
    assert ended.code == 1
    assert said["migrations.health"] == (
        "exit code is 1, expected 0: migration 0042: no such column"
    )
    assert "orders_by_day" in said["schema.health"]
    assert said["slow-queries.value"] == "value is 12, expected less than 10"
    assert len(said) == 3
    assert "db-canary" not in ended.out + ended.err


async def test_a_check_that_could_not_be_run_is_no_reason_to_deploy(tmp_path: Path) -> None:
    async with serve_pages({"/api/admin/health": page(b"{}")}) as site:
        changes = tmp_path / "overlay.yml"
        program = tmp_path / "gone"
        program.write_text("#!/no/such/shell\n")
        program.chmod(0o755)
        changes.write_text(
            yaml.safe_dump({"endpoints": {"migrations": {"command": {"run": [str(program)]}}}})
        )
        ended = await check(tmp_path, site, "--config", str(changes), "--output", "json")

    verdicts = {one["check"]: one["verdict"] for one in ended.json()["checks"]}
    assert ended.code == 3
    assert verdicts["migrations.health"] == "unknown"


async def test_tests_that_fail_after_a_deploy_roll_it_back(tmp_path: Path) -> None:
    ask = (
        "python3 -c 'import os, urllib.request as r;"
        ' r.urlopen(os.environ["API_URL"] + "/health").read()\' 2>/dev/null'
        " || { echo 1 of 40 tests failed; exit 1; }"
    )
    app = write_app(tmp_path, **{"test:integration:production": ask})
    hook = {
        "run": [str(EXAMPLES / "hooks" / "railway-rollback")],
        "env": {"RAILWAY_TOKEN": "${RAILWAY_TOKEN}"}
        | {name: f"${{{name}}}" for name in (*RAILWAY_PLACE, "RAILWAY_API")},
    }
    rollback = {"certify_after": "300ms", "steps": [{"command": hook}]}
    changes = tmp_path / "overlay.yml"
    changes.write_text(
        yaml.safe_dump(
            {"witnesses": [], "services": {"api": {"rollback": rollback}}},
        )
    )
    async with serve_railway() as railway, serve_slack() as slack:
        environ = {
            **app,
            **RAILWAY_PLACE,
            "API_HEALTH_URL": f"{railway.url}/api",
            "SLACK_WEBHOOK_URL": slack.webhook_url,
            "RAILWAY_TOKEN": RAILWAY_TOKEN,
            "RAILWAY_API": f"{railway.url}/graphql/v2",
        }
        chosen = ("--config", INTEGRATION, "--config", str(changes))
        rounds = ("--cycles", "7", "--every", "150ms")
        good = await run(*chosen, *rounds, cwd=tmp_path, environ=environ)
        railway.active = "deployment-2"
        bad = await run(*chosen, *rounds, cwd=tmp_path, environ=environ)
        told = await run("status", *chosen, "--output", "json", cwd=tmp_path, environ=environ)

    assert good.code == 0, good.out + good.err
    assert bad.code == 0, bad.out + bad.err
    assert railway.rolled_back_to == ["deployment-1"]
    (rollback_told,) = told.json()["rollbacks"]
    assert rollback_told["state"] == "recovered"
    assert (rollback_told["from"], rollback_told["to"]) == (BAD, GOOD)
    assert "1 of 40 tests failed" in " ".join(one.visible for one in slack.messages)
