"""The notifier kind `command`: a program is run for each notice, and told of it as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator

from monitor.core.expectations.shown import plain, shorten
from monitor.core.model.notice import Delivered, Refused, TryAgain
from monitor.core.outbox import Why
from monitor.examination import Unfit
from monitor.fields import Duration, Kind
from monitor.notifiers._answers import make_mask
from monitor.notifiers._payload import payload
from monitor.notifiers.notifier import Manner
from monitor.options import OVERLAP, beyond_cut, format_duration
from monitor.runner.program import ProgramOptions, clean, digest, inherit_environment
from monitor.runner.tied import CommandsHere, NotBegun, TiedCommand
from monitor.runner.tied_protocol import LARGEST_INPUT, Purpose

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers.notifier import NotifierContext
    from monitor.runner.command import Finished

TRY_AGAIN: Final = 75
"""The exit code by which a command says that a later attempt may succeed (EX_TEMPFAIL)."""

REFUSED: Final = frozenset(range(64, 79)) - {TRY_AGAIN}
"""The exit codes of `sysexits.h`: input, options or permissions are wrong, and stay so."""

LONGEST: Final = timedelta(seconds=20)
"""So that it is over, killed if need be, before the outbox gives an attempt up."""

_GRACE: Final = timedelta(seconds=12.5)
"""A command is killed ten seconds after it was asked to end."""

_OUTPUT_LIMIT: Final = 16 * 1024
_LONGEST_SAID: Final = 200
_LISTS: Final = ("checks", "reasons", "checklist", "evidence", "digest")


def _read_timeout(timeout: timedelta) -> timedelta:
    if not timedelta() < timeout <= LONGEST:
        limit, found = format_duration(LONGEST), format_duration(timeout)
        raise ValueError(f"expected a timeout above 0 and up to {limit}, found {found}")

    return timeout


class CommandOptions(ProgramOptions):
    """A program to run for each notice: `run` is an argument list, never a shell string.

    A program with a slash in it is relative to the configuration file, whose directory is also
    where it runs; a bare name is looked up in PATH. `env` is added to a small environment.
    """

    timeout: Annotated[Duration, AfterValidator(_read_timeout)] = timedelta(seconds=10)

    @property
    def fingerprint(self) -> str:
        """What tells this command from any other; no secret can be read out of it."""
        own = [self.program, self.run[1:], str(self.directory), sorted(self.env)]

        return digest(["notice", *own])

    def command(self, name: str) -> TiedCommand:
        """Give what is run for the notifier of this name, which is told nothing yet."""
        return TiedCommand(
            purpose=Purpose.NOTICE,
            name=name,
            fingerprint=self.fingerprint,
            argv=(self.program, *self.run[1:]),
            env={
                **inherit_environment(),
                **{name: value.reveal() for name, value in self.env.items()},
            },
            stdin=b"",
            cwd=self.directory,
            output_limit=_OUTPUT_LIMIT + OVERLAP,
            timeout=self.timeout + _GRACE,
            grace=_GRACE,
        )


class CommandNotifier:
    """Runs the program once for each attempt, and leaves nothing of it running."""

    def __init__(self, options: CommandOptions, context: NotifierContext) -> None:
        self.manner = Manner(digests=False)
        self._options = options
        self._name = context.name
        self._closes = context.commands is None
        self._commands = context.commands or CommandsHere()
        self._mask = make_mask(context.mask, options.env.values())

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Run it: exit 0 is delivered, 64 to 78 but 75 refused, all else is tried again."""
        if problem := self._options.problem:
            return TryAgain(reason=Why.MISCONFIGURED, error=problem)

        command = replace(
            self._options.command(self._name),
            told=variables(delivery),
            stdin=write_input(delivery),
        )
        try:
            finished = await self._commands.run(command, lambda: None)
        except NotBegun as error:
            return TryAgain(reason=Why.UNREACHABLE, error=str(error))

        return self._read(finished)

    async def examine(self) -> str:
        """Look whether the program may be run, and run nothing."""
        if problem := self._options.problem:
            raise Unfit(problem)

        return f"{self._options.run[0]} is there and may be run"

    async def close(self) -> None:
        """End what still runs."""
        if self._closes:
            await self._commands.close()

    def _read(self, finished: Finished) -> Receipt:
        if finished.lost:
            return TryAgain(reason=Why.CONNECTION_LOST, error=finished.problem)
        if finished.problem:
            error = f"could not be started: {plain(finished.problem)}"
            return TryAgain(reason=Why.MISCONFIGURED, error=error)
        if finished.timed_out:
            within = format_duration(self._options.timeout)
            return TryAgain(reason=Why.TIMEOUT, error=f"did not end within {within}, stopped")
        if finished.exit_code is None:
            return TryAgain(reason=Why.BAD_ANSWER, error=f"killed by signal {finished.signal}")
        if finished.exit_code == 0:
            return Delivered()

        output = beyond_cut(self._mask(finished.output), cut=finished.truncated)
        said = output.rstrip().rpartition("\n")[2]
        error = f"exit {finished.exit_code}"
        if said:
            error += f": {shorten(plain(said), limit=_LONGEST_SAID)}"
        if finished.exit_code in REFUSED:
            return Refused(reason=Why.REFUSED, error=error)
        if finished.exit_code == TRY_AGAIN:
            return TryAgain(reason=Why.SERVER_ERROR, error=error)

        return TryAgain(reason=Why.BAD_ANSWER, error=error)


def variables(delivery: Delivery) -> dict[str, str]:
    """Give what a command finds in its environment; a target may have said part of it."""
    notice = delivery.notice
    told = {
        "EVENT": notice.event.value,
        "INCIDENT_ID": notice.incident,
        "SERVICE": notice.service,
        "ENVIRONMENT": notice.environment,
        "CLASS": notice.klass.value,
        "SEVERITY": notice.severity.value,
        "PHASE": notice.phase.value,
        "SINCE": notice.since.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "HEADLINE": notice.headline,
        "IDEMPOTENCY_KEY": delivery.key,
        "ATTEMPT": str(delivery.attempts),
        "MAY_REPEAT": str(delivery.maybe_sent).lower(),
    }

    return {f"MONITOR_{name}": clean(value) for name, value in told.items()}


def write_input(delivery: Delivery) -> bytes:
    """Give what a command reads; of far too much, lists are cut to their beginnings."""
    data: dict[str, Any] = payload(delivery)
    for kept in (1_000, 100, 10, 0):
        shorter = {**data, **{name: data[name][:kept] for name in _LISTS}}
        written = json.dumps(shorter, ensure_ascii=False).encode("utf-8", "replace")
        if len(written) <= LARGEST_INPUT:
            break

    return written


KIND: Final = Kind(options=CommandOptions, make=CommandNotifier)
