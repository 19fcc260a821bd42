"""The story of the demo: what has to happen, in this order."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
import urllib.request
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from monitor.tools.demo.receiver import Receiver
from monitor.tools.demo.stage import BAD, GOOD, Stage
from monitor.tools.demo.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

_PATIENCE: Final = 60.0
_LOOK_EVERY: Final = 0.1
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BAD_ENDS: Final = ("blocked", "uncertain", "not_recovered", "inconclusive", "failed")


class DemoFailed(Exception):
    """Something that the demo shows did not happen; the message says what."""


async def run_demo(
    console: Console,
    *,
    keep: bool,
    command: str = "production-monitor",
    make_stage: Callable[[Path, int], Stage] = Stage,
    patience: float = _PATIENCE,
) -> int:
    """Play the demo; 0 only if all of it really happened. `keep` leaves it running until Ctrl-C.

    `command` is how the program is called here, `patience` how many seconds each thing may take.
    Whatever ends it, what was started is ended too; an interruption before the end raises
    CancelledError.
    """
    _be_interruptible()
    telling = Telling(console)
    receiver = Receiver(telling.hear)
    await receiver.start()
    with tempfile.TemporaryDirectory(prefix="monitor-demo-") as folder:
        stage = make_stage(Path(folder), receiver.port)
        try:
            if keep:
                telling.add(f"The page will be at {stage.monitor_url}/\n")
            await _Play(stage, telling, patience).perform()
            status = await asyncio.to_thread(_look, stage.monitor_url)
            telling.conclude(status)
            if keep:
                telling.add(f"\nThe page is at {stage.monitor_url}/ until Ctrl-C.", "bold")
                for incident in status["incidents"]:
                    url = f"{stage.monitor_url}/api/v1/incidents/{incident['id']}/postmortem"
                    telling.add(f"The post-mortem is at {url}")
                await _until_interrupted()
            else:
                telling.add(f"\nTo look around in the browser: {command} demo --keep")
        except (DemoFailed, RuntimeError, OSError) as error:
            telling.say("demo", f"failed: {error}", "bold red")
            telling.add(_end_of(stage.log))
            return 1
        finally:
            await stage.strike()
            await receiver.close()

    return 0


class _Play:
    """The acts, each of which waits for what has to come of it."""

    def __init__(self, stage: Stage, telling: Telling, patience: float) -> None:
        self._stage = stage
        self._telling = telling
        self._patience = patience

    async def perform(self) -> None:
        """Play from the first look at the shop to its recovery; raises DemoFailed."""
        await self._open()
        await self._certify()
        await self._deploy_the_bad_version()
        await self._roll_back()
        await self._recover()

    async def _open(self) -> None:
        say = self._telling.say
        self._stage.build()
        await self._stage.open_shop()
        say("shop", f"version {GOOD} is live")
        await self._stage.start_monitor()
        say("monitor", "watches it as a daemon")
        await self._until(_all_pass, "every check to pass")
        say("monitor", "every check passes", "green")

    async def _certify(self) -> None:
        await self._stage.announce(GOOD)
        self._telling.say("deploy", f"version {GOOD} is announced to the monitor")
        await self._until(_certified, f"version {GOOD} to be known as good")
        self._telling.say(
            "monitor", f"version {GOOD} stays healthy: it is the last known good", "green"
        )

    async def _deploy_the_bad_version(self) -> None:
        await self._stage.release(BAD)
        self._telling.say("shop", f"version {BAD} is live; it works at first", "bold")
        await self._stage.announce(BAD)
        self._telling.say("deploy", f"version {BAD} is announced to the monitor")
        await self._until(_fails, "the first failure")
        await self._until(_incident_open, "the threshold to be crossed")
        await self._until(lambda _: self._alerted(), "the alert to reach Slack")

    async def _roll_back(self) -> None:
        await self._until(_rollback_in("verifying", "recovered"), "the hook to run")
        if self._stage.live_version() != GOOD:
            raise DemoFailed(f"the hook ran, but version {self._stage.live_version()} is live")
        self._telling.say("shop", f"version {GOOD} is live again", "bold")

    async def _recover(self) -> None:
        await self._until(_rollback_in("recovered"), "the recovery to be verified")
        await self._until(_incident_resolved, "the incident to be resolved")
        await self._until(lambda _: self._told_of_the_end(), "Slack to hear of the end")
        if (ran := self._stage.rollbacks_that_ran()) != 1:
            raise DemoFailed(f"expected one rollback, found {ran} in the shop's own record")

    async def _until(self, happened: Callable[[dict[str, Any]], bool], what: str) -> None:
        """Look at the monitor until something has happened, and tell what else does meanwhile."""
        deadline = monotonic() + self._patience
        while monotonic() < deadline:
            if (code := self._stage.monitor_ended()) is not None:
                raise DemoFailed(f"the monitor ended with {code}, waiting for {what}")

            status = await asyncio.to_thread(_look, self._stage.monitor_url)
            self._telling.follow(status)
            if status and happened(status):
                return
            if ended := next(filter(_ended_badly, status.get("rollbacks", ())), None):
                why = ended["blocked"] or ended["detail"] or ended["reason"]
                raise DemoFailed(f"the rollback is {ended['state']} ({why}), waiting for {what}")

            await asyncio.sleep(_LOOK_EVERY)

        raise DemoFailed(f"waited {self._patience:.0f} s for {what}")

    def _alerted(self) -> bool:
        return any(not message.thread and not message.update for message in self._telling.messages)

    def _told_of_the_end(self) -> bool:
        """Whether the thread says so, and the alert itself turned green with it."""
        messages = self._telling.messages

        return any("recovered" in one.text for one in messages if one.thread) and any(
            "recovered" in one.text for one in messages if one.update
        )


def _look(url: str) -> dict[str, Any]:
    """Read the status over HTTP; empty while nobody answers."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/status", timeout=5) as answer:  # noqa: S310 - http on loopback
            found: dict[str, Any] = json.load(answer)
    except OSError:
        return {}

    return found


def _all_pass(status: dict[str, Any]) -> bool:
    return all(check["verdict"] in ("pass", "waiting") for check in status["checks"]) and any(
        check["verdict"] == "pass" for check in status["checks"]
    )


def _certified(status: dict[str, Any]) -> bool:
    return any(deploy["version"] == GOOD and deploy["certified_at"] for deploy in status["deploys"])


def _fails(status: dict[str, Any]) -> bool:
    return any(check["verdict"] == "fail" for check in status["checks"])


def _incident_open(status: dict[str, Any]) -> bool:
    return bool(status["incidents"])


def _incident_resolved(status: dict[str, Any]) -> bool:
    incidents = status["incidents"]

    return bool(incidents) and all(incident["resolved_at"] for incident in incidents)


def _rollback_in(*states: str) -> Callable[[dict[str, Any]], bool]:
    return lambda status: any(one["state"] in states for one in status["rollbacks"])


def _ended_badly(rollback: dict[str, Any]) -> bool:
    return rollback["state"] in _BAD_ENDS


def _end_of(log: Path) -> str:
    if not log.is_file():
        return "The monitor wrote no log."

    lines = log.read_text(errors="replace").splitlines()[-20:]

    return "\n".join(["The end of the monitor's log:", *lines])


def _be_interruptible() -> None:
    """Let the first signal end the play in order; a second one does not disturb the clearing."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None

    def interrupt() -> None:
        for number in _SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupt)


async def _until_interrupted() -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
