"""The hook runner over real sockets and programs: what is asked is run once, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import monitor.runner.client as client_module
from monitor.core.model.rollback import Effect, EffectContext, EffectOutcome
from monitor.hooks import KINDS
from monitor.hooks.command import CommandOptions
from monitor.hooks.hook import Remembering
from monitor.runner import HookRunner
from monitor.runner import service as service_module
from monitor.runner.protocol import LARGEST_ORDER, Answer, Known, Order, Wish, write_order
from monitor.runner.service import find_stranger
from tests.support.hook_runner import (
    CONFIG,
    fingerprint,
    listening,
    runner_as_started,
    runner_here,
)
from tests.support.hooks import TOLD, make_context, write_program
from tests.support.logs import capture_logs

if TYPE_CHECKING:
    from pathlib import Path

SOON = timedelta(milliseconds=50)
TIMEOUT = timedelta(seconds=20)
REMEDY = """
    remedy:
      levels:
        - {name: retry, steps: [{command: {run: [./hook.py, --retry], env: {A: x}}}]}
        - {name: undo, steps: [{command: {run: [./hook.py, --undo], env: {A: x}}}]}
"""
COUNTS = "open('runs', 'a').write('run\\n')\n"
WAITS = (
    "import pathlib, time\n"
    "pathlib.Path('begun').touch()\n"
    "while not pathlib.Path('free').exists(): time.sleep(0.01)\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration, and a program that notes each of its runs."""
    tmp_path.chmod(0o755)
    (tmp_path / "monitor.yml").write_text(CONFIG)
    (tmp_path / "monitor.yml").chmod(0o644)
    write_program(tmp_path, COUNTS)

    return tmp_path


def runs(folder: Path) -> int:
    with suppress(FileNotFoundError):
        return len((folder / "runs").read_text().splitlines())

    return 0


async def until(path: Path) -> None:
    async with asyncio.timeout(15):
        while not path.exists():
            await asyncio.sleep(0.01)


async def run(
    client: HookRunner, folder: Path, told: EffectContext = TOLD, timeout: timedelta = TIMEOUT
) -> Effect:
    return await client.run(fingerprint(folder), told, timeout)


async def recall(
    client: HookRunner, folder: Path, told: EffectContext = TOLD, timeout: timedelta = TIMEOUT
) -> Effect | None:
    return await client.recall(fingerprint(folder), told, timeout)


class TestAStep:
    async def test_is_carried_out_as_here_and_its_secrets_stay_there(self, folder: Path) -> None:
        write_program(
            folder,
            "import json, os, sys\n"
            "print(sys.argv[1], os.environ['TOKEN'], os.environ['MONITOR_TO_VERSION'],"
            " json.load(sys.stdin)['reason'], os.getcwd())\n",
        )
        with runner_here(folder) as runner:
            effect = await run(HookRunner(runner.path), folder)

        assert effect.outcome is EffectOutcome.DONE
        assert effect.output == f"--back *** v1 {TOLD.reason} {folder}\n"

    @pytest.mark.parametrize(("level", "option"), [(1, "--retry"), (2, "--undo")])
    async def test_of_a_remedy_is_that_of_its_level(
        self, folder: Path, level: int, option: str
    ) -> None:
        write_program(folder, "import sys\nprint(sys.argv[1])\n")
        (folder / "monitor.yml").write_text(CONFIG + REMEDY)
        told = replace(TOLD, step_key=f"{TOLD.rollback_id}.{level}.1")
        wrong = {"--retry": "--undo", "--undo": "--retry"}[option]
        with runner_here(folder) as runner:
            client = HookRunner(runner.path)
            refused = await client.run(
                fingerprint(folder, "./hook.py", wrong, A="x"), told, TIMEOUT
            )
            effect = await client.run(
                fingerprint(folder, "./hook.py", option, A="x"), told, TIMEOUT
            )

        assert refused.outcome is EffectOutcome.REFUSED
        assert "is another command in the configuration now" in refused.detail
        assert (effect.outcome, effect.output) == (EffectOutcome.DONE, f"{option}\n")

    async def test_is_run_once_however_often_it_is_asked_for(self, folder: Path) -> None:
        with runner_here(folder) as runner:
            client = HookRunner(runner.path)
            effects = await asyncio.gather(*(run(client, folder) for _ in range(5)))
            effects.append(await run(client, folder))

        assert {effect.outcome for effect in effects} == {EffectOutcome.DONE}
        assert runs(folder) == 1

    async def test_that_runs_is_waited_for_by_whoever_asks_again(self, folder: Path) -> None:
        write_program(folder, WAITS + COUNTS)
        with runner_here(folder) as runner:
            first = asyncio.create_task(run(HookRunner(runner.path), folder))
            await until(folder / "begun")
            first.cancel()
            with suppress(asyncio.CancelledError):
                await first
            second = asyncio.create_task(recall(HookRunner(runner.path), folder))
            third = asyncio.create_task(run(HookRunner(runner.path), folder))
            await asyncio.sleep(0.3)
            waiting = not second.done() and not third.done()
            (folder / "free").touch()
            effects = [await second, await third]

        assert waiting
        assert [effect and effect.outcome for effect in effects] == [EffectOutcome.DONE] * 2
        assert runs(folder) == 1

    async def test_is_not_waited_for_by_a_runner_when_nobody_wants_to_know(
        self, folder: Path
    ) -> None:
        write_program(folder, WAITS)
        with runner_here(folder) as runner:
            first = asyncio.create_task(run(HookRunner(runner.path), folder))
            await until(folder / "begun")
            second = asyncio.create_task(recall(HookRunner(runner.path), folder))
            await asyncio.sleep(0.2)
            second.cancel()
            with suppress(asyncio.CancelledError):
                await second
            (folder / "free").touch()
            effect = await first

        assert effect.outcome is EffectOutcome.DONE

    async def test_that_was_never_asked_for_is_known_to_be_new(self, folder: Path) -> None:
        with runner_here(folder) as runner:
            assert await recall(HookRunner(runner.path), folder) is None

        assert list((folder / "kept").iterdir()) == []

    async def test_is_tried_again_only_where_nothing_was_applied(self, folder: Path) -> None:
        write_program(folder, COUNTS + "raise SystemExit(75)\n")
        again = replace(TOLD, attempt=2)
        third = replace(TOLD, attempt=3)
        with runner_here(folder) as runner:
            client = HookRunner(runner.path)
            first = await run(client, folder)
            write_program(folder, COUNTS)
            second = await run(client, folder, again)
            refused = await run(client, folder, third)

        assert (first.outcome, second.outcome) == (
            EffectOutcome.NOTHING_APPLIED,
            EffectOutcome.DONE,
        )
        assert refused.outcome is EffectOutcome.REFUSED
        assert "attempt 2 may have had its effect" in refused.detail
        assert runs(folder) == 2

    async def test_whose_result_cannot_be_kept_is_answered_all_the_same(self, folder: Path) -> None:
        (folder / "kept").mkdir()
        (folder / "kept" / f"{TOLD.step_key}.1.result").mkdir()
        with runner_here(folder) as runner, capture_logs() as log:
            effect = await run(HookRunner(runner.path), folder)
            (folder / "kept" / f"{TOLD.step_key}.1.result").rmdir()
            later = await recall(HookRunner(runner.path), folder)

        assert effect.outcome is EffectOutcome.DONE
        assert "result_not_kept" in [line["event"] for line in log]
        assert later is not None
        assert later.outcome is EffectOutcome.UNCERTAIN

    async def test_that_cannot_be_recorded_is_not_run(self, folder: Path) -> None:
        with runner_here(folder) as runner:
            (folder / "kept").rmdir()
            effect = await run(HookRunner(runner.path), folder)

        assert effect.outcome is EffectOutcome.REFUSED
        assert "cannot be recorded" in effect.detail
        assert runs(folder) == 0


class TestNothingIsRun:
    """Each of these is refused, and leaves no record: it can be asked for again once mended."""

    async def refused(self, folder: Path, *command: str, told: EffectContext = TOLD) -> str:
        with runner_here(folder) as runner:
            effect = await HookRunner(runner.path).run(
                fingerprint(folder, *command), told, timedelta(seconds=20)
            )

        assert effect.outcome is EffectOutcome.REFUSED
        assert runs(folder) == 0
        assert list((folder / "kept").iterdir()) == []

        return effect.detail

    async def test_where_another_command_is_configured_than_was_meant(self, folder: Path) -> None:
        assert "another command" in await self.refused(folder, "./hook.py", "--forward")

    async def test_for_a_service_without_such_a_step(self, folder: Path) -> None:
        nobody = replace(TOLD, service="nobody")

        assert "step 1 of nobody is no command" in await self.refused(folder, told=nobody)

    @pytest.mark.parametrize(("step", "why"), [(2, "no command"), (3, "no command")])
    async def test_for_a_step_that_is_no_command(self, folder: Path, step: int, why: str) -> None:
        other = replace(TOLD, step_key=f"{TOLD.rollback_id}.1.{step}")

        assert why in await self.refused(folder, told=other)

    async def test_from_a_configuration_that_others_may_write(self, folder: Path) -> None:
        (folder / "monitor.yml").chmod(0o666)

        assert "not root's alone" in await self.refused(folder)

    async def test_from_an_included_file_that_others_may_write(self, folder: Path) -> None:
        (folder / "more.yml").write_text("endpoints: {other: http://127.0.0.1:1/}")
        (folder / "more.yml").chmod(0o666)
        (folder / "monitor.yml").write_text(f"include: [more.yml]\n{CONFIG}")

        detail = await self.refused(folder)
        assert "more.yml may be written by others" in detail

    async def test_of_a_program_in_a_folder_that_others_may_write(self, folder: Path) -> None:
        (folder / "bin").mkdir()
        (folder / "bin").chmod(0o775)
        write_program(folder / "bin", COUNTS)
        (folder / "monitor.yml").write_text(CONFIG.replace("./hook.py", "bin/hook.py"))

        detail = await self.refused(folder, "bin/hook.py", "--back")
        assert "the program is not root's alone" in detail

    async def test_from_a_configuration_that_is_wrong(self, folder: Path) -> None:
        (folder / "monitor.yml").write_text(CONFIG + "surprise: 1\n")

        assert "surprise" in await self.refused(folder)

    @pytest.mark.parametrize(
        "written",
        ['"${HOOK_TOKEN}"', '"Bearer ${HOOK_TOKEN}"'],
        ids=["all of a value", "a part of a value"],
    )
    async def test_where_a_variable_of_the_step_is_not_set_for_the_runner(
        self, folder: Path, written: str
    ) -> None:
        (folder / "monitor.yml").write_text(CONFIG.replace("hook-canary-1b2c", written))

        assert "is not set for the hook runner" in await self.refused(folder)

    async def test_but_what_others_need_may_be_unset(self, folder: Path) -> None:
        (folder / "monitor.yml").write_text(
            CONFIG + 'notifiers: {ops: {slack: {webhook_url: "${SLACK}"}}}\n'
        )
        with runner_here(folder) as runner:
            effect = await run(HookRunner(runner.path), folder)

        assert effect.outcome is EffectOutcome.DONE


class TestTheMonitor:
    async def test_leaves_commands_to_the_runner_that_it_has(self, folder: Path) -> None:
        options = CommandOptions.model_validate(
            {"run": ["./hook.py", "--back"], "env": {"TOKEN": "other"}}, context={"base": folder}
        )
        with runner_here(folder) as runner:
            context = make_context(hook_runner=HookRunner(runner.path))
            hook = KINDS["command"].make(options, context)
            before = await hook.recall(TOLD)
            effect = await hook.apply(TOLD)
            after = await hook.recall(TOLD)
            await hook.close()

        assert isinstance(hook, Remembering)
        assert before is None
        assert effect == after
        assert effect.outcome is EffectOutcome.DONE

    async def test_runs_commands_itself_without_one(self, folder: Path) -> None:
        options = CommandOptions.model_validate(["./hook.py"], context={"base": folder})
        hook = KINDS["command"].make(options, make_context())

        assert not isinstance(hook, Remembering)
        assert (await hook.apply(TOLD)).outcome is EffectOutcome.DONE

    async def test_knows_that_nothing_was_applied_where_nobody_listens(self, folder: Path) -> None:
        client = HookRunner(folder / "none.sock", patience=SOON)
        effect = await run(client, folder)
        recalled = await recall(client, folder)

        assert effect.outcome is EffectOutcome.NOTHING_APPLIED
        assert "cannot be reached: No such file" in effect.detail
        assert recalled is not None
        assert recalled.outcome is EffectOutcome.UNCERTAIN

    async def test_waits_a_little_for_a_runner_that_is_about_to_be_there(
        self, folder: Path
    ) -> None:
        asking = asyncio.create_task(recall(HookRunner(folder / "runner.sock"), folder))
        await asyncio.sleep(0.05)
        with runner_here(folder):
            assert await asking is None

    @pytest.mark.parametrize(
        ("said", "outcome"),
        [
            pytest.param(b"", EffectOutcome.UNCERTAIN, id="nothing"),
            pytest.param(b"{}\n", EffectOutcome.UNCERTAIN, id="nonsense"),
            pytest.param(b'{"known": "result"', EffectOutcome.UNCERTAIN, id="half an answer"),
        ],
    )
    async def test_does_not_know_what_came_of_it_when_the_runner_breaks_off(
        self, folder: Path, said: bytes, outcome: EffectOutcome
    ) -> None:
        with listening(folder, lambda connection: connection.sendall(said)) as runner:
            effect = await run(HookRunner(runner.path), folder)

        assert effect.outcome is outcome
        assert runner.asked == 2

    async def test_asks_the_next_runner_when_one_ended_before_it_began(self, folder: Path) -> None:
        answers = [b"", b'{"known": "never_seen", "effect": null, "detail": ""}\n']

        def answer(connection: socket.socket) -> None:
            connection.recv(LARGEST_ORDER)
            connection.sendall(answers.pop(0))

        with listening(folder, answer) as runner:
            effect = await run(HookRunner(runner.path), folder)

        assert effect.outcome is EffectOutcome.NOTHING_APPLIED

    async def test_does_not_wait_for_ever(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client_module, "_OVERHEAD", SOON)

        def say_nothing(connection: socket.socket) -> None:
            while connection.recv(LARGEST_ORDER):
                pass

        with listening(folder, say_nothing) as runner:
            client = HookRunner(runner.path)
            effect = await run(client, folder, timeout=SOON)
            recalled = await recall(client, folder, timeout=SOON)

        assert effect.detail == "the hook runner does not answer, so the outcome is not known"
        assert recalled == effect


class TestTheRunner:
    @pytest.mark.parametrize(
        "line",
        [
            pytest.param(b"\n", id="an empty line"),
            pytest.param(b'{"run": ["/bin/sh", "-c", "id"]}\n', id="an argument list"),
            pytest.param(b"x" * (LARGEST_ORDER + 1), id="too much"),
        ],
    )
    def test_takes_nothing_but_an_order(self, folder: Path, line: bytes) -> None:
        with runner_here(folder) as runner:
            answer = runner.say(line)

        assert answer.known is Known.DENIED
        assert list((folder / "kept").iterdir()) == []

    def test_does_not_wait_long_for_one(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service_module, "_PATIENCE", 0.1)
        with runner_here(folder) as runner:
            answer = runner.say(b'{"wish": ')

        assert answer == Answer(known=Known.DENIED, detail="no whole order came in time")

    def test_says_nothing_to_who_went_away(self, folder: Path) -> None:
        with runner_here(folder) as runner, socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(runner.path))

        assert list((folder / "kept").iterdir()) == []

    async def test_begins_nothing_for_who_is_gone_already(self, folder: Path) -> None:
        order = Order(wish=Wish.RUN, fingerprint=fingerprint(folder), context=TOLD)
        gone = threading.Event()
        with runner_here(folder, before=lambda: gone.wait(15)) as runner:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(runner.path))
                connection.sendall(write_order(order))
            gone.set()
            recalled = await recall(HookRunner(runner.path), folder)

        assert recalled is None
        assert runs(folder) == 0

    async def test_keeps_the_result_for_who_does_not_wait_for_the_answer(
        self, folder: Path
    ) -> None:
        write_program(folder, WAITS)
        order = Order(wish=Wish.RUN, fingerprint=fingerprint(folder), context=TOLD)
        with runner_here(folder) as runner:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(runner.path))
                connection.sendall(write_order(order))
                await until(folder / "begun")
            (folder / "free").touch()
            effect = await recall(HookRunner(runner.path), folder)

        assert effect is not None
        assert effect.outcome is EffectOutcome.DONE

    @pytest.mark.parametrize(
        ("user", "its_group", "group", "allowed"),
        [
            pytest.param(0, 0, 900, True, id="root"),
            pytest.param(os.geteuid(), 5, None, True, id="the runner's own user"),
            pytest.param(4_000_001, 900, 900, True, id="the monitor's group"),
            pytest.param(4_000_001, 901, 900, False, id="another group"),
            pytest.param(4_000_001, 901, None, False, id="no group at all"),
        ],
    )
    def test_answers_the_monitor_alone(
        self, user: int, its_group: int, group: int | None, allowed: bool
    ) -> None:
        class Stranger(socket.socket):
            def getsockopt(self, *_asked: int) -> bytes:  # type: ignore[override]  # one form of it
                return service_module._CREDENTIALS.pack(1, user, its_group)

        with Stranger(socket.AF_UNIX) as connection:
            assert (find_stranger(connection, group) is None) is allowed


class TestTheCommand:
    async def test_answers_through_its_standard_input(self, folder: Path) -> None:
        with runner_as_started(folder) as (runner, _):
            effect = await run(HookRunner(runner.path), folder)

        assert effect.outcome is EffectOutcome.DONE
        assert runs(folder) == 1
        assert "hook-canary" not in (folder / "runner.log").read_text()

    async def test_that_is_killed_leaves_a_step_whose_outcome_is_not_known(
        self, folder: Path
    ) -> None:
        write_program(folder, COUNTS + WAITS)
        with runner_as_started(folder) as (runner, started):
            asking = asyncio.create_task(run(HookRunner(runner.path), folder))
            await until(folder / "begun")
            started.processes[0].kill()
            effect = await asking
            again = await run(HookRunner(runner.path), folder)
            (folder / "free").touch()

        assert effect.outcome is EffectOutcome.UNCERTAIN
        assert "the hook runner ended before it did" in effect.detail
        assert again == effect
        assert runs(folder) == 1

    async def test_says_what_it_misses(self, folder: Path) -> None:
        from tests.support.program import run as run_program

        config = ("hook-runner", "--config", "monitor.yml")
        nowhere = await run_program(*config, cwd=folder)
        alone = await run_program(*config, "--state", ".", cwd=folder)

        assert (nowhere.code, alone.code) == (2, 2)
        assert "$STATE_DIRECTORY" in nowhere.err
        assert "expected a socket on standard input" in alone.err


def test_a_fingerprint_tells_commands_apart_and_no_secret(folder: Path) -> None:
    prints = {
        fingerprint(folder),
        fingerprint(folder, "./hook.py"),
        fingerprint(folder, "./hook.py", "--back", "--now"),
        fingerprint(folder, "./hook.py", "--back", OTHER="x"),
    }

    assert len(prints) == 4
    assert fingerprint(folder, TOKEN="one") == fingerprint(folder, TOKEN="two")
    assert json.dumps(sorted(prints)).isascii()
