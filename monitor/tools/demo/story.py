"""The story of the demo: what has to happen, in this order, and how it is told as it happens."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from monitor.tools.demo.receiver import Message, Receiver
from monitor.tools.demo.stage import BAD, GOOD, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

_PATIENCE: Final = 60.0
_LOOK_EVERY: Final = 0.1


class DemoFailed(Exception):
    """Something that the demo shows did not happen; the message says what."""


@dataclass(slots=True)
class _Seen:
    """What has been told already, so that each thing is told once."""

    timeline: set[tuple[str, int]] = field(default_factory=set)
    messages: list[Message] = field(default_factory=list)


async def run_demo(console: Console, *, keep: bool) -> int:
    """Play the demo; 0 only if all of it really happened. `keep` leaves it running until Ctrl-C."""
    began = monotonic()
    seen = _Seen()

    def say(text: str, style: str = "") -> None:
        console.print(f"{monotonic() - began:5.1f} s  {text}", style=style, highlight=False)

    receiver = Receiver(lambda message: _hear(message, seen, say))
    await receiver.start()
    with tempfile.TemporaryDirectory(prefix="production-monitor-demo-") as folder:
        stage = Stage(Path(folder), receiver.port)
        try:
            await _play(stage, seen, say)
            _summarise(stage, console)
            if keep:
                console.print("\nIt goes on until Ctrl-C.")
                await _until_interrupted()
        except (DemoFailed, RuntimeError, OSError) as error:
            say(f"The demo failed: {error}", "bold red")
            console.print(_end_of(stage.log), markup=False, highlight=False)
            return 1
        finally:
            await stage.strike()
            await receiver.close()

    return 0


async def _play(stage: Stage, seen: _Seen, say: Callable[..., None]) -> None:
    stage.build()
    await stage.open_shop()
    await stage.start_monitor()
    say(f"A shop runs version {GOOD}; the monitor watches it. Look: {stage.monitor_url}", "bold")
    await _until(lambda status: bool(status) and _all_pass(status), stage, seen, say, "all to pass")
    say("Every check passes.", "green")

    await stage.announce(GOOD)
    await _until(_certified, stage, seen, say, f"version {GOOD} to be known as good")
    say(f"Version {GOOD} has been healthy long enough: it is the last known good.", "green")

    await stage.release(BAD)
    await stage.announce(BAD)
    say(f"Version {BAD} is deployed. It works at first.", "bold")

    await _until(_fails, stage, seen, say, "the first failure")
    await _until(_incident_open, stage, seen, say, "the threshold to be crossed")
    await _until(lambda _: _posted(seen), stage, seen, say, "the alert to reach Slack")
    await _until(_rollback_in("verifying", "recovered"), stage, seen, say, "the hook to run")
    if stage.live_version() != GOOD:
        raise DemoFailed(f"the hook ran, but version {stage.live_version()} is live")
    await _until(_rollback_in("recovered"), stage, seen, say, "the recovery to be verified")
    await _until(_incident_resolved, stage, seen, say, "the incident to be resolved")
    await _until(lambda _: _answered(seen), stage, seen, say, "Slack to hear of the end")
    if (ran := stage.rollbacks_that_ran()) != 1:
        raise DemoFailed(f"expected one rollback, found {ran} in the shop's own record")


async def _until(
    happened: Callable[[dict[str, Any]], bool],
    stage: Stage,
    seen: _Seen,
    say: Callable[..., None],
    what: str,
) -> None:
    """Look at the monitor until something has happened, and tell what else does meanwhile."""
    deadline = monotonic() + _PATIENCE
    while monotonic() < deadline:
        if stage.monitor is not None and stage.monitor.returncode is not None:
            raise DemoFailed(f"the monitor ended with {stage.monitor.returncode}")

        status = await asyncio.to_thread(_look, stage.monitor_url)
        _tell(status, seen, say)
        if happened(status):
            return
        await asyncio.sleep(_LOOK_EVERY)

    raise DemoFailed(f"waited {_PATIENCE:.0f} s for {what}")


def _look(url: str) -> dict[str, Any]:
    """Read the status over HTTP; empty while nobody answers."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/status", timeout=5) as answer:  # noqa: S310 - http on loopback
            found: dict[str, Any] = json.load(answer)
    except OSError:
        return {}

    return found


def _tell(status: dict[str, Any], seen: _Seen, say: Callable[..., None]) -> None:
    for check in status.get("checks", ()):
        count = check["consecutive_failures"]
        if check["verdict"] == "fail" and check["state"] != "fail" and count:
            mark = (check["check"], -count)
            if mark not in seen.timeline:
                seen.timeline.add(mark)
                reason = check["reasons"][0]["message"] if check["reasons"] else ""
                say(f"{check['check']} fails, {count} in a row: {reason}", "yellow")
    for incident in status.get("incidents", ()):
        for entry in incident["timeline"]:
            mark = (incident["id"], entry["sequence"])
            if mark not in seen.timeline:
                seen.timeline.add(mark)
                say(
                    f"{entry['event']}: {entry['text']}",
                    "red" if not incident["resolved_at"] else "",
                )


def _hear(message: Message, seen: _Seen, say: Callable[..., None]) -> None:
    seen.messages.append(message)
    where = "thread" if message.thread else "channel"
    if not message.update:
        first = message.text.splitlines()[0] if message.text else ""
        say(f"Slack #on-call ({where}): {first}", "cyan")


def _all_pass(status: dict[str, Any]) -> bool:
    return all(check["verdict"] in ("pass", "waiting") for check in status["checks"]) and any(
        check["verdict"] == "pass" for check in status["checks"]
    )


def _certified(status: dict[str, Any]) -> bool:
    return any(
        deploy["version"] == GOOD and deploy["certified_at"] for deploy in status.get("deploys", ())
    )


def _fails(status: dict[str, Any]) -> bool:
    return any(check["verdict"] == "fail" for check in status.get("checks", ()))


def _incident_open(status: dict[str, Any]) -> bool:
    return bool(status.get("incidents"))


def _incident_resolved(status: dict[str, Any]) -> bool:
    incidents = status.get("incidents", ())

    return bool(incidents) and all(incident["resolved_at"] for incident in incidents)


def _rollback_in(*states: str) -> Callable[[dict[str, Any]], bool]:
    return lambda status: any(one["state"] in states for one in status.get("rollbacks", ()))


def _posted(seen: _Seen) -> bool:
    return any(not message.thread and not message.update for message in seen.messages)


def _answered(seen: _Seen) -> bool:
    return any(message.thread for message in seen.messages)


def _summarise(stage: Stage, console: Console) -> None:
    status = _look(stage.monitor_url)
    console.print("\nThe timeline, as the post-mortem will have it:", style="bold")
    for incident in status["incidents"]:
        console.print(f"  {incident['id']}", highlight=False)
        for entry in incident["timeline"]:
            at = entry["at"][11:19]
            console.print(f"  {at}  {entry['text']}", markup=False, highlight=False)
    console.print(f"\nIn the browser: {stage.monitor_url}/ (with --keep it stays there)")


def _end_of(log: Path) -> str:
    if not log.is_file():
        return "the monitor wrote no log"

    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


async def _until_interrupted() -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with suppress(asyncio.CancelledError):
        await stop.wait()
