"""The sentences that people read in notices and timelines, whatever carries them."""

from monitor.core.wording.acts import acknowledged, ended_by, labelled, noted
from monitor.core.wording.incidents import (
    cause_changed,
    closed,
    fails_again,
    flapping,
    headline,
    joined,
    left,
    member_line,
    paused,
    settled,
    severity_changed,
    update,
)
from monitor.core.wording.notices import facts, summary, whole_text
from monitor.core.wording.phrases import duration_text, listed, reasons_text, time_text
from monitor.core.wording.rollbacks import (
    blocked_text,
    rollback_headline,
    rollback_reason,
    rollback_text,
    step_text,
    with_rollback,
    without_rollback,
)

__all__ = [
    "acknowledged",
    "blocked_text",
    "cause_changed",
    "closed",
    "duration_text",
    "ended_by",
    "facts",
    "fails_again",
    "flapping",
    "headline",
    "joined",
    "labelled",
    "left",
    "listed",
    "member_line",
    "noted",
    "paused",
    "reasons_text",
    "rollback_headline",
    "rollback_reason",
    "rollback_text",
    "settled",
    "severity_changed",
    "step_text",
    "summary",
    "time_text",
    "update",
    "whole_text",
    "with_rollback",
    "without_rollback",
]
