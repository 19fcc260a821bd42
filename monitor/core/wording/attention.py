"""The sentences about what goes on: who was told again, who has not answered, what is late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.wording.phrases import LONGEST_SENTENCE, as_sentence, duration_text, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from monitor.core.model.incident import Acknowledgement


def goes_on(headline: str, more: Sequence[str]) -> str:
    """Say what is wrong, and what is late about it, for which there is always room."""
    rest = "".join(f"; {text}" for text in more)

    return as_sentence(one_line(headline, max(LONGEST_SENTENCE - len(rest), 1)) + rest)


def unanswered(lasted: timedelta) -> str:
    """Say for how long nobody has answered."""
    return f"nobody has acknowledged it for {duration_text(lasted)}"


def reminded(names: Sequence[str], lasted: timedelta) -> str:
    """Say who was told again, and why."""
    return as_sentence(f"{', '.join(names)} reminded: {unanswered(lasted)}")


def escalated(names: Sequence[str], lasted: timedelta) -> str:
    """Say who was told as well, and why."""
    return as_sentence(f"escalated to {', '.join(names)}: {unanswered(lasted)}")


def not_acknowledged(within: timedelta) -> str:
    """Say that nobody has answered in time."""
    return f"nobody has acknowledged it within the target of {duration_text(within)}"


def not_resolved(within: timedelta, acknowledgement: Acknowledgement | None) -> str:
    """Say that it is not over in time, and who works on it."""
    who = f"{acknowledgement.by} has taken it on" if acknowledgement else "nobody has taken it on"

    return f"it is not resolved within the target of {duration_text(within)}, {who}"
