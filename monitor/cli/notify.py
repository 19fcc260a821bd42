"""`notify`: whether receivers take what they are told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.asking import act, server_option
from monitor.cli.common import (
    FAIL,
    PASS,
    config_option,
    count,
    end,
    find_probe_runner,
    loader,
    mistakes_end_it,
    start_logs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from monitor.app import Monitor
    from monitor.config import Compiled
    from monitor.operations import Tried


@click.group(short_help="Try whether receivers take notices.")
def notify() -> None:
    """Try receivers, and see to what they did not take."""


@notify.command(
    short_help="Send a test message, and say what came back.",
    epilog="For example: production-monitor notify test oncall",
)
@click.argument("names", nargs=-1, metavar="NOTIFIER...")
@click.option("--all", "everyone", is_flag=True, help="Every notifier of the configuration.")
@config_option
def test(names: tuple[str, ...], everyone: bool, configs: tuple[Path, ...]) -> None:
    """Send a message to each NOTIFIER that says that it is a test, and tell what came back.

    It is sent at once, past routes and silences, whether the monitor runs or not. At PagerDuty an
    alert opens and is over at once; at Alertmanager one ends after two minutes.

    Exit codes: 0 all took it, 1 one did not, 2 there is no such notifier.
    """
    if bool(names) is everyone:
        raise click.UsageError("expected the names of notifiers, or --all")

    start_logs(default_level="error")
    with mistakes_end_it():
        compiled = loader(configs)()
    chosen = tuple(compiled.notifiers) if everyone else tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in compiled.notifiers:
            known = ", ".join(compiled.notifiers) or "none"
            end(f"{name}: no such notifier, expected one of {known}")
    if not chosen:
        end("there are no notifiers")

    import uvloop

    from monitor.options import Redactor

    mask = Redactor(compiled.secrets).mask
    tried = uvloop.run(_try(compiled, chosen, mask))
    for one in tried:
        click.echo(mask(_line(one)))
    raise SystemExit(PASS if all(one.delivered for one in tried) else FAIL)


@notify.command(
    short_help="Queue what a receiver refused once more.",
    epilog="For example: production-monitor notify requeue oncall",
)
@click.argument("notifier")
@config_option
@server_option
def requeue(notifier: str, configs: tuple[Path, ...], server: str | None) -> None:
    """Queue the dead letters of NOTIFIER again, in their order, once it takes notices.

    What came before something that it was told of the same incident since is left as it is.
    """

    async def do(monitor: Monitor) -> dict[str, Any]:
        from monitor import operations

        return await operations.requeue(notifier, monitor.desk)

    found = act(
        configs,
        server,
        "/api/v1/notifiers/requeue",
        {"notifier": notifier},
        do,
        expected=("notifier", "requeued", "left"),
    )
    said = f"{found['notifier']}: {count(found['requeued'], 'notice')} queued again"
    if found["left"]:
        said += f", {found['left']} left: what came after it has been told"
    click.echo(said)


async def _try(compiled: Compiled, names: Sequence[str], mask: Callable[[str], str]) -> list[Tried]:
    from monitor import operations
    from monitor.names import Resolver
    from monitor.plugins import Surroundings, close_all, make_plugins
    from monitor.runner.elsewhere import CommandsElsewhere

    runner = find_probe_runner()
    around = Surroundings(
        clock=lambda: datetime.now(UTC),
        mask=mask,
        resolver=Resolver(),
        errands=CommandsElsewhere(runner) if runner else None,
    )
    chosen = {name: compiled.notifiers[name] for name in names}
    made = make_plugins(replace(compiled, endpoints=(), hooks={}, notifiers=chosen), around)
    try:
        return await asyncio.gather(
            *(
                operations.try_notifier(
                    name, made.notifiers[name], compiled.directory, around.clock()
                )
                for name in names
            )
        )
    finally:
        await close_all(made)


def _line(one: Tried) -> str:
    mark = "✔" if one.delivered else "✘"
    hint = f"\n  {one.hint}" if one.hint else ""

    return f"{mark} {one.notifier}: {one.text}{hint}"
