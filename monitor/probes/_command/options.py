"""The options of a command that is run: what, with what, where, and how its end is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from monitor.fields import SecretText, Size
from monitor.options import OVERLAP
from monitor.probes.kind import ProbeOptions
from monitor.runner.program import ProgramOptions, digest, inherit_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from pathlib import Path

    from monitor.runner.tied import TiedCommand

_LEAST_OUTPUT: Final = 1024
_MOST_OUTPUT: Final = 1024 * 1024


def _read_limit(limit: int) -> int:
    if not _LEAST_OUTPUT <= limit <= _MOST_OUTPUT:
        raise ValueError(f"expected 1KiB to 1MiB, found {limit} bytes")

    return limit


class CommandOptions(ProgramOptions, ProbeOptions):
    """A program whose exit code and output say how things are; `run` is never a shell string.

    A program with a slash in it is relative to the configuration file, whose directory is also
    where it runs, unless `cwd` names another; a bare name is looked up in PATH. `env` is added to a
    small environment. With `nagios` its exit code and first line are those of a monitoring plugin,
    and `perfdata` names the figure that is its value, the first one if left out.
    """

    cwd: str | None = None
    stdin: SecretText | None = None
    output_limit: Annotated[Size, AfterValidator(_read_limit)] = 64 * 1024
    nagios: bool = False
    warning: Literal["fail", "pass"] = "fail"
    perfdata: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _check_directory(self) -> Self:
        if not self.directory.is_dir():
            raise ValueError(f"cwd: expected a directory at {self.directory}")

        return self

    @model_validator(mode="after")
    def _check_plugin(self, _info: ValidationInfo) -> Self:
        about = sorted(self.model_fields_set & {"warning", "perfdata"})
        if about and not self.nagios:
            raise ValueError(f"{about[0]} is about a monitoring plugin: expected nagios: true")

        return self

    @property
    def directory(self) -> Path:
        """Where it runs."""
        return self._base / self.cwd if self.cwd else self._base

    @property
    def target(self) -> str:
        """What is shown of it: its name alone, since arguments are nobody else's business."""
        return self.run[0]

    @property
    def witnessed(self) -> bool:
        """A program that runs here proves nothing about the network, nor does one that hangs."""
        return False

    @property
    def harmless(self) -> bool:
        """Nobody knows what a program does: it is not run by the way."""
        return False

    @property
    def healthy(self) -> tuple[Mapping[str, object], ...]:
        """What is healthy where nobody wrote anything else."""
        if self.nagios and self.warning == "pass":
            return ({"exit_code": {"in": [0, 1]}},)

        return ({"exit_code": 0},)

    @property
    def fingerprint(self) -> str:
        """What tells this command from any other; no secret can be read out of it."""
        return digest(["probe", self.program, self.run[1:], str(self.directory), sorted(self.env)])

    def command(self, *, endpoint: str, timeout: timedelta) -> TiedCommand:
        """Give what is run for an endpoint, in the environment of this process."""
        from monitor.runner.tied import TiedCommand, grace_of

        return TiedCommand(
            name=endpoint,
            fingerprint=self.fingerprint,
            argv=(self.program, *self.run[1:]),
            env={
                **inherit_environment(),
                **{name: value.reveal() for name, value in self.env.items()},
            },
            stdin=self.stdin.reveal().encode() if self.stdin is not None else b"",
            cwd=self.directory,
            output_limit=self.output_limit + OVERLAP,
            timeout=timeout,
            grace=grace_of(timeout),
        )
