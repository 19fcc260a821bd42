"""The installed program with its commands left to the hook runner, and killed while they run."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.support.hook_runner import runner_as_started
from tests.support.program import daemon, run
from tests.support.street import (
    find_rollbacks,
    open_street,
    until_passing,
    write_config,
    write_hook,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.street import Street


def configure(folder: Path, street: Street, *hook: str) -> None:
    """Watch one shop, which its hook puts right; the configuration is ours alone."""
    folder.chmod(0o755)
    run = write_hook(folder, "shop", *hook)
    step = {"command": {"run": run, "timeout": "30s"}}
    write_config(folder, street, {"shop": {"mode": "automatic", "steps": [step]}})
    # The hook runner has an environment of its own, in which no port is set.
    config = folder / "monitor.yml"
    config.write_text(config.read_text().replace("${PORT}", "${PORT:-1}"))
    config.chmod(0o644)


async def deploy(folder: Path) -> None:
    told = await run("deploy", "shop", "--version", "2.0", cwd=folder, environ={"PORT": "1"})
    assert told.code == 0, told.err


async def test_a_step_outlives_a_monitor_that_is_killed_and_runs_once(tmp_path: Path) -> None:
    async with open_street(tmp_path) as street:
        configure(
            tmp_path,
            street,
            "touch begun",
            "while [ ! -e free ]; do sleep 0.05; done",
            'echo "$MONITOR_STEP_KEY $MONITOR_ATTEMPT" >> effects/$MONITOR_SERVICE',
        )
        with runner_as_started(tmp_path) as (runner, started):
            environ = {"HOOK_RUNNER_SOCKET": str(runner.path)}
            async with daemon(tmp_path, environ=environ) as running:
                await until_passing(running)
                await deploy(tmp_path)
                street["shop"].broken = True
                await until((tmp_path / "begun").exists)
                await running.stop(signal.SIGKILL)

            async with daemon(tmp_path, environ=environ) as running:
                status = await running.until(lambda status: find_rollbacks(status, "shop"))
                meanwhile = find_rollbacks(status, "shop")[0]["state"]
                (tmp_path / "free").touch()
                status = await running.until(
                    lambda status: find_rollbacks(status, "shop")[0]["ended_at"]
                )

        (rollback,) = find_rollbacks(status, "shop")
        (step,) = rollback["steps"]
        assert meanwhile == "executing"
        assert (rollback["state"], step["state"], step["detail"]) == ("recovered", "done", "exit 0")
        assert street.effects("shop") == [f"{step['key']} 1"]
        assert len(started.processes) == 2


async def test_a_runner_that_is_not_there_is_known_from_the_start_and_runs_nothing(
    tmp_path: Path,
) -> None:
    async with open_street(tmp_path) as street:
        configure(tmp_path, street, "touch effects/shop")
        environ = {"HOOK_RUNNER_SOCKET": str(tmp_path / "none.sock")}
        async with daemon(tmp_path, environ=environ) as running:
            at_first = running.said()
            await until_passing(running)
            await deploy(tmp_path)
            street["shop"].broken = True
            status = await running.until(
                lambda status: (
                    find_rollbacks(status, "shop") and find_rollbacks(status, "shop")[0]["ended_at"]
                )
            )

        (rollback,) = find_rollbacks(status, "shop")
        assert "hook_runner_cannot_be_reached" in at_first
        assert rollback["state"] == "failed"
        assert "the hook runner cannot be reached: No such file" in rollback["detail"]
        assert not (tmp_path / "effects" / "shop").exists()
