"""The options of a heartbeat: when its pings are due, how long they may be late, and its key."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Annotated, Final, Self

from pydantic import (
    AfterValidator,
    Field,
    field_validator,
    model_validator,
)

from monitor.core.heartbeats import Cron, Every, Expected, cron_problem
from monitor.core.pings import SHORTEST_KEY
from monitor.fields import Duration, SecretText, Zone
from monitor.options import Secret, format_duration, found
from monitor.probes.kind import ProbeOptions

_KEY: Final = re.compile(r"[A-Za-z0-9._~-]{16,200}")
_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SHORTEST: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(days=2 * 366)


def _between(value: timedelta) -> timedelta:
    if not _SHORTEST <= value <= _LONGEST:
        raise ValueError(
            f"expected at least {format_duration(_SHORTEST)} and at most "
            f"{format_duration(_LONGEST)}, found {format_duration(value)}"
        )

    return value


Time = Annotated[Duration, AfterValidator(_between)]
ExitCode = Annotated[int, Field(ge=0, le=255)]


class HeartbeatOptions(ProbeOptions):
    """What a job promises: a ping each `period` (or `every`), or by `cron` in a time zone.

    `grace` is how late it may come. `max_run_time` is how long a run may take that told of its
    start, `grace` where it is not written. `key` is the secret part of the address that is pinged.
    """

    key: SecretText
    cron: str | None = None
    timezone: Zone | None = None
    period: Time | None = None
    every: Time | None = None
    grace: Time = timedelta(minutes=5)
    max_run_time: Time | None = None
    exit_codes: list[ExitCode] = Field(default_factory=lambda: [0], min_length=1)

    @field_validator("key")
    @classmethod
    def _check_key(cls, key: Secret) -> Secret:
        if not _KEY.fullmatch(key.current):
            raise ValueError(
                f"expected {SHORTEST_KEY} to 200 letters, digits or any of . _ ~ -, of which nobody"
                " guesses any: make one with: openssl rand -hex 16"
            )

        return key

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        named = [name for name in ("cron", "period", "every") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(
                "expected exactly one of cron and period"
                + (f", found {' and '.join(named)}" if named else "")
            )
        if self.cron is None:
            if self.timezone is not None:
                raise ValueError("a timezone needs cron: a period is as long everywhere")
            return self

        if problem := cron_problem(self.cron, self._zone, _MOMENT):
            raise ValueError(f"cron: {problem}, such as 0 2 * * *; found {found(self.cron)}")

        return self

    @property
    def target(self) -> str:
        """What is shown: when it is due."""
        if self.cron is not None:
            return f"pings by cron {self.cron} ({self._zone})"
        assert self._period is not None

        return f"pings each {format_duration(self._period)}"

    @property
    def beats(self) -> str:
        """By what its pings are expected: by another, the patience begins anew."""
        return self.target

    @property
    def ping_key(self) -> Secret:
        """The secret part of the address."""
        return self.key

    @property
    def witnessed(self) -> bool:
        """Nothing is asked, so that no network can be in the way."""
        return False

    @cached_property
    def expected(self) -> Expected:
        """What is expected, in the terms of the decision."""
        if self.cron is not None:
            times: Cron | Every = Cron(expression=" ".join(self.cron.split()), zone=self._zone)
        else:
            assert self._period is not None
            times = Every(period=self._period)

        return Expected(
            times=times,
            grace=self.grace,
            max_run_time=self.max_run_time or self.grace,
            successes=frozenset(self.exit_codes),
        )

    @property
    def _period(self) -> timedelta | None:
        return self.period or self.every

    @property
    def _zone(self) -> tzinfo:
        return self.timezone or UTC
