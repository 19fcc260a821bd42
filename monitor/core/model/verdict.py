"""What a judgement says: pass, fail, unknown or waiting, with reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.observation import Code


class Outcome(StrEnum):
    """The four judgements; waiting is no verdict at all and moves nothing."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    WAITING = "waiting"


JUDGED: Final = (Outcome.PASS, Outcome.FAIL)
"""The outcomes that say something about the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a verdict is not a pass, in words for the person who is woken.

    `message` stands alone (`status is 500, expected 2xx`). `expected` and `found` are its parts for
    machines. `at` is `file:line:column` of the configuration, or empty. `result` is the named
    result code of a header policy (MDN HTTP Observatory's), or empty. `asked` is what was asked, as
    it may be shown, where that is not what the endpoint asks at all.
    """

    code: Code
    message: str
    expected: str = ""
    found: str = ""
    at: str = ""
    result: str = ""
    asked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judgement of one check at one time; `at` is the sample's or the window's end, UTC.

    `since` is the first sample that the verdict rests on (the start of a window).
    `restarts` says that the counts begin anew (a window that is short of samples, with
    `on_insufficient: reset`).
    """

    outcome: Outcome
    at: datetime
    reasons: tuple[Reason, ...] = ()
    since: datetime | None = None
    note: str = ""
    restarts: bool = False
