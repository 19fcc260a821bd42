"""Checklists: what is to be done before, while and after a service is rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """When something is to be done."""

    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Seen(StrEnum):
    """What the monitor sees for itself, so that nobody has to tick it."""

    ACKNOWLEDGED = "acknowledged"
    TOLD = "told"
    GOOD_VERSION = "good_version"
    STEPS_READY = "steps_ready"
    STEPS_DONE = "steps_done"
    RECOVERED = "recovered"
    RESOLVED = "resolved"
    ALL_CLEAR = "all_clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing to do; it is done once `seen` is so, and without that only a person knows."""

    text: str
    seen: Seen | None = None
