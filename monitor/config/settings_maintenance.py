"""The settings of maintenance: windows in which what fails is expected."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from monitor.config.section import Section
from monitor.config.settings_fields import Line, Name, Span
from monitor.config.suggest import suggest
from monitor.config.translate import found
from monitor.core.expectations.shown import quote
from monitor.fields import Zone
from monitor.options import format_duration

DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
"""As cron counts them, from 0."""

_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_LOCAL: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_OFFSET: Final = re.compile(r" ?(Z|[+-][0-9]{2}:[0-9]{2})$")
_LONGEST: Final = timedelta(days=7)


def _read_day(value: object) -> int:
    word = value.lower() if isinstance(value, str) else ""
    for number, day in enumerate(DAYS):
        if word in (day, day[:3]):
            return number

    meant = suggest(word, DAYS)
    raise ValueError(f"expected a day such as sunday, found {found(value)}{meant}")


def _read_days(value: object) -> tuple[int, ...]:
    """Read a day or a list of days, as the numbers that cron has for them."""
    if isinstance(value, list) and value:
        return tuple(sorted({_read_day(day) for day in value}))

    return (_read_day(value),)


def _read_clock(value: object) -> tuple[int, int]:
    parts = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        raise ValueError(f'expected a time of day such as "02:30", found {found(value)}')

    return int(parts[1]), int(parts[2])


def _read_moment(value: object) -> datetime:
    """Read a date and time: aware where it says its offset, else as clocks of a zone show it."""
    wanted = "expected a date and time such as 2026-12-24T22:00+01:00 or 2026-12-24T22:00"
    if not isinstance(value, str):
        raise ValueError(f"{wanted}, found {found(value)}")

    offset = _OFFSET.search(value)
    local = value[: offset.start()] if offset else value
    if not _LOCAL.fullmatch(local):
        raise ValueError(f"{wanted}, found {quote(value)}")
    try:
        moment = datetime.fromisoformat(local + (offset[1] if offset else ""))
        return moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        raise ValueError(f"there is no such time: {quote(value)}") from error


def _not_too_long(value: timedelta) -> timedelta:
    if value > _LONGEST:
        raise ValueError(
            f"expected at most {format_duration(_LONGEST)}, found {format_duration(value)}: "
            "write a longer one with from and to"
        )

    return value


_Day: Final = {"type": "string", "examples": ["sunday"]}

Days = Annotated[
    tuple[int, ...],
    PlainValidator(_read_days),
    WithJsonSchema({"anyOf": [_Day, {"type": "array", "items": _Day, "minItems": 1}]}),
]
ClockTime = Annotated[
    tuple[int, int],
    PlainValidator(_read_clock),
    WithJsonSchema({"type": "string", "examples": ["02:30"], "pattern": f"^{_CLOCK.pattern}$"}),
]
Moment = Annotated[
    datetime,
    PlainValidator(_read_moment),
    WithJsonSchema({"type": "string", "examples": ["2026-12-24T22:00+01:00"]}),
]
WindowSpan = Annotated[Span, AfterValidator(_not_too_long)]


class WeeklySettings(Section):
    """Days of the week, and a time of day."""

    day: Days
    at: ClockTime

    @property
    def cron(self) -> str:
        """The same as five fields of cron."""
        hour, minute = self.at

        return f"{minute} {hour} * * {','.join(map(str, self.day))}"


class MaintenanceSettings(Section):
    """A time, or times that come again, in which what fails is expected.

    Without `services` it holds for all. Exactly one of `from` with `to`, `weekly` and `cron`.
    """

    services: list[Name] = Field(default_factory=list)
    starts: Moment | None = Field(default=None, alias="from")
    ends: Moment | None = Field(default=None, alias="to")
    weekly: WeeklySettings | None = None
    cron: str | None = None
    lasts: WindowSpan | None = Field(default=None, alias="for")
    timezone: Zone | None = None
    reason: Line = ""
