"""The check that ends by itself: exit codes, rounds, outputs, and what it keeps between runs."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests.support.program import run, start
from tests.support.servers import unused_port
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shop import Shop

KEYS = {
    "check",
    "endpoint",
    "service",
    "severity",
    "verdict",
    "state",
    "consecutive_failures",
    "reasons",
    "duration_seconds",
    "phases",
}


def configure(folder: Path, text: str) -> None:
    (folder / "monitor.yml").write_text(text)


async def test_three_lines_are_a_whole_configuration(shop: Shop, tmp_path: Path) -> None:
    configure(
        tmp_path,
        f"endpoints:\n  shop: {shop.url}/\n"
        'notifiers:\n  slack: {slack: {webhook_url: "${SLACK_WEBHOOK_URL}"}}\n',
    )

    ended = await run(
        "--cycles", "1", cwd=tmp_path, environ={"SLACK_WEBHOOK_URL": "http://127.0.0.1:9/hook"}
    )

    assert ended.code == 0, ended.err
    assert "shop.health" in ended.out
    assert shop.asked == 1


async def test_a_failing_check_ends_with_1_and_says_why(shop: Shop, tmp_path: Path) -> None:
    shop.status = 503
    configure(tmp_path, f"endpoints:\n  shop: {shop.url}/\n")

    ended = await run("--cycles", "1", cwd=tmp_path)

    assert ended.code == 1
    assert "status is 503, expected 2xx" in ended.out


async def test_a_mistake_in_the_configuration_ends_with_2(tmp_path: Path) -> None:
    configure(tmp_path, "endpoints:\n  shop:\n    url: http://127.0.0.1/\n    every: 5\n")

    ended = await run("--cycles", "1", cwd=tmp_path)

    assert ended.code == 2
    assert ended.err.startswith("monitor.yml:4:12: endpoints.shop.every: expected a duration")


async def test_nothing_to_judge_because_the_network_is_gone_ends_with_3(tmp_path: Path) -> None:
    configure(
        tmp_path,
        f"witnesses: [{{tcp: '127.0.0.1:{unused_port()}'}}]\n"
        "endpoints:\n  shop: {url: 'http://shop.invalid/', timeout: 3s}\n",
    )

    ended = await run("--cycles", "1", cwd=tmp_path)

    assert ended.code == 3, ended.out + ended.err
    assert "no witness answered either" in ended.out


async def test_a_threshold_of_5_is_reached_by_the_fifth_run_of_a_cron_job(
    shop: Shop, tmp_path: Path
) -> None:
    shop.status = 500
    configure(
        tmp_path,
        f"endpoints:\n  shop: {{url: '{shop.url}/', health: {{failure_threshold: 5}}}}\n"
        "notifiers: {log: {log: {}}}\n",
    )

    states = []
    for _ in range(5):
        ended = await run("--cycles", "1", "--output", "json", cwd=tmp_path)
        check = ended.json()["checks"][0]
        states.append((check["state"], check["consecutive_failures"]))

    assert states == [("unknown", 1), ("unknown", 2), ("unknown", 3), ("unknown", 4), ("fail", 5)]


async def test_json_is_one_object_with_the_promised_keys(shop: Shop, tmp_path: Path) -> None:
    configure(
        tmp_path,
        f"environment: test\nendpoints:\n  shop: {{url: '{shop.url}/', service: store}}\n",
    )

    found = (
        await run("--cycles", "2", "--every", "100ms", "--output", "json", cwd=tmp_path)
    ).json()

    assert found["verdict"] == "pass"
    assert (found["environment"], found["cycles"]) == ("test", 2)
    assert found["checks"][0].keys() >= KEYS
    assert found["checks"][0]["service"] == "store"
    assert {"connect", "processing", "transfer"} <= found["checks"][0]["phases"].keys()
    assert shop.asked == 2


async def test_junit_has_a_failure_for_each_failing_check(shop: Shop, tmp_path: Path) -> None:
    shop.status = 500
    configure(tmp_path, f"endpoints:\n  shop: {shop.url}/\n")

    ended = await run("--cycles", "1", "--output", "junit", cwd=tmp_path)

    suites = ET.fromstring(ended.out)
    assert suites.get("failures") == "1"
    failure = suites.find("./testsuite/testcase[@name='shop.health']/failure")
    assert failure is not None
    assert failure.get("message") == "status is 500, expected 2xx"


async def test_github_gets_an_annotation_at_the_line_that_was_not_met(
    shop: Shop, tmp_path: Path
) -> None:
    configure(
        tmp_path,
        "endpoints:\n  shop:\n"
        f"    url: {shop.url}/\n"
        "    health:\n      expect:\n        - {json: $.database.status, equals: gone}\n",
    )

    ended = await run("--cycles", "1", "--output", "github", cwd=tmp_path)

    first = ended.out.splitlines()[0]
    assert first.startswith("::error file=monitor.yml,line=6,col=")
    assert 'json $.database.status is "connected", expected "gone"' in first


async def test_until_pass_ends_at_the_first_good_round(shop: Shop, tmp_path: Path) -> None:
    shop.status = 503
    configure(tmp_path, f"endpoints:\n  shop: {shop.url}/\n")
    process = await start("--cycles", "50", "--every", "100ms", "--until", "pass", cwd=tmp_path)
    await until(lambda: shop.asked >= 3)

    shop.status = 200

    await process.communicate()
    assert process.returncode == 0
    assert shop.asked < 50


async def test_until_pass_ends_with_1_when_no_round_was_good(shop: Shop, tmp_path: Path) -> None:
    shop.status = 503
    configure(tmp_path, f"endpoints:\n  shop: {shop.url}/\n")

    ended = await run("--cycles", "3", "--every", "50ms", "--until", "pass", cwd=tmp_path)

    assert ended.code == 1
    assert shop.asked == 3


@pytest.mark.parametrize(("status", "code", "rounds"), [(200, 0, 3), (500, 1, 1)])
async def test_until_fail_ends_with_1_at_the_first_bad_round(
    shop: Shop, tmp_path: Path, status: int, code: int, rounds: int
) -> None:
    shop.status = status
    configure(tmp_path, f"endpoints:\n  shop: {shop.url}/\n")

    ended = await run("--cycles", "3", "--every", "50ms", "--until", "fail", cwd=tmp_path)

    assert (ended.code, shop.asked) == (code, rounds)


async def test_only_what_is_selected_is_asked(shop: Shop, tmp_path: Path) -> None:
    configure(
        tmp_path,
        "endpoints:\n"
        f"  good: {{url: '{shop.url}/', tags: [smoke]}}\n"
        f"  bad: http://127.0.0.1:{unused_port()}/\n",
    )

    by_tag = await run("--cycles", "1", "--tag", "smoke", cwd=tmp_path)
    by_name = await run("--cycles", "1", "--endpoint", "bad", cwd=tmp_path)
    typo = await run("--cycles", "1", "--endpoint", "goood", cwd=tmp_path)

    assert (by_tag.code, "bad" in by_tag.out) == (0, False)
    assert (by_name.code, "good" in by_name.out) == (1, False)
    assert typo.code == 2
    assert "did you mean good?" in typo.err


async def test_who_tells_nobody_needs_no_secrets_of_notifiers(shop: Shop, tmp_path: Path) -> None:
    configure(
        tmp_path,
        f"endpoints:\n  shop: {shop.url}/\n"
        'notifiers:\n  slack: {slack: {webhook_url: "${SLACK_WEBHOOK_URL}"}}\n',
    )

    silent = await run("--cycles", "1", "--no-notify", cwd=tmp_path)
    loud = await run("--cycles", "1", cwd=tmp_path)

    assert silent.code == 0, silent.err
    assert loud.code == 2
    assert "variable SLACK_WEBHOOK_URL is not set: export it" in loud.err


async def test_the_variables_of_the_old_monitor_work(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, f"endpoints:\n  shop: {shop.url}/\n")

    ended = await run(cwd=tmp_path, environ={"MONITOR_CYCLES": "2", "MONITOR_INTERVAL": "200"})

    assert ended.code == 0, ended.err
    assert shop.asked == 2


async def test_without_state_nothing_is_written(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, f"endpoints:\n  shop: {shop.url}/\n")

    ended = await run("--cycles", "1", "--no-state", cwd=tmp_path)

    assert ended.code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["monitor.yml"]


async def test_interrupted_ends_with_130_and_keeps_its_counts(shop: Shop, tmp_path: Path) -> None:
    shop.status = 500
    configure(tmp_path, f"endpoints:\n  shop: {shop.url}/\n")
    process = await start("--cycles", "99", "--every", "100ms", cwd=tmp_path)
    await until(lambda: shop.asked >= 2)

    process.send_signal(signal.SIGINT)

    out, err = await process.communicate()
    assert process.returncode == 130
    assert out.decode().splitlines()[-1].endswith(", interrupted")
    assert err.decode().startswith("round 1 of 99: 1 fails: shop.health: status is 500")
    with sqlite3.connect(tmp_path / ".production-monitor/monitor.db") as store:
        (body,) = store.execute("SELECT body FROM check_states").fetchone()
    store.close()
    assert json.loads(body)["consecutive_failures"] >= 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param(["--until", "pass"], "needs --cycles", id="until without cycles"),
        pytest.param(["--every", "5s"], "needs --cycles", id="every without cycles"),
        pytest.param(["--output", "json"], "needs --cycles", id="output without cycles"),
        pytest.param(["--cycles", "0"], "--cycles", id="no rounds"),
        pytest.param(["--cycles", "1", "--every", "5"], "such as 30s", id="a bare number"),
        pytest.param(["--cycles", "1", "--tag", "x"], "no endpoint has it", id="unknown tag"),
        pytest.param(["--cycles", "1", "--config", "no.yml"], "no.yml", id="missing file"),
        pytest.param(["--colour"], "--colour", id="unknown option"),
    ],
)
async def test_what_makes_no_sense_ends_with_2(args: list[str], said: str, tmp_path: Path) -> None:
    configure(tmp_path, "endpoints:\n  shop: http://127.0.0.1:9/\n")

    ended = await run(*args, cwd=tmp_path)

    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


async def test_a_slow_target_does_not_delay_another(shop: Shop, tmp_path: Path) -> None:
    shop.delay = 5
    configure(
        tmp_path,
        "endpoints:\n"
        + "".join(f"  e{number}: {{url: '{shop.url}/', timeout: 300ms}}\n" for number in range(20)),
    )

    found = (await run("--cycles", "1", "--output", "json", cwd=tmp_path)).json()

    assert {check["reasons"][0]["code"] for check in found["checks"]} == {"timeout"}
    assert max(check["duration_seconds"] for check in found["checks"]) < 1.5


async def test_a_state_directory_that_cannot_be_used_is_said_before_anything_is_asked(
    shop: Shop, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    configure(tmp_path, f"store: sqlite:///taken/monitor.db\nendpoints:\n  shop: {shop.url}/\n")

    ended = await run("--cycles", "1", cwd=tmp_path)

    assert ended.code == 2
    assert "taken" in ended.err
    assert "Traceback" not in ended.err
    assert shop.asked == 0


async def test_a_run_leaves_nothing_behind_that_still_runs(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, f"endpoints:\n  shop: {shop.url}/\n")
    await run("--cycles", "1", cwd=tmp_path)
    asked = shop.asked

    await asyncio.sleep(0.2)

    assert shop.asked == asked
