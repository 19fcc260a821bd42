"""Durations on the command line, written as in the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from monitor.options import parse_duration

if TYPE_CHECKING:
    from click import Context, Parameter


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: Parameter | None, ctx: Context | None) -> timedelta:
        try:
            duration = parse_duration(value)
        except ValueError as error:
            meant = f"; did you mean {value}s?" if str(value).isdecimal() else ""
            self.fail(f"{error}{meant}", param, ctx)
        if duration <= timedelta():
            self.fail(f"expected a duration above zero, found {value!r}", param, ctx)

        return duration


DURATION: Final = _Duration()
