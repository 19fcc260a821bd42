"""`check-config` and `schema`: every mistake at once, nothing secret shown, and the exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from tests.support.program import run

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "endpoints:\n  shop: http://127.0.0.1:9/\n"
SECRETS = {
    "PASSWORD": "url-password-canary",
    "BEARER": "bearer-canary",
    "COOKIE": "cookie-canary",
    "BASIC": "basic-canary",
    "HOOK": "https://hooks.example/services/webhook-canary",
    "SIGNING": "whsec_c2lnbmluZy1jYW5hcnktMDEyMw==",
    "BOT": "xoxb-bot-canary",
    "STEP": "step-canary",
    "API": "web-token-canary-0123456789abcdef",
}
EVERY_SECRET = """\
web:
  tokens: [{name: ci, scope: deploy, token: "${API}"}]
notifiers:
  hook: {slack: {webhook_url: "${HOOK}"}}
  bot: {slack: {token: "${BOT}", channel: "#on-call"}}
  events: {webhook: {url: "https://ops.example/", secret: "${SIGNING}"}}
services:
  shop:
    rollback:
      mode: automatic
      steps:
        - command: {run: [/bin/true], env: {TOKEN: "${STEP}"}}
        - webhook:
            url: https://ops.example/
            headers: {Authorization: "Bearer ${file:secret.txt}"}
endpoints:
  shop:
    url: "https://ana:${PASSWORD}@shop.example/"
    request: {headers: {Authorization: "Bearer ${BEARER}", Cookie: "session=${COOKIE}"}}
  stock:
    url: https://stock.example/
    request: {auth: {basic: {username: ana, password: "${BASIC}"}}}
"""


async def test_a_good_file_is_summed_up(tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(GOOD + "notifiers: {log: {log: {}}}\n")

    ended = await run("check-config", cwd=tmp_path)

    assert ended.code == 0
    assert ended.err == ""
    assert ended.out == (
        "monitor.yml: good: 1 endpoint with 1 check, 1 notifier, 0 services with a rollback\n"
    )


async def test_what_is_likely_to_be_regretted_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(EVERY_SECRET)
    (tmp_path / "secret.txt").write_text("file-canary\n")

    ended = await run("check-config", cwd=tmp_path, environ=SECRETS | {"API": "short-canary"})

    assert ended.code == 0
    token, witnesses = ended.err.splitlines()
    assert token.startswith("warning: web.tokens: the token of ci has fewer than 16 characters")
    assert witnesses.startswith("warning: witnesses: there are none, and shop is rolled back")
    assert "canary" not in ended.err


async def test_every_mistake_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(
        "endpoints:\n  shop:\n    url: http://127.0.0.1/\n    every: 5\n    timeuot: 1s\n"
        "  stock: ftp://stock.example/\n"
    )

    ended = await run("check-config", cwd=tmp_path)

    assert ended.code == 2
    assert ended.out == ""
    first, second, third, last = ended.err.splitlines()
    assert first.startswith("monitor.yml:4:12: endpoints.shop.every: expected a duration")
    assert second.startswith("monitor.yml:5:5: endpoints.shop")
    assert "did you mean timeout?" in second
    assert third.startswith("monitor.yml:6:10: endpoints.stock")
    assert last == "3 mistakes in the configuration"


async def test_later_files_overlay_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "base.yml").write_text("environment: test\n" + GOOD)
    (tmp_path / "production.yml").write_text("environment: production\n")

    both = await run("check-config", "base.yml", "production.yml", "--show", cwd=tmp_path)
    other = await run("check-config", "production.yml", "base.yml", "--show", cwd=tmp_path)

    assert both.json()["environment"] == "production"
    assert other.json()["environment"] == "test"
    assert both.json()["endpoints"].keys() == {"shop"}


async def test_a_mistake_names_the_file_that_holds_it(tmp_path: Path) -> None:
    (tmp_path / "base.yml").write_text(GOOD)
    (tmp_path / "overlay.yml").write_text("defaults: {severity: urgent}\n")

    ended = await run("check-config", "base.yml", "overlay.yml", cwd=tmp_path)

    assert ended.code == 2
    assert ended.err.startswith("overlay.yml:1:22: defaults.severity: ")


async def test_show_masks_every_kind_of_secret(tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(EVERY_SECRET)
    (tmp_path / "secret.txt").write_text("file-canary\n")

    ended = await run("check-config", "--show", cwd=tmp_path, environ=SECRETS)

    assert ended.code == 0, ended.err
    assert "canary" not in ended.out + ended.err
    shown = ended.json()
    assert shown["notifiers"]["bot"]["slack"]["channel"] == "#on-call"
    for value in SECRETS.values():
        assert value not in ended.out


async def test_written_out_secrets_are_masked_too(tmp_path: Path) -> None:
    text = EVERY_SECRET.replace("${file:secret.txt}", "file-canary")
    for name, value in SECRETS.items():
        text = text.replace(f"${{{name}}}", value)
    (tmp_path / "monitor.yml").write_text(text)

    ended = await run("check-config", "--show", cwd=tmp_path)

    assert ended.code == 0, ended.err
    assert "canary" not in ended.out
    assert SECRETS["SIGNING"] not in ended.out
    assert "***" in ended.out


async def test_unset_variables_are_a_mistake_unless_they_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "monitor.yml").write_text(EVERY_SECRET)
    (tmp_path / "secret.txt").write_text("file-canary\n")

    refused = await run("check-config", cwd=tmp_path)
    allowed = await run("check-config", "--allow-unset", cwd=tmp_path)

    assert refused.code == 2
    assert all(name in refused.err for name in SECRETS)
    assert allowed.code == 0, allowed.err


async def test_the_file_may_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(GOOD)
    (tmp_path / "b.yml").write_text("environment: b\n")

    ended = await run(
        "check-config", "--show", cwd=tmp_path, environ={"MONITOR_CONFIG": "a.yml:b.yml"}
    )

    assert ended.json()["environment"] == "b"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "no configuration: expected --config FILE", id="no file at all"),
        pytest.param("", "monitor.yml", id="an empty file"),
        pytest.param("endpoints: [", "monitor.yml:", id="broken YAML"),
    ],
)
async def test_what_is_no_configuration_ends_with_2(
    content: str | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "monitor.yml").write_text(content)

    ended = await run("check-config", cwd=tmp_path)

    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    ended = await run("check-config", "none.yml", cwd=tmp_path)

    assert ended.code == 2
    assert "none.yml" in ended.err
    assert "Traceback" not in ended.err


async def test_the_schema_is_valid_and_knows_good_from_bad(tmp_path: Path) -> None:
    ended = await run("schema", cwd=tmp_path)

    found: dict[str, Any] = json.loads(ended.out)
    assert ended.code == 0
    jsonschema.Draft202012Validator.check_schema(found)
    validator = jsonschema.Draft202012Validator(found)
    assert validator.is_valid(yaml.safe_load(GOOD))
    assert validator.is_valid(yaml.safe_load(EVERY_SECRET))
    assert not validator.is_valid({"endpoints": {"shop": {"url": "http://a/", "timeuot": "1s"}}})


@pytest.mark.parametrize(
    "command", ["run", "check-config", "schema", "probe", "status", "deploy", "demo"]
)
async def test_each_command_says_what_it_does_within_80_columns(
    command: str, tmp_path: Path
) -> None:
    ended = await run(command, "--help", cwd=tmp_path, environ={"COLUMNS": "80"})

    assert ended.code == 0
    assert ended.out.startswith(f"Usage: production-monitor {command} [OPTIONS]")
    assert max(map(len, ended.out.splitlines())) <= 80


async def test_the_list_of_commands_cuts_no_sentence_short(tmp_path: Path) -> None:
    ended = await run("--help", cwd=tmp_path, environ={"COLUMNS": "80"})

    assert ended.code == 0
    assert "..." not in ended.out.replace("[ARGS]...", "")
    assert max(map(len, ended.out.splitlines())) <= 80


async def test_the_version_is_told(tmp_path: Path) -> None:
    ended = await run("--version", cwd=tmp_path)

    assert ended.code == 0
    assert ended.out.startswith("production-monitor, version ")


ROUTED = """\
endpoints: {shop: http://127.0.0.1:9/, db: http://127.0.0.1:9/}
notifiers: {team: {log: {}}, boss: {log: {}}}
routes:
  - match: {severity: critical, class: outage}
    notify: team
    escalate: [{after: 10m, notify: boss}]
  - notify: team
"""


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            ("shop", "critical"),
            "Outage of shop, severity critical:\n"
            "  at once       team (route 1)\n"
            "  after 5 min   all who were told, if nobody has acknowledged it by then "
            "(the usual target)\n"
            "  after 10 min  boss, if nobody has acknowledged it by then (route 1)\n"
            "  at the end    all who were told of it\n",
        ),
        (
            ("shop", "critical", "--class", "finding"),
            "Finding of shop, severity critical:\n"
            "  at once      team (route 2)\n"
            "  after 5 min  all who were told, if nobody has acknowledged it by then "
            "(the usual target)\n"
            "  at the end   all who were told of it\n",
        ),
        (
            ("production-monitor", "medium"),
            "Trouble of production-monitor, severity medium:\n"
            "  at once     team (route 2)\n"
            "  after 2 h   all who were told, if nobody has acknowledged it by then "
            "(the usual target)\n"
            "  at the end  all who were told of it\n",
        ),
    ],
)
async def test_who_would_be_told_when_is_explained(
    asked: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    (tmp_path / "monitor.yml").write_text(ROUTED)

    ended = await run("check-config", "--explain-route", *asked, cwd=tmp_path)

    assert ended.code == 0
    assert ended.out == told


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--explain-route", "shpo", "high"), "unknown service shpo; did you mean shop?"),
        (
            ("--explain-route", "shop", "hihg"),
            "unknown severity hihg: expected one of critical, high, medium, low; did you mean",
        ),
        (
            ("--explain-route", "shop", "high", "--class", "monitor"),
            "--class monitor and the service production-monitor go together",
        ),
        (("--class", "outage"), "--class is about --explain-route"),
    ],
)
async def test_what_cannot_be_explained_is_refused_in_words(
    asked: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    (tmp_path / "monitor.yml").write_text(ROUTED)

    ended = await run("check-config", *asked, cwd=tmp_path)

    assert ended.code == 2
    assert f"Error: {said}" in ended.err
