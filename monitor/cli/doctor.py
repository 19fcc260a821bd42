"""`doctor`: whether everything that will be needed can be reached."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

import click

from monitor.cli.common import (
    FAIL,
    PASS,
    UNKNOWN,
    config_option,
    find_hook_runner,
    find_probe_runner,
    loader,
    mistakes_end_it,
    start_logs,
)

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.cli.look import Look
    from monitor.config import Compiled
    from monitor.tools.examined import Examined

_MARKS: Final = {
    "ok": "[green bold]✔ ok[/]     ",
    "warning": "[yellow bold]! warning[/]",
    "broken": "[red bold]✘ BROKEN[/] ",
    "skipped": "[dim]- skipped[/]",
}


@click.command(
    short_help="Try every endpoint, receiver, witness and store; fire nothing.",
    epilog="For example: production-monitor doctor --config monitor.yml",
)
@config_option
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", help="How it is written."
)
def doctor(configs: tuple[Path, ...], output: str) -> None:
    """Try whether everything that will be needed can be reached, before it is needed.

    Endpoints are asked once, receivers are reached without a message, rollback commands are looked
    at and not run. Exit codes: 0 all is well, 1 something is broken, 3 something may be regretted.
    """
    start_logs(default_level="error")
    with mistakes_end_it():
        compiled = loader(configs)()

    import uvloop

    from monitor.cli.look import find_look
    from monitor.options import Redactor
    from monitor.tools.examined import Fitness, worst

    mask = Redactor(compiled.secrets).mask
    look = find_look()
    findings = uvloop.run(_examine(compiled, look if output == "text" else None))
    fitness = worst(findings)
    if output == "json":
        found = {"health": fitness.value, "findings": [one.to_json() for one in findings]}
        click.echo(mask(json.dumps(found, ensure_ascii=False, indent=2)))
    else:
        bad = sum(one.fitness in (Fitness.BROKEN, Fitness.WARNING) for one in findings)
        click.echo(f"\n{len(findings)} tried, {bad} to look at" if bad else "\nall is well")
    sys.exit({Fitness.BROKEN: FAIL, Fitness.WARNING: UNKNOWN}.get(fitness, PASS))


async def _examine(compiled: Compiled, look: Look | None) -> list[Examined]:
    """Try everything, and write each finding as it comes where there is a look for it."""
    from monitor.options import Redactor
    from monitor.tools.doctor import examine

    mask = Redactor(compiled.secrets).mask
    findings = []
    async for finding in examine(
        compiled,
        mask=mask,
        hook_runner=find_hook_runner(),
        probe_runner=find_probe_runner(),
    ):
        findings.append(finding)
        if look is not None:
            click.echo(mask(_line(finding, look)), nl=False)

    return findings


def _line(finding: Examined, look: Look) -> str:
    from rich.markup import escape

    from monitor.cli.page import Page

    page = Page(look)
    lead = f"{_MARKS[finding.fitness]}  {finding.part:<13}  "
    page.line(f"[bold]{escape(finding.name)}[/]  {escape(finding.text)}", lead=lead)

    return page.text()
