"""The fields that options of several hooks share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from monitor.fields import Duration

if TYPE_CHECKING:
    from datetime import timedelta


def _read_timeout(timeout: timedelta) -> timedelta:
    if not timeout:
        raise ValueError("expected a timeout above 0")

    return timeout


Timeout = Annotated[Duration, AfterValidator(_read_timeout)]
