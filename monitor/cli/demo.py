"""`demo`: a bad deploy, found and rolled back, in about a minute and on loopback alone."""

from __future__ import annotations

import asyncio
import sys

import click

from monitor.cli.common import INTERRUPTED


@click.command(short_help="See a bad deploy found, told and rolled back on loopback.")
@click.option("--keep", is_flag=True, help="Leave it running afterwards, to look around.")
def demo(keep: bool) -> None:
    """Show a shop with a bad deploy: detection, alert, rollback, recovery, timeline.

    Everything runs on loopback in a temporary folder. 0 only if all of it really happened.
    """
    from rich.console import Console

    from monitor.tools.demo import run_demo

    try:
        sys.exit(asyncio.run(run_demo(Console(soft_wrap=True), keep=keep)))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
