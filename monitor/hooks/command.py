"""The hook kind `command`: a program with a fixed argument list carries out a step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from monitor.core.model.rollback import Effect, EffectOutcome
from monitor.examination import Unfit
from monitor.fields import Kind
from monitor.hooks._fields import Timeout  # noqa: TC001 -- pydantic reads it at run time
from monitor.hooks.hook import OUTPUT_LIMIT, bound, describe, variables
from monitor.options import beyond_cut, format_duration, parse_duration
from monitor.runner.program import ProgramOptions, digest

if TYPE_CHECKING:
    from datetime import timedelta

    from monitor.core.model.rollback import EffectContext
    from monitor.hooks.hook import Hook, HookContext
    from monitor.runner import Finished, HookRunner

NOTHING_APPLIED: Final = 75
"""The exit code by which a command asserts that it changed nothing (EX_TEMPFAIL)."""

_OVERLAP: Final = 16 * 1024
"""Read beyond what is kept, so that a secret at the cut is masked before it is cut."""


class CommandOptions(ProgramOptions):
    """A program to run: `run` is an argument list, never a shell string.

    A program with a slash in it is relative to the configuration file, whose directory is also
    where it runs; a bare name is looked up in PATH. `env` is added to a small environment.
    """

    timeout: Timeout = parse_duration("60s")

    @property
    def fingerprint(self) -> str:
        """What tells this command from any other; no secret can be read out of it."""
        return digest([self.program, self.run[1:], str(self.directory), sorted(self.env)])


class CommandHook:
    """Runs the program once; what it is told comes in its environment and on standard input."""

    def __init__(self, options: CommandOptions, context: HookContext) -> None:
        self._options = options
        self._context = context

    async def apply(self, context: EffectContext) -> Effect:
        """Run it: exit 0 is done, 75 nothing applied, another code refused; else uncertain."""
        options = self._options
        if problem := options.problem:
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
            output=bound(beyond_cut(self._mask(finished.output), cut=finished.truncated)),
        )

    async def examine(self) -> str:
        """Look whether the program may be run, and run nothing."""
        if problem := self._options.problem:
            raise Unfit(problem)

        return f"{self._options.run[0]} is there and may be run"

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
