"""`demo`: a bad deploy, found and rolled back, in about a minute and on loopback alone."""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import click

from monitor.cli.common import INTERRUPTED

_WIDE: Final = 200
"""Where there is no terminal, a line of the story is a line."""

_NAME: Final = "production-monitor"


@click.command(short_help="See a bad deploy found, told and rolled back on loopback.")
@click.option("--keep", is_flag=True, help="Leave it running afterwards, to look around.")
def demo(keep: bool) -> None:
    """Show a shop with a bad deploy: detection, alert, rollback, recovery, timeline.

    Everything runs on loopback in a temporary folder. 0 only if all of it really happened.
    """
    from rich.console import Console

    from monitor.tools.demo import run_demo

    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    try:
        sys.exit(asyncio.run(run_demo(console, keep=keep, command=_command())))
    except asyncio.CancelledError:
        sys.exit(INTERRUPTED)


def _command() -> str:
    """Say how this program was called, so that what is printed can be repeated."""
    called = sys.argv[0]

    return called if called.endswith(f"/{_NAME}") else _NAME
