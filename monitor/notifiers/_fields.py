"""The fields that options of several notifiers share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator

from monitor.fields import Duration, SecretText
from monitor.options import Secret, format_duration
from monitor.outbound import is_usable

LONGEST_TIMEOUT: Final = timedelta(seconds=30)
"""What one attempt may take at most; the outbox gives up on it soon after."""


def _read_url(secret: Secret) -> Secret:
    if not is_usable(secret.reveal()):
        raise ValueError("expected a URL such as https://ops.example/hook")

    return secret


def _read_line(secret: Secret) -> Secret:
    if re.search(r"[\x00-\x1f\x7f]", secret.reveal()):
        raise ValueError("expected one line of text, found a control character")

    return secret


def _read_timeout(timeout: timedelta) -> timedelta:
    if not timedelta() < timeout <= LONGEST_TIMEOUT:
        limit = format_duration(LONGEST_TIMEOUT)
        found = format_duration(timeout)
        raise ValueError(f"expected a timeout above 0 and up to {limit}, found {found}")

    return timeout


SecretUrl = Annotated[SecretText, AfterValidator(_read_url)]
SecretLine = Annotated[SecretText, AfterValidator(_read_line)]
Timeout = Annotated[Duration, AfterValidator(_read_timeout)]

TIMEOUT: Final = timedelta(seconds=10)
