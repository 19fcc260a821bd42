"""`check-config` and `schema`: is the configuration right, and what may be in it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from monitor.cli.common import count, find_config, mistakes_end_it

if TYPE_CHECKING:
    from pathlib import Path


@click.command("check-config", short_help="Tell every mistake in the configuration at once.")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path())
@click.option(
    "--show",
    is_flag=True,
    help="Print all files as one, as JSON: what is written, without the defaults, secrets masked.",
)
@click.option(
    "--allow-unset",
    is_flag=True,
    help="Accept variables and credentials that are not set here, as in CI or beside a service.",
)
def check_config(files: tuple[str, ...], show: bool, allow_unset: bool) -> None:
    """Read the configuration and tell every mistake at once: 0 if there is none, else 2.

    What is likely to be regretted is told as well, as a warning.
    """
    from monitor.config import find_doubts, load

    paths = find_config(_paths(files))
    with mistakes_end_it():
        compiled = load(paths, environ=os.environ, allow_unset=allow_unset)

    for doubt in find_doubts(compiled):
        click.echo(f"warning: {doubt}", err=True)
    if show:
        click.echo(json.dumps(compiled.shown, ensure_ascii=False, indent=2))
        return

    endpoints, checks = len(compiled.endpoints), sum(len(one.checks) for one in compiled.endpoints)
    names = ", ".join(map(str, paths))
    click.echo(
        f"{names}: good: {count(endpoints, 'endpoint')} with {count(checks, 'check')}, "
        f"{count(len(compiled.notifiers), 'notifier')}, "
        f"{count(len(compiled.hooks), 'service')} with a rollback"
    )


@click.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from monitor.config import schema as build

    click.echo(json.dumps(build(), ensure_ascii=False, indent=2))


def _paths(files: tuple[str, ...]) -> tuple[Path, ...]:
    from pathlib import Path

    return tuple(Path(file) for file in files)
