"""The options of a command that is run when an incident opens, to see how things were."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator

from monitor.fields import Duration  # noqa: TC001 - pydantic reads it at run time
from monitor.options import format_duration
from monitor.runner.program import ProgramOptions, digest, inherit_environment
from monitor.runner.tied import TiedCommand
from monitor.runner.tied_protocol import Purpose

LONGEST: Final = timedelta(minutes=2)
OUTPUT_LIMIT: Final = 68 * 1024
"""More than is kept, so that a secret at the cut is masked before it is cut."""

_GRACE: Final = timedelta(seconds=12.5)
"""It is killed ten seconds after it was asked to end."""


def _read_timeout(timeout: timedelta) -> timedelta:
    if not timedelta() < timeout <= LONGEST:
        limit, found = format_duration(LONGEST), format_duration(timeout)
        raise ValueError(f"expected a timeout above 0 and up to {limit}, found {found}")

    return timeout


class EvidenceCommand(ProgramOptions):
    """A program to run: `run` is an argument list, never a shell string.

    A program with a slash in it is relative to the configuration file, whose directory is also
    where it runs; a bare name is looked up in PATH. `env` is added to a small environment. It only
    looks: it may be run a second time.
    """

    timeout: Annotated[Duration, AfterValidator(_read_timeout)] = timedelta(seconds=20)

    @property
    def fingerprint(self) -> str:
        """What tells this command from any other; no secret can be read out of it."""
        own = [self.program, self.run[1:], str(self.directory), sorted(self.env)]

        return digest(["evidence", *own])

    def command(self, service: str, name: str) -> TiedCommand:
        """Give what is run for a service under this name."""
        return TiedCommand(
            purpose=Purpose.EVIDENCE,
            name=f"{service}/{name}",
            fingerprint=self.fingerprint,
            argv=(self.program, *self.run[1:]),
            env={
                **inherit_environment(),
                **{name: value.reveal() for name, value in self.env.items()},
            },
            stdin=b"",
            cwd=self.directory,
            output_limit=OUTPUT_LIMIT,
            timeout=self.timeout + _GRACE,
            grace=_GRACE,
        )
