"""The command line: one file per group of commands, each loaded only when it is used."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Final

import click

from monitor import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

_CANNOT_WRITE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_COMMANDS: Final = {
    "run": "monitor.cli.run",
    "check-config": "monitor.cli.config",
    "schema": "monitor.cli.config",
    "probe": "monitor.cli.probe",
    "doctor": "monitor.cli.doctor",
    "status": "monitor.cli.acts",
    "deploy": "monitor.cli.acts",
    "rollback": "monitor.cli.rollbacks",
    "headers": "monitor.cli.acts",
    "incident": "monitor.cli.incidents",
    "silence": "monitor.cli.silences",
    "notify": "monitor.cli.notify",
    "import": "monitor.cli.importing",
    "demo": "monitor.cli.demo",
    "hook-runner": "monitor.cli.hook_runner",
}
"""Where each command is; the order is that of the help."""


class _Commands(click.Group):
    """Loads a command when it is named, and takes `run` where none is."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None

        module = import_module(_COMMANDS[cmd_name])
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(module, f"{name}_" if iskeyword(name) else name)

        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "-h", "--version")):
            args = ["run", *args]

        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an interruption at any moment ends with its own code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from monitor.cli.common import INTERRUPTED

            sys.exit(INTERRUPTED)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="production-monitor")
def cli() -> None:
    """Watch production after every deploy, tell on-call what broke and why, and roll back once.

    Without a command it is `run`: the daemon, or with --cycles N a check that ends by itself.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    _hold_standard_streams()
    try:
        cli.main(args=args, prog_name="production-monitor")
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if error.errno not in _CANNOT_WRITE or error.filename is not None:
            raise
        with suppress(OSError):
            click.echo(
                f"the output cannot be written: {os.strerror(error.errno).lower()}", err=True
            )
        sys.exit(2)


def _hold_standard_streams() -> None:
    """Let no file of ours become a standard stream, and no character be unwritable on one.

    Where one was closed before the start (`>&-`), the next file that is opened would be taken for
    it: libuv aborts over that, and a log line would go into the store.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one

    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8", closefd=False))
        elif isinstance(stream, TextIOWrapper):  # a test may have put something else there
            stream.reconfigure(errors="backslashreplace")
