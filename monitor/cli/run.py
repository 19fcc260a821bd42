"""`run`: the daemon, and the check that ends by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from monitor import garbage
from monitor.cli.common import (
    CODES,
    FAIL,
    INTERRUPTED,
    PASS,
    config_option,
    count,
    end,
    find_hook_runner,
    find_probe_runner,
    loader,
    mistakes_end_it,
    start_logs,
)
from monitor.cli.durations import DURATION
from monitor.core.model.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from monitor.app import Monitor, RunOptions
    from monitor.config import Compiled
    from monitor.core.model.endpoint import Endpoint
    from monitor.core.report import CheckReport
    from monitor.rounds import Finished

_FORMS: Final = ("text", "json", "junit", "github")


@click.command(
    short_help="Watch as a daemon; with --cycles N, check N times and exit.",
    epilog="After a deploy: production-monitor --cycles 10 --every 10s --until pass",
)
@config_option
@click.option("--cycles", type=click.IntRange(min=1), metavar="N", help="N rounds, then exit.")
@click.option("--every", type=DURATION, metavar="DURATION", help="Time between rounds.")
@click.option(
    "--until",
    type=click.Choice(["pass", "fail"]),
    help="End at the first round in which all pass, or one fails.",
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only endpoints with this tag.")
@click.option("--endpoint", "names", multiple=True, metavar="NAME", help="Only this endpoint.")
@click.option("--output", type=click.Choice(_FORMS), help="How the result is written.")
@click.option("--no-notify", is_flag=True, help="Tell nobody.")
@click.option("--no-hooks", is_flag=True, help="Roll nothing back.")
@click.option("--no-state", is_flag=True, help="Neither read nor write the store.")
def run(
    configs: tuple[Path, ...],
    cycles: int | None,
    every: timedelta | None,
    until: str | None,
    tags: tuple[str, ...],
    names: tuple[str, ...],
    output: str | None,
    no_notify: bool,
    no_hooks: bool,
    no_state: bool,
) -> None:
    """Watch as a daemon until SIGTERM; with --cycles N, check N times and exit.

    Exit codes: 0 all pass, 1 something fails, 2 a mistake in configuration or usage, 3 nothing
    fails but something is unknown, 130 interrupted.
    """
    cycles = cycles or _cycles_of_environment()
    if cycles is None:
        for name, given in (("--every", every), ("--until", until), ("--output", output)):
            if given is not None:
                raise click.UsageError(f"{name} needs --cycles N: a daemon does not end by itself")

    start_logs(default_level="warning" if cycles else "info")
    with mistakes_end_it(), garbage.left_alone():
        from monitor.app import RunOptions

        unused = ("notifiers", "routes") if no_notify else ()
        compiled, load = _load_once(loader(configs, without=unused))
        options = RunOptions(
            holder=f"production-monitor run{' --cycles' if cycles else ''}",
            oneshot=cycles is not None,
            selected=select(compiled, tags, names),
            notify=not no_notify,
            hooks=not no_hooks,
            state=not no_state,
            hook_runner=find_hook_runner(),
            probe_runner=find_probe_runner(),
        )
        if cycles is None:
            sys.exit(_watch(load, options))

        sys.exit(_check(load, options, cycles, every, Outcome(until) if until else None, output))


def select(
    compiled: Compiled, tags: Sequence[str], names: Sequence[str]
) -> Callable[[Endpoint], bool]:
    """Give which endpoints are meant; raises UsageError for a name or tag that nobody has."""
    from monitor.config.suggest import suggest

    known = {endpoint.name for endpoint in compiled.endpoints}
    for name in names:
        if name not in known:
            raise click.UsageError(f"--endpoint {name}: no such endpoint{suggest(name, known)}")

    known_tags = {tag for endpoint in compiled.endpoints for tag in endpoint.tags}
    for tag in tags:
        if tag not in known_tags:
            raise click.UsageError(f"--tag {tag}: no endpoint has it{suggest(tag, known_tags)}")

    if not tags and not names:
        return lambda _endpoint: True

    return lambda endpoint: endpoint.name in names or bool(endpoint.tags & set(tags))


def exit_code(finished: Finished, until: Outcome | None) -> int:
    """Give the exit code of a run that ended."""
    if finished.interrupted:
        return INTERRUPTED
    if until is Outcome.PASS:
        return PASS if finished.reached else FAIL
    if until is Outcome.FAIL:
        return FAIL if finished.reached else PASS

    return CODES[finished.verdict]


def _load_once(load: Callable[[], Compiled]) -> tuple[Compiled, Callable[[], Compiled]]:
    """Load, and give the same again at the first call: a pipe can be read only once."""
    compiled = load()
    unused = [compiled]

    return compiled, lambda: unused.pop() if unused else load()


def _cycles_of_environment() -> int | None:
    text = os.environ.get("MONITOR_CYCLES", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise click.UsageError(f"MONITOR_CYCLES: expected a whole number from 1, found {text!r}")

    return int(text)


def _watch(load: Callable[[], Compiled], options: RunOptions) -> int:
    import uvloop

    from monitor.daemon import run_daemon
    from monitor.web.server import ListenError

    try:
        orderly = uvloop.run(run_daemon(load, options, environ=os.environ, on_built=_mask_logs))
    except ListenError as error:
        end(str(error))

    return PASS if orderly else FAIL


def _check(
    load: Callable[[], Compiled],
    options: RunOptions,
    cycles: int,
    every: timedelta | None,
    until: Outcome | None,
    output: str | None,
) -> int:
    import uvloop

    from monitor.cli.finished import Run
    from monitor.cli.look import find_look
    from monitor.cli.output import Output, write_run

    form = Output(output or "text")
    told = form is Output.TEXT and cycles > 1
    finished, environment = uvloop.run(_rounds(load, options, cycles, every, until, told=told))
    result = Run(
        verdict=finished.verdict,
        started_at=finished.started_at,
        finished_at=finished.finished_at,
        environment=environment,
        cycles=finished.cycles,
        reports=finished.reports,
        interrupted=finished.interrupted,
    )
    click.echo(write_run(result, form, find_look()), nl=False)
    if finished.undelivered:
        what = count(finished.undelivered, "notice")
        where = "kept for the next run" if options.state else "lost (--no-state)"
        click.echo(f"{what} could not be delivered: {where}", err=True)

    return exit_code(finished, until)


async def _rounds(
    load: Callable[[], Compiled],
    options: RunOptions,
    cycles: int,
    every: timedelta | None,
    until: Outcome | None,
    *,
    told: bool,
) -> tuple[Finished, str]:
    from monitor.app import Monitor
    from monitor.cli.progress import Progress
    from monitor.core.report import report_checks
    from monitor.rounds import Rounds, run_rounds
    from monitor.store import StoreError

    monitor = await Monitor.open(load, options)
    garbage.watch_for_garbage()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        _mask_logs(monitor)
        await monitor.start()
        rounds = Rounds(
            endpoints=monitor.watched,
            cycles=cycles,
            every=every or monitor.compiled.every,
            until=until,
        )

        def look() -> tuple[CheckReport, ...]:
            return report_checks(monitor.engine, rounds.endpoints, monitor.now())

        with Progress(rounds, look if told else None) as progress:
            finished = await run_rounds(monitor, rounds, stop, progress.probed)
    finally:
        try:
            await monitor.close(timedelta() if stop.is_set() else _PATIENCE)
        except StoreError as error:  # all was judged and told, from memory
            click.echo(f"the counts of this run are not kept: {error}", err=True)

    return finished, monitor.compiled.directory.environment


_PATIENCE: Final = timedelta(seconds=10)


def _mask_logs(monitor: Monitor) -> None:
    """Hide the secrets in every line from now on: before, nothing knew any."""
    level = "warning" if monitor.options.oneshot else "info"
    start_logs(default_level=level, mask=monitor.redactor.mask)
