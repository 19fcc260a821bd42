"""Runs one command and reads its end: a code, a signal, a timeout, and what it wrote."""

from __future__ import annotations

import asyncio
import re
import signal
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, shorten
from monitor.core.model.observation import Code, Fault, Phase
from monitor.options import Redactor, beyond_cut, format_duration
from monitor.probes._command.plugin import read_plugin_output
from monitor.probes._net.look import Look, explain_bug
from monitor.probes._net.stopwatch import Stopwatch
from monitor.runner.tied import CommandsHere, NotBegun, TiedCommand, grace_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.model.observation import Observation
    from monitor.probes._command.options import CommandOptions
    from monitor.probes._command.plugin import Figure
    from monitor.probes.probe import ProbeContext
    from monitor.runner.command import Finished
    from monitor.runner.tied import Commands

_LONGEST_SAID: Final = 200
_LONGEST_NUMBER: Final = 60
_NUMBER: Final = re.compile(r"[-+]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})")
_MOST_SERIES: Final = 20
_CRITICAL: Final = 2
_FAMILIES: Final = {
    unit: f"probe_command_perfdata_{unit}" for unit in ("seconds", "bytes", "ratio")
}


class CommandProbe:
    """Runs its command once for each look, and leaves nothing of it running."""

    def __init__(self, options: CommandOptions, context: ProbeContext) -> None:
        self._options = options
        self._context = context
        self._closes = context.commands is None
        self._commands: Commands = context.commands or CommandsHere()
        self._running: set[asyncio.Task[Finished]] = set()

    async def observe(self) -> Observation:
        """Run it; what was not run is our own fault, and its time begins when it does."""
        look = Look(self._options.target)
        at = self._context.clock()

        def begun() -> None:
            nonlocal at
            at = self._context.clock()
            look.watch = Stopwatch()
            look.watch.enter(Phase.PROCESSING)

        fault: Fault | None
        try:
            command = self._options.command(
                endpoint=self._context.endpoint, timeout=self._context.timeout
            )
            finished = await self._run(command, begun)
            look.watch.leave()
            fault = self._read(look, finished)
        except NotBegun as error:
            fault = Fault(code=Code.INTERNAL, message=str(error), own=True)
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not look like the target's
            fault = explain_bug(error, look.target)
        look.watch.leave()

        return look.write_down(at, fault)

    async def close(self) -> None:
        """End what still runs: nobody wants to know it any more."""
        for running in self._running:
            running.cancel()
        if self._closes:
            await self._commands.close()

    async def _run(self, command: TiedCommand, begun: Callable[[], None]) -> Finished:
        running = asyncio.create_task(self._commands.run(command, begun))
        self._running.add(running)
        try:
            return await running
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise NotBegun("it is no longer to be run, so it was ended") from None
        finally:
            self._running.discard(running)

    def _read(self, look: Look, finished: Finished) -> Fault | None:
        name = self._options.target
        if finished.problem:
            message = f"{name} could not be run: {plain(finished.problem)}"
            return Fault(code=Code.INTERNAL, message=message, own=True)

        output = self._keep(look, finished)
        if finished.timed_out:
            timeout = self._context.timeout
            message = f"{name} did not end within {format_duration(timeout - grace_of(timeout))}"
            return Fault(code=Code.TIMEOUT, message=f"{message}, so it was stopped")
        if finished.exit_code is None:
            message = f"{name} was killed by {_name_signal(finished.signal)}"
            return Fault(code=Code.EXIT_CODE, message=message)

        look.values["exit_code"] = finished.exit_code
        look.measure("probe_command_exit_code", finished.exit_code)
        if self._options.nagios:
            return self._read_plugin(look, "" if look.body_truncated else output, finished)
        self._note(look, _last_line(output))
        if len(output) <= _LONGEST_NUMBER and _NUMBER.fullmatch(output.strip()):
            look.values["value"] = _read_number(output.strip())
        if finished.exit_code:
            look.no_figure = _say_exit(name, finished.exit_code)

        return None

    def _keep(self, look: Look, finished: Finished) -> str:
        """Keep the end of what it wrote, which is cut once secrets are masked."""
        masked = Redactor(self._options.secrets).mask(finished.output)
        whole = beyond_cut(masked, cut=finished.truncated).encode("utf-8", "replace")
        look.body = whole[-self._options.output_limit :]
        look.body_truncated = finished.truncated or len(look.body) < len(whole)
        output = look.body.decode("utf-8", "replace")
        look.values["output"] = output

        return output

    def _read_plugin(self, look: Look, output: str, finished: Finished) -> Fault | None:
        """Read a plugin; where it does not know, or was not run as it should, neither do we."""
        said = read_plugin_output(output)
        _tell_figures(look, said.figures, self._options.perfdata)
        code = finished.exit_code or 0
        if code <= _CRITICAL:
            self._note(look, said.line)
            if code and "value" not in look.values:
                look.no_figure = _say_exit(self._options.target, code)
            return None

        line = shorten(plain(said.line), limit=_LONGEST_SAID) or "it said nothing"
        message = f"{self._options.target} does not know (exit code {code}): {line}"

        return Fault(code=Code.EXIT_CODE, message=message, own=True)

    def _note(self, look: Look, line: str) -> None:
        if line:
            look.values["said"] = shorten(plain(line), limit=_LONGEST_SAID)


def _tell_figures(look: Look, figures: tuple[Figure, ...], named: str | None) -> None:
    if not figures:
        return

    look.values["rows"] = [figure.row for figure in figures]
    for figure in figures[:_MOST_SERIES]:
        if figure.value is not None:
            family = _FAMILIES.get(figure.unit, "probe_command_perfdata")
            look.measure(family, figure.value, label=figure.label)
    for figure in figures:
        if figure.value is not None and named in (None, figure.label):
            look.values["value"] = figure.value
            return


def _say_exit(name: str, code: int) -> str:
    return f"{name} ended with exit code {code}"


def _last_line(output: str) -> str:
    """Give the last line with something on it: there a program says how it went."""
    return output.rstrip().rpartition("\n")[2].strip()


def _read_number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _name_signal(number: int | None) -> str:
    try:
        return f"signal {number} ({signal.Signals(number or 0).name})"
    except ValueError:
        return f"signal {number}"
