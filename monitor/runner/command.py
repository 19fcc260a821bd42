"""What every way of running a command takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a command ended.

    Exactly one of `exit_code`, `signal` and `problem` is set; `problem` says why it could not even
    be started. `output` is the end of what it wrote to standard output and error, `truncated` that
    there was more. `timed_out` says that we stopped it. `lost` is a problem of whoever ran it in
    our place: it may have run all the same.
    """

    exit_code: int | None = None
    signal: int | None = None
    output: str = ""
    truncated: bool = False
    timed_out: bool = False
    problem: str = ""
    lost: bool = False


class RunCommand(Protocol):
    """Runs a program once and waits for its end, or for `timeout`; it never raises."""

    async def __call__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stdin: bytes,
        timeout: timedelta,
        output_limit: int = ...,
        cwd: Path | None = None,
    ) -> Finished: ...
