"""The hook kind `command`: a program with a fixed argument list carries out a step."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, model_validator

from monitor.core.model.rollback import Effect, EffectOutcome
from monitor.fields import Kind, Options, SecretText
from monitor.hooks._fields import Timeout
from monitor.hooks.hook import OUTPUT_LIMIT, bound, describe, variables
from monitor.options import format_duration, parse_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from monitor.core.model.rollback import EffectContext
    from monitor.hooks.hook import Hook, HookContext
    from monitor.runner import Finished, HookRunner

NOTHING_APPLIED: Final = 75
"""The exit code by which a command asserts that it changed nothing (EX_TEMPFAIL)."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OVERLAP: Final = 16 * 1024
"""Read beyond what is kept, so that a secret at the cut is masked before it is cut."""


def _read_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a variable name such as API_TOKEN, found {name!r}")
    if name.startswith("MONITOR_"):
        raise ValueError(f"{name}: names that start with MONITOR_ are set by the monitor")

    return name


def _read_argument(argument: str) -> str:
    if "\0" in argument:
        raise ValueError("expected an argument without NUL characters")

    return argument


Argument = Annotated[str, AfterValidator(_read_argument)]


class CommandOptions(Options):
    """A program to run: `run` is an argument list, never a shell string.

    A program with a slash in it is relative to the configuration file, whose directory is also
    where it runs; a bare name is looked up in PATH. `env` is added to a small environment.
    """

    run: Annotated[list[Argument], Field(min_length=1)]
    env: dict[Annotated[str, AfterValidator(_read_name)], SecretText] = Field(default_factory=dict)
    timeout: Timeout = parse_duration("60s")
    _base: Path = PrivateAttr(default_factory=Path)

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: object) -> object:
        if isinstance(value, list):
            return {"run": value}
        if isinstance(value, str):
            raise ValueError(
                f"expected an argument list such as [./restore.sh, --now], found {value!r}"
            )

        return value

    @model_validator(mode="after")
    def _check_program(self, info: ValidationInfo) -> Self:
        given: dict[str, Any] = info.context or {}
        self._base = Path(given.get("base") or ".").absolute()
        if problem := find_problem(self.program, bare="/" not in self.run[0]):
            raise ValueError(problem)

        return self

    @property
    def program(self) -> str:
        """The program as it is started: an absolute path, or a bare name for PATH."""
        return str(self._base / self.run[0]) if "/" in self.run[0] else self.run[0]

    @property
    def directory(self) -> Path:
        """Where it runs: beside the configuration file."""
        return self._base

    @property
    def fingerprint(self) -> str:
        """What tells this command from any other; no secret can be read out of it."""
        parts = [self.program, self.run[1:], str(self.directory), sorted(self.env)]

        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Offer the short form, a plain argument list, to editors as well."""
        short = {"type": "array", "items": {"type": "string"}, "minItems": 1}

        return {"anyOf": [short, handler(schema)]}


def find_problem(program: str, *, bare: bool) -> str | None:
    """Say why a program cannot or must not be run, or None.

    Whoever may write to it decides what the monitor runs, so only its owner may.
    """
    if bare:
        return None if shutil.which(program) else f"expected a program in PATH, found no {program}"

    path = Path(program)
    try:
        mode = path.stat().st_mode
        directory = path.parent.stat().st_mode
    except OSError as error:
        return f"expected a program at {program}: {os.strerror(error.errno or 0)}"

    if not stat.S_ISREG(mode):
        return f"expected a program at {program}, which is no file"
    if not os.access(path, os.X_OK):
        return f"expected an executable file, but {program} is not (chmod +x)"
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{program} may be written by others than its owner (chmod go-w)"
    if directory & stat.S_IWOTH and not directory & stat.S_ISVTX:
        return f"the directory of {program} may be written by everyone (chmod o-w)"

    return None


class CommandHook:
    """Runs the program once; what it is told comes in its environment and on standard input."""

    def __init__(self, options: CommandOptions, context: HookContext) -> None:
        self._options = options
        self._context = context

    async def apply(self, context: EffectContext) -> Effect:
        """Run it: exit 0 is done, 75 nothing applied, another code refused; else uncertain."""
        options = self._options
        if problem := find_problem(options.program, bare="/" not in options.run[0]):
            return Effect(outcome=EffectOutcome.REFUSED, detail=problem)

        finished = await self._context.runner(
            [options.program, *options.run[1:]],
            env={
                **self._context.environ,
                **{name: value.reveal() for name, value in options.env.items()},
                **variables(context),
            },
            stdin=json.dumps(describe(context)).encode(),
            timeout=options.timeout,
            output_limit=OUTPUT_LIMIT + _OVERLAP,
            cwd=options.directory,
        )
        outcome, detail = _read_outcome(finished, options.timeout)

        return Effect(
            outcome=outcome,
            detail=self._mask(detail),
            output=bound(self._mask(finished.output)),
        )

    async def close(self) -> None:
        """Hold nothing between runs."""

    def _mask(self, text: str) -> str:
        return self._context.hide(text, self._options.env.values())


class HandedOverHook:
    """Leaves the program to the hook runner, which knows it, runs it once and keeps its result."""

    def __init__(self, options: CommandOptions, runner: HookRunner) -> None:
        self._options = options
        self._runner = runner

    async def apply(self, context: EffectContext) -> Effect:
        """Have it run; that a runner which is not there applied nothing is known as well."""
        return await self._runner.run(self._options.fingerprint, context, self._options.timeout)

    async def recall(self, context: EffectContext) -> Effect | None:
        """Ask what came of it."""
        return await self._runner.recall(self._options.fingerprint, context, self._options.timeout)

    async def close(self) -> None:
        """Hold nothing between runs."""


def make_hook(options: CommandOptions, context: HookContext) -> Hook:
    """Make the hook that runs the program here, or has it run by the hook runner."""
    if context.hook_runner is not None:
        return HandedOverHook(options, context.hook_runner)

    return CommandHook(options, context)


def _read_outcome(finished: Finished, timeout: timedelta) -> tuple[EffectOutcome, str]:
    if finished.problem:
        return EffectOutcome.REFUSED, f"could not be started: {finished.problem}"
    if finished.timed_out:
        return EffectOutcome.UNCERTAIN, f"did not end within {format_duration(timeout)}, stopped"
    if finished.exit_code is None:
        return EffectOutcome.UNCERTAIN, f"was killed by signal {finished.signal}"
    if finished.exit_code == NOTHING_APPLIED:
        return EffectOutcome.NOTHING_APPLIED, "exit 75: nothing applied"

    outcome = EffectOutcome.REFUSED if finished.exit_code else EffectOutcome.DONE

    return outcome, f"exit {finished.exit_code}"


KIND: Final = Kind(options=CommandOptions, make=make_hook)
