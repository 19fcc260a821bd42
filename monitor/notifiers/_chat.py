"""What a message in a chat says of a notice, in plain words that each chat escapes for itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentPhase
from monitor.core.model.notice import NoticeEvent
from monitor.core.wording.told import digest_line, standing
from monitor.outbound import is_usable
from monitor.unseen import blank, show_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from monitor.core.model.notice import Delivery, Link, Notice

GREEN: Final = "#2eb67d"
BLUE: Final = "#36c5f0"
GREY: Final = "#8d8d8d"
_COLOURS: Final = {
    Severity.CRITICAL: "#e01e5a",
    Severity.HIGH: "#e8602c",
    Severity.MEDIUM: "#ecb22e",
    Severity.LOW: GREY,
}
_SIGNS: Final = {
    NoticeEvent.RESOLVED: "\u2705",
    NoticeEvent.ROLLBACK: "\u23ea",
    NoticeEvent.BLIND: "\u2754",
    NoticeEvent.TEST: "\U0001f514",
    NoticeEvent.REMINDER: "\u23f0",
    NoticeEvent.ACKNOWLEDGED: "\U0001f440",
    NoticeEvent.ESCALATED: "\U0001f6a8",
}
TICKS: Final = {True: "\u2611", False: "\u2610", None: "\u25a2"}
_BETWEEN_LINKS: Final = " \u00b7 "
_MOST_LINES: Final = 40
"""More than any chat has room for."""

_TOLD_ABOVE: Final = frozenset({"Severity", "Since", "Resolved", "Rollback", "Incident"})
_OWN_WORDS: Final = frozenset(
    {
        NoticeEvent.OPENED,
        NoticeEvent.BLIND,
        NoticeEvent.RESOLVED,
        NoticeEvent.DIGEST,
        NoticeEvent.TEST,
    }
)
"""The notices that say by themselves what is wrong; all others say what has changed about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of one notice, in the order in which it is read; all of it is plain text.

    `colour` is `#rrggbb`. `lines` are the first checks, or what a digest tells first, and `more` is
    how many others there are. `tasks` are the checklist. The `evidence` is what commands said, by
    name. `quiet` is what has to wake nobody.
    """

    sign: str
    colour: str
    headline: str
    when: str
    lines: tuple[str, ...]
    more: int
    tasks: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    links: tuple[Link, ...]
    evidence: tuple[tuple[str, str], ...]
    about: str
    quiet: bool = False


def say_whole(delivery: Delivery) -> Said:
    """Say how an incident stands, whatever the notice was written about, and all that is known."""
    notice = as_it_stands(delivery.notice)

    return Said(
        sign=sign(notice),
        colour=colour(notice),
        headline=notice.headline,
        when=_say_when(notice),
        lines=_say_lines(notice),
        more=max(0, len(notice.lines or notice.members) - _MOST_LINES),
        tasks=tuple(f"{TICKS[task.done]} {task.text}" for task in notice.checklist),
        facts=tuple(fact for fact in wording.facts(notice) if fact[0] not in _TOLD_ABOVE),
        links=tuple(link for link in notice.links if is_usable(link.url)),
        evidence=notice.evidence,
        about=say_about(delivery),
    )


def as_it_stands(notice: Notice) -> Notice:
    """Let a notice say first what is wrong, whatever it was written about."""
    if notice.event in _OWN_WORDS:
        return notice

    return replace(notice, headline=standing(notice))


def say_news(delivery: Delivery) -> Said:
    """Say only what has changed, for who has read the rest."""
    notice = delivery.notice
    whole = say_whole(delivery)
    acknowledged = notice.event is NoticeEvent.ACKNOWLEDGED

    return replace(
        whole,
        headline=notice.headline,
        lines=() if acknowledged else whole.lines,
        more=0 if acknowledged else whole.more,
        tasks=(),
        facts=(),
        links=(),
        evidence=(),
        quiet=notice.better or acknowledged,
    )


def sign(notice: Notice) -> str:
    """Give the one character by which people see what a message is about."""
    if notice.all_clear:
        return _SIGNS[NoticeEvent.RESOLVED]
    if notice.event in _SIGNS:
        return _SIGNS[notice.event]
    if notice.better:
        return "\u2139\ufe0f"

    return "\U0001f6a8" if notice.severity in (Severity.CRITICAL, Severity.HIGH) else "\u26a0\ufe0f"


def colour(notice: Notice) -> str:
    """Give the colour of how things stand."""
    if notice.resolved_at is not None or notice.phase is IncidentPhase.RESOLVED:
        return GREEN
    if notice.phase is IncidentPhase.MONITORING:
        return BLUE
    if notice.event in (NoticeEvent.BLIND, NoticeEvent.TEST):
        return GREY

    return _COLOURS[notice.severity]


def one_line(text: str) -> str:
    """Put a text on one line, without what cannot be seen."""
    return " ".join(blank(text).split())


def several_lines(text: str) -> str:
    """Leave the lines of a text, without what cannot be seen."""
    return show_lines(text)


def units(text: str) -> int:
    """Count as most chats do: in units of UTF-16."""
    return len(text) + sum(char > "\uffff" for char in text)


def cut(text: str, longest: int, escape: Callable[[str], str] = str) -> str:
    """Escape as much of a text as fits into so many units, and say if there was more.

    It is cut before it is escaped, so that no escape is torn.
    """
    head = text[: 2 * longest]  # whatever is taken out of it, seldom half
    if len(head) == len(text) and units(shown := escape(text)) <= longest:
        return shown

    low, high = 0, min(len(text), longest)
    while low < high:
        middle = (low + high + 1) // 2
        if units(escape(text[:middle])) < longest:
            low = middle
        else:
            high = middle - 1

    return f"{escape(text[:low])}\u2026"


def cut_front(text: str, longest: int) -> str:
    """Give the end of a text, which says most of a log, in so many units at most."""
    shown = text[-longest:]
    while units(shown) >= longest:
        shown = shown[max(1, units(shown) - longest) :]

    return shown if shown == text else f"\u2026{shown}"


def fill(lines: Sequence[str], room: int, more: int = 0) -> list[str]:
    """Give as many lines as there is room for, and say how many more there are, with `more`."""
    shown: list[str] = []
    for line in lines:
        if units(line) + 20 >= room:
            break
        shown.append(line)
        room -= units(line) + 1
    if more := more + len(lines) - len(shown):
        shown.append(f"\u2026 and {more} more")

    return shown


def _say_when(notice: Notice) -> str:
    """Say since when, how bad, where a rollback stands, who has it, and which command to give."""
    said = " ".join(filter(None, (wording.summary(notice)[1], wording.what_to_press(notice))))
    if not notice.acknowledged_by:
        return said

    at = f" at {wording.time_text(notice.acknowledged_at)}" if notice.acknowledged_at else ""

    return f"{said} Acknowledged by {notice.acknowledged_by}{at}."


def _say_lines(notice: Notice) -> tuple[str, ...]:
    if notice.lines:
        return tuple(map(digest_line, notice.lines[:_MOST_LINES]))

    return tuple(map(wording.member_line, notice.members[:_MOST_LINES]))


def fill_links(links: Iterable[Link], write: Callable[[Link], str], longest: int) -> str:
    """Give on one line as many links as there is room for, each as `write` gives it."""
    shown: list[str] = []
    for link in links:
        text = write(link)
        if len(text) < longest:
            shown.append(text)
            longest -= len(text) + len(_BETWEEN_LINKS)

    return _BETWEEN_LINKS.join(shown)


def say_about(delivery: Delivery) -> str:
    """Name what it is about, for who looks it up."""
    notice = delivery.notice
    what = "digest" if notice.event is NoticeEvent.DIGEST else "incident"
    about = f"{what} {notice.incident}, {wording.time_text(notice.at)}"

    return f"{about}, may repeat an earlier message" if delivery.maybe_sent else about
