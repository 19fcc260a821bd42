"""The notifier `command` over real programs: what it is told, what its end means, what is left."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from monitor.core.model.changes import Changes
from monitor.core.model.notice import Delivered, Earlier, NoticeEvent, Refused, TryAgain
from monitor.core.model.service import Directory
from monitor.core.situation import Situation
from monitor.dispatch import Dispatch
from monitor.notifiers._payload import payload
from monitor.notifiers.command import CommandNotifier, CommandOptions, write_input
from monitor.runner.elsewhere import CommandsElsewhere
from monitor.runner.tied import CommandsHere
from monitor.runner.tied_protocol import LARGEST_INPUT
from tests.support.hook_runner import probe_runner_here, runner_as_started
from tests.support.notices import make_context, make_delivery, make_member, make_notice
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.model.notice import Delivery, Receipt
    from monitor.runner.tied import Commands

CANARY = "command-canary-6e0d"
CONFIG = f"""
endpoints:
  page: {{url: "http://127.0.0.1:1/"}}
notifiers:
  tickets: {{command: {{run: [./tell.sh, --open], timeout: 5s, env: {{TOKEN: {CANARY}}}}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration, and a program that keeps what it is told."""
    tmp_path.chmod(0o755)
    (tmp_path / "monitor.yml").write_text(CONFIG)
    (tmp_path / "monitor.yml").chmod(0o644)
    write_program(tmp_path, "cat > told.json", "env > env.txt", 'echo "$@" > arguments')

    return tmp_path


def write_program(folder: Path, *lines: str) -> None:
    path = folder / "tell.sh"
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)


async def deliver(
    folder: Path,
    delivery: Delivery | None = None,
    *,
    commands: Commands | None = None,
    **options: Any,
) -> Receipt:
    given = {"run": ["./tell.sh", "--open"], "env": {"TOKEN": CANARY}, "timeout": "5s", **options}
    read = CommandOptions.model_validate(given, context={"base": folder})
    notifier = CommandNotifier(read, replace(make_context(), name="tickets", commands=commands))
    try:
        return await notifier.deliver(delivery or make_delivery(), Earlier())
    finally:
        await notifier.close()


def read_environment(folder: Path) -> dict[str, str]:
    lines = (folder / "env.txt").read_text().splitlines()

    return dict(line.split("=", 1) for line in lines if "=" in line)


async def test_it_is_told_as_a_webhook_is_and_finds_the_key_in_its_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANOTHER_SECRET", "never-handed-on")
    delivery = make_delivery(attempts=2, maybe_sent=True)

    assert await deliver(folder, delivery) == Delivered()

    found = read_environment(folder)
    assert json.loads((folder / "told.json").read_text()) == payload(delivery)
    assert (folder / "arguments").read_text() == "--open\n"
    assert found["TOKEN"] == CANARY
    assert "ANOTHER_SECRET" not in found
    assert {name: value for name, value in found.items() if name.startswith("MONITOR_")} == {
        "MONITOR_RUN": found["MONITOR_RUN"],
        "MONITOR_EVENT": "opened",
        "MONITOR_INCIDENT_ID": "shop-1",
        "MONITOR_SERVICE": "shop",
        "MONITOR_ENVIRONMENT": "production",
        "MONITOR_CLASS": "outage",
        "MONITOR_SEVERITY": "high",
        "MONITOR_PHASE": "investigating",
        "MONITOR_SINCE": "2026-07-01T12:00:00Z",
        "MONITOR_HEADLINE": delivery.notice.headline,
        "MONITOR_IDEMPOTENCY_KEY": delivery.key,
        "MONITOR_ATTEMPT": "2",
        "MONITOR_MAY_REPEAT": "true",
    }


async def test_in_a_storm_it_is_told_each_notice_by_itself(folder: Path) -> None:
    write_program(folder, "cat >> told.jsonl", "echo >> told.jsonl")
    options = CommandOptions.model_validate({"run": ["./tell.sh"]}, context={"base": folder})
    notifier = CommandNotifier(options, replace(make_context(), name="tickets"))
    situation = Situation()

    async def record(changes: Changes) -> None:
        situation.apply(changes)

    dispatch = Dispatch(
        notifiers={"tickets": notifier},
        situation=situation,
        record=record,
        clock=lambda: datetime.now(UTC),
        on_receipt=lambda _delivery, _receipt: None,
        directory=lambda: Directory(services={}, notifiers=("tickets",)),
    )
    dispatch.start()
    expected = set()
    for event in (NoticeEvent.OPENED, NoticeEvent.RESOLVED):
        notices = [
            make_notice(event, incident=f"shop-{number}", sequence=1 + (event == "resolved"))
            for number in range(12)
        ]
        expected |= {(one.incident, one.event.value) for one in notices}
        rows = tuple(make_delivery(one, notifier="tickets") for one in notices)
        situation.apply(Changes(deliveries=rows))
        assert await dispatch.drain(timedelta(seconds=20)) == 0
    await dispatch.stop()
    await notifier.close()

    lines = (folder / "told.jsonl").read_text().splitlines()
    told = [(one["incident"], one["event"]) for one in map(json.loads, lines)]
    assert (len(told), set(told)) == (24, expected)


async def test_what_a_target_says_is_data_and_nothing_more(folder: Path) -> None:
    said = "$(touch /tmp/owned); `id` \n-rf\0 " + "x" * 10_000
    notice = make_notice(headline=said, members=(make_member(reason=said),))

    assert await deliver(folder, make_delivery(notice)) == Delivered()

    headline = read_environment(folder)["MONITOR_HEADLINE"]
    assert headline.startswith("$(touch /tmp/owned); `id`  -rf  xx")
    assert len(headline) == 2_000
    assert json.loads((folder / "told.json").read_text())["reasons"][0]["message"] == said


@pytest.mark.parametrize(
    ("code", "receipt"),
    [
        (64, Refused(reason="refused", error="exit 64: no such project")),
        (77, Refused(reason="refused", error="exit 77: no such project")),
        (78, Refused(reason="refused", error="exit 78: no such project")),
        (75, TryAgain(reason="server_error", error="exit 75: no such project")),
        (1, TryAgain(reason="bad_answer", error="exit 1: no such project")),
        (79, TryAgain(reason="bad_answer", error="exit 79: no such project")),
    ],
)
async def test_each_exit_code_means_what_it_means(
    folder: Path, code: int, receipt: Receipt
) -> None:
    write_program(folder, "echo noise", 'echo "no such project"', f"exit {code}")

    assert await deliver(folder) == receipt


async def test_its_secrets_are_masked_in_what_it_says(folder: Path) -> None:
    write_program(folder, 'echo "wrong token $TOKEN" >&2', "exit 77")

    assert await deliver(folder) == Refused(reason="refused", error="exit 77: wrong token ***")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(r"printf '%.6s\033[1m%s\n' $TOKEN ${TOKEN#??????}", id="in colours"),
        pytest.param("printf 'pad %s' $TOKEN; head -c 16372 /dev/zero | tr '\\0' b", id="cut"),
    ],
)
async def test_no_half_of_a_secret_is_told(folder: Path, line: str) -> None:
    write_program(folder, line, "exit 77")

    receipt = await deliver(folder)

    assert isinstance(receipt, Refused)
    assert CANARY[:6] not in receipt.error
    assert CANARY[-6:] not in receipt.error


async def test_what_hangs_is_ended_with_all_that_it_started(folder: Path) -> None:
    write_program(folder, "sleep 7431 &", "echo $! > child", "wait")

    receipt = await deliver(folder, timeout="300ms")

    assert receipt == TryAgain(reason="timeout", error="did not end within 300ms, stopped")
    await until(lambda: is_gone(folder / "child"))


async def test_whoever_leaves_ends_it(folder: Path) -> None:
    write_program(folder, "sleep 7432 &", "echo $! > child", "wait")
    commands = CommandsHere(1)
    telling = asyncio.create_task(deliver(folder, commands=commands))
    await until(lambda: (folder / "child").exists() and (folder / "child").read_text() != "")
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
    await commands.close()

    await until(lambda: is_gone(folder / "child"))


async def test_a_program_that_is_gone_or_that_others_may_write_is_not_run(folder: Path) -> None:
    (folder / "tell.sh").chmod(0o777)
    read = CommandOptions.model_construct(run=["./tell.sh"], env={}, timeout=timedelta(seconds=5))
    read._base = folder
    notifier = CommandNotifier(read, make_context())
    written = await notifier.deliver(make_delivery(), Earlier())
    (folder / "tell.sh").unlink()
    gone = await notifier.deliver(make_delivery(), Earlier())
    await notifier.close()

    assert isinstance(written, TryAgain)
    assert "may be written by others" in written.error
    assert isinstance(gone, TryAgain)
    assert (gone.reason, (folder / "told.json").exists()) == ("misconfigured", False)


@pytest.mark.parametrize("timeout", ["0s", "21s"])
def test_a_timeout_that_the_outbox_does_not_wait_for_is_refused(folder: Path, timeout: str) -> None:
    with pytest.raises(ValidationError, match="expected a timeout above 0 and up to 20s"):
        CommandOptions.model_validate(
            {"run": ["./tell.sh"], "timeout": timeout}, context={"base": folder}
        )


def test_an_input_that_is_far_too_long_keeps_its_beginning() -> None:
    members = tuple(make_member(f"c{number}.health", reason="x" * 4_000) for number in range(1_000))
    written = write_input(make_delivery(make_notice(members=members)))

    assert len(written) <= LARGEST_INPUT
    assert [one["check"] for one in json.loads(written)["checks"]][:2] == ["c0.health", "c1.health"]


async def test_under_systemd_it_runs_outside_by_its_name_alone(folder: Path) -> None:
    delivery = make_delivery()
    with runner_as_started(folder, "--probes") as (runner, started):
        receipt = await deliver(folder, delivery, commands=CommandsElsewhere(runner.path))

    assert receipt == Delivered()
    assert json.loads((folder / "told.json").read_text()) == payload(delivery)
    assert read_environment(folder)["MONITOR_IDEMPOTENCY_KEY"] == delivery.key
    assert read_environment(folder)["TOKEN"] == CANARY
    assert len(started.processes) == 1


async def test_the_runner_refuses_what_is_not_configured_so(folder: Path) -> None:
    with probe_runner_here(folder) as runner:
        commands = CommandsElsewhere(runner.path)
        other = await deliver(folder, run=["./tell.sh", "--other"], commands=commands)
        (folder / "monitor.yml").write_text('endpoints: {page: {url: "http://127.0.0.1:1/"}}\n')
        none = await deliver(folder, commands=commands)

    assert isinstance(other, TryAgain)
    assert "tickets has another command in the configuration now" in other.error
    assert isinstance(none, TryAgain)
    assert "there is no such notifier" in none.error
    assert not (folder / "told.json").exists()


async def test_a_runner_that_is_not_there_is_tried_again(folder: Path) -> None:
    receipt = await deliver(folder, commands=CommandsElsewhere(folder / "none.sock"))

    assert isinstance(receipt, TryAgain)
    assert receipt.reason == "unreachable"


def is_gone(child: Path) -> bool:
    try:
        os.kill(int(child.read_text()), 0)
    except ProcessLookupError:
        return True
    time.sleep(0)

    return False
