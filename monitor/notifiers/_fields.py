"""The fields that options of several notifiers share."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator

from monitor.fields import Duration
from monitor.options import format_duration

LONGEST_TIMEOUT: Final = timedelta(seconds=30)
"""What one attempt may take at most; the outbox gives up on it soon after."""


def _read_timeout(timeout: timedelta) -> timedelta:
    if not timedelta() < timeout <= LONGEST_TIMEOUT:
        limit = format_duration(LONGEST_TIMEOUT)
        found = format_duration(timeout)
        raise ValueError(f"expected a timeout above 0 and up to {limit}, found {found}")

    return timeout


Timeout = Annotated[Duration, AfterValidator(_read_timeout)]

TIMEOUT: Final = timedelta(seconds=10)
