"""What security headers an endpoint was accepted with, and what it says now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderPin:
    """The accepted header lines of a check: names in lower case, nonces blanked, secrets masked.

    `fingerprint` is the check's when they were learned: those of another request mean nothing.
    `seen` are the lines of the newest answer where they differ from the accepted ones, else None.
    `at` is when they were accepted.
    """

    check: str
    fingerprint: str
    at: datetime
    lines: Lines
    seen: Lines | None = None
