"""The examples of journeys, against an academy with sessions, CSRF, a queue and codes by SMS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.academy import serve_academy
from tests.support.program import daemon, run
from tests.support.slack import serve_slack

if TYPE_CHECKING:
    from tests.support.academy import Academy

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"
FLOW = str(EXAMPLES / "runbook-001-journey.yml")
CANARY = str(EXAMPLES / "runbook-002-canary.yml")


def environment(academy: Academy, slack: str = "http://127.0.0.1:9/none") -> dict[str, str]:
    return {
        "ACADEMY_URL": academy.url,
        "SITE_URL": academy.url,
        "INBOX_URL": f"{academy.url}/test/inbox",
        "INBOX_TOKEN": "inbox-canary",
        "CANARY_PHONE": "34600000000",
        "SLACK_WEBHOOK_URL": slack,
    }


async def test_the_flow_from_sign_up_to_certificate_is_gone_through_after_a_deploy(
    tmp_path: Path,
) -> None:
    async with serve_academy() as academy:
        ended = await run(
            *("--config", FLOW, "--cycles", "1", "--tag", "post-deploy"),
            cwd=tmp_path,
            environ=environment(academy),
        )

    assert ended.code == 0, ended.out + ended.err
    assert len(academy.certificates) == 1
    assert academy.users == {}


async def test_a_broken_step_is_named_in_the_alert_and_nothing_captured_is_told(
    tmp_path: Path,
) -> None:
    async with serve_academy() as academy, serve_slack() as slack:
        academy.statuses["/api/posts/7/certificate"] = 500
        academy.statuses["/api/posts/8/certificate"] = 500
        environ = environment(academy, slack.webhook_url)
        ended = await run(
            *("--config", FLOW, "--cycles", "2", "--every", "50ms"), cwd=tmp_path, environ=environ
        )
        shown = await run(
            "probe", "certificate-flow", "--config", FLOW, cwd=tmp_path, environ=environ
        )
        raw = await run(
            *("probe", "certificate-flow", "--config", FLOW, "--output", "json"),
            cwd=tmp_path,
            environ=environ,
        )

    (message,) = slack.messages
    assert ended.code == 1, ended.err
    assert message.visible.count("step 5 of 7, certify: status is 500, expected 2xx") == 3
    assert academy.users == {}, "what the canary left behind is removed all the same"
    assert (shown.code, raw.code) == (0, 0), shown.out + shown.err
    written = [one.out + one.err for one in (ended, shown, raw)]
    everything = "".join([*written, message.visible])
    for token in academy.tokens:
        assert token[:16] not in everything
    assert len(academy.tokens) == 4


async def test_the_round_trip_of_a_code_passes_and_its_code_stays_secret(tmp_path: Path) -> None:
    async with serve_academy() as academy:
        good = await run(
            "--config", CANARY, "--cycles", "1", cwd=tmp_path, environ=environment(academy)
        )
        academy.statuses["/api/otp/verify"] = 400
        bad = await run(
            *("probe", "sms-code", "--config", CANARY, "--output", "json"),
            cwd=tmp_path,
            environ=environment(academy),
        )

    (code,) = academy.codes.values()
    assert good.code == 0, good.out + good.err
    assert bad.code == 1
    (reason,) = next(one["reasons"] for one in bad.json()["checks"] if one["reasons"])
    assert reason["message"] == "step 3 of 3, verify the code: status is 400, expected 2xx"
    assert code not in bad.out + bad.err
    assert "inbox-canary" not in bad.out + bad.err


async def test_the_steps_are_series_for_prometheus(tmp_path: Path) -> None:
    async with serve_academy() as academy:
        changes = tmp_path / "changes.yml"
        changes.write_text('web: {listen: "127.0.0.1:${PORT}"}\n')
        async with daemon(
            tmp_path, "--config", str(changes), config=FLOW, environ=environment(academy)
        ) as running:
            await running.until(lambda status: status["checks"][0]["state"] == "pass")
            _, page = await running.get("/metrics")

    lines = [line for line in page.splitlines() if line.startswith("probe_journey_step_success{")]
    assert len(lines) == 7
    assert all(line.endswith(" 1.0") for line in lines)
    assert any('step="wait until it is published"' in line for line in lines)
    assert json.dumps(page).count("canary@") == 0
