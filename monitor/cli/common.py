"""What commands share: which configuration, how the log is written, and how a mistake ends."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from monitor.core.model.verdict import Outcome
from monitor.logs import LEVELS, Log, configure_logs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from monitor.config import Compiled

_log = Log()

PASS: Final = 0
FAIL: Final = 1
USAGE: Final = 2
UNKNOWN: Final = 3
INTERRUPTED: Final = 130
"""The exit codes: what scripts depend on."""

CODES: Final = {Outcome.PASS: PASS, Outcome.FAIL: FAIL, Outcome.UNKNOWN: UNKNOWN}
"""How a verdict ends a command."""

PLACES: Final = (
    Path("monitor.yml"),
    Path("config/monitor.yml"),
    Path("/etc/production-monitor/monitor.yml"),
)
"""Where a configuration is looked for when none is named."""

config_option = click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration; may be repeated, later files overlay earlier ones. "
    "Default: $MONITOR_CONFIG, else monitor.yml or config/monitor.yml here, else in "
    "/etc/production-monitor.",
)


def find_config(named: Sequence[Path]) -> tuple[Path, ...]:
    """Give the files to read: those that are named, else of the environment, else a usual place.

    Raises UsageError that says where was looked.
    """
    if named:
        return tuple(named)
    given = os.environ.get("MONITOR_CONFIG", "")
    if paths := tuple(Path(part) for part in given.split(os.pathsep) if part):
        return paths

    found = next((place for place in PLACES if place.is_file()), None)
    if found is None:
        places = ", ".join(map(str, PLACES))
        raise click.UsageError(
            f"no configuration: expected --config FILE, $MONITOR_CONFIG, or one of {places}"
        )

    return (found,)


def loader(
    named: Sequence[Path], *, without: Collection[str] = (), allow_unset: bool = False
) -> Callable[[], Compiled]:
    """Give a function that loads the configuration, again and again.

    `without` names sections that are not used: what is wrong in them does not count. With
    `allow_unset`, variables that are not set are no mistake.
    """
    from monitor.config import load

    paths = find_config(named)

    return lambda: load(paths, environ=os.environ, without=without, allow_unset=allow_unset)


def start_logs(*, default_level: str, mask: Callable[[str], str] = str) -> None:
    """Write the log as the environment asks: MONITOR_LOG_LEVEL and MONITOR_LOG_FORMAT.

    `mask` hides secrets in each line; raises UsageError for a value that is not known.
    """
    level = (os.environ.get("MONITOR_LOG_LEVEL") or default_level).lower()
    if level not in LEVELS:
        wanted = ", ".join(LEVELS)
        raise click.UsageError(f"MONITOR_LOG_LEVEL: expected one of {wanted}, found {level!r}")

    form = (os.environ.get("MONITOR_LOG_FORMAT") or "text").lower()
    if form not in ("text", "json"):
        raise click.UsageError(f"MONITOR_LOG_FORMAT: expected json or text, found {form!r}")

    configure_logs(level=level, json=form == "json", mask=mask)


def find_hook_runner() -> Path | None:
    """Give the socket of the hook runner, where there is one to use.

    One that is not there is better known now than when something has to be rolled back.
    """
    named = os.environ.get("HOOK_RUNNER_SOCKET", "")
    if not named:
        return None
    if not os.access(named, os.W_OK):
        _log.error("hook_runner_cannot_be_reached", socket=named)

    return Path(named)


def find_probe_runner() -> Path | None:
    """Give the socket of the runner of probes' commands, where there is one to use.

    One that is not there is told with each probe that needs it.
    """
    named = os.environ.get("PROBE_RUNNER_SOCKET", "")

    return Path(named) if named else None


@contextmanager
def mistakes_end_it() -> Iterator[None]:
    """End the process with 2 and plain words where what was asked for cannot be done."""
    from monitor.config import ConfigError
    from monitor.operations import OperationError
    from monitor.store.errors import StoreError

    try:
        yield
    except ConfigError as error:
        many = len(error.problems)
        if many > 1:
            end(f"{error}\n{many} mistakes in the configuration")
        end(str(error))
    except (StoreError, OperationError) as error:
        end(str(error))


def count(number: int, what: str) -> str:
    """Write a number of things: `1 check`, `2 checks`."""
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def end(message: str, code: int = USAGE) -> NoReturn:
    """Say what is wrong on standard error and end the process."""
    click.echo(message, err=True)
    sys.exit(code)
