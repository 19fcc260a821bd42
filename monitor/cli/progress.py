"""Progress of a run: a line for each round, and on a terminal what it is at."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Final, Self

from monitor.cli.output import round_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from monitor.core.model.endpoint import Endpoint
    from monitor.core.report import CheckReport
    from monitor.rounds import Rounds

_PATIENCE: Final = 1.0
_REFRESH: Final = 0.2
_CLEAR: Final = "\r\x1b[2K"


class Progress:
    """Says on standard error how each round ended, and on a terminal how far the next is.

    `look` gives how the checks stand; None where rounds are not to be told. Needs a running event
    loop.
    """

    def __init__(
        self, rounds: Rounds, look: Callable[[], Sequence[CheckReport]] | None = None
    ) -> None:
        self._rounds = rounds
        self._look = look
        self._round = 1
        self._probed = 0
        self._timer: asyncio.TimerHandle | None = None
        self._shown = False

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._show)

        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._shown:
            self._write(_CLEAR)

    def probed(self, number: int, _endpoint: Endpoint) -> None:
        """Take note of one finished probe; round 0 is what follows a rollback."""
        if number != self._round:
            self._round, self._probed = number, 0
        self._probed += 1
        if number and self._look is not None and self._probed == len(self._rounds.endpoints):
            line = round_text(number, self._rounds.cycles, self._look())
            self._write(f"{_CLEAR if self._shown else ''}{line}\n")

    def _show(self) -> None:
        self._shown = True
        self._write(_CLEAR + self._line())
        self._timer = asyncio.get_running_loop().call_later(_REFRESH, self._show)

    def _line(self) -> str:
        if not self._round:
            return "verifying the rollback"

        total = len(self._rounds.endpoints)
        if self._probed == total and self._round < self._rounds.cycles:
            return f"round {self._round} of {self._rounds.cycles} is done, the next is to come"

        return f"round {self._round} of {self._rounds.cycles}: {self._probed} of {total} endpoints"

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
