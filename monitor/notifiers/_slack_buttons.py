"""The buttons below a message in Slack: which there are, and what they carry to whom it is said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from monitor.core import wording
from monitor.core.model.incident import IncidentPhase
from monitor.core.model.notice import NoticeEvent
from monitor.core.model.rollback import RollbackKind
from monitor.notifiers._slack_text import plain

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Notice, RollbackSummary

_LONGEST_VALUE: Final = 2_000
_LONGEST_VERSIONS: Final = 120
_LONGEST_COMMANDS: Final = 600
_BLOCK: Final = "press"
_ODD: Final = re.compile(r"[^\w .:+/()-]")
"""What may mean something else to Slack than itself, where nothing can be escaped."""


class Press(StrEnum):
    """What a button does; these are its names in Slack, which messages there keep for ever."""

    ACKNOWLEDGE = "production_monitor_acknowledge"
    APPROVE = "production_monitor_approve"
    VETO = "production_monitor_veto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Buttons:
    """Which buttons anybody may press at all."""

    acknowledge: bool = False
    decide: bool = False


NO_BUTTONS: Final = Buttons()


def find_presses(notice: Notice, buttons: Buttons) -> tuple[Press, ...]:
    """Give the buttons that do something as things stand in a notice, the most urgent first."""
    rollback = notice.rollback
    over = notice.resolved_at is not None or notice.phase is IncidentPhase.RESOLVED
    if notice.event in (NoticeEvent.TEST, NoticeEvent.DIGEST):
        return ()

    wanted = (
        (Press.APPROVE, buttons.decide and rollback is not None and rollback.approvable),
        (Press.VETO, buttons.decide and rollback is not None and rollback.vetoable),
        (Press.ACKNOWLEDGE, buttons.acknowledge and not over and not notice.acknowledged_by),
    )

    return tuple(press for press, shown in wanted if shown)


def write_buttons(delivery: Delivery, buttons: Buttons) -> dict[str, Any] | None:
    """Give the block of buttons, or None where nothing is to be pressed.

    Its id names the notifier, whose configuration says who may press, and the notice: Slack asks
    for another id when a message is updated.
    """
    notice = delivery.notice
    presses = find_presses(notice, buttons)
    if not presses:
        return None

    return {
        "type": "actions",
        "block_id": f"{_BLOCK}/{notice.sequence}/{delivery.notifier}"[:255],
        "elements": [_write(press, notice) for press in presses],
    }


def read_notifier(block_id: str) -> str:
    """Give the notifier that wrote a block of buttons; empty where it is not one of ours."""
    block, _, rest = block_id.partition("/")
    _, _, notifier = rest.partition("/")

    return notifier if block == _BLOCK else ""


def press_text(notice: Notice, buttons: Buttons) -> str:
    """Say in a sentence or two what to press; or which command to give, without buttons."""
    rollback, presses = notice.rollback, find_presses(notice, buttons)
    if not presses:
        return plain(wording.what_to_press(notice), _LONGEST_COMMANDS)

    said = []
    if rollback is not None and notice.event not in (NoticeEvent.TEST, NoticeEvent.DIGEST):
        said.append(_decide_text(rollback, presses))
    if Press.ACKNOWLEDGE in presses:
        said.append("Press *Acknowledge* if you take it on.")

    return " ".join(filter(None, said))


def _decide_text(rollback: RollbackSummary, presses: tuple[Press, ...]) -> str:
    """Say what a person may do about a rollback; by when stands before it."""
    id = plain(rollback.id, 100)
    if rollback.approvable:
        if Press.APPROVE in presses:
            return f"Press *{_name(Press.APPROVE, rollback)}*, or *Veto*."
        return f"To decide: `production-monitor rollback approve {id}`, or `veto`."
    if rollback.vetoable:
        if Press.VETO in presses:
            return "Press *Veto* to keep it from beginning."
        return f"To keep it from beginning: `production-monitor rollback veto {id}`."

    return ""


def _write(press: Press, notice: Notice) -> dict[str, Any]:
    id = notice.incident
    if press is not Press.ACKNOWLEDGE and notice.rollback is not None:
        id = notice.rollback.id
    button = {
        "type": "button",
        "action_id": press.value,
        "text": _plain_text(_name(press, notice.rollback)),
        "value": id[:_LONGEST_VALUE],
    }
    match press:
        case Press.APPROVE:
            assert notice.rollback is not None
            return {**button, "style": "danger", "confirm": _confirm(notice, notice.rollback)}
        case Press.ACKNOWLEDGE:
            return {**button, "style": "primary"}
        case Press.VETO:
            return button


def _name(press: Press, rollback: RollbackSummary | None) -> str:
    match press:
        case Press.ACKNOWLEDGE:
            return "Acknowledge"
        case Press.VETO:
            return "Veto"
        case Press.APPROVE:
            return "Approve remedy" if _is_remedy(rollback) else "Approve rollback"


def _is_remedy(rollback: RollbackSummary | None) -> bool:
    return rollback is not None and rollback.kind == RollbackKind.REMEDY


def _confirm(notice: Notice, rollback: RollbackSummary) -> dict[str, Any]:
    versions = "".join(
        f" {word} {version}"
        for word, version in (("from", rollback.from_version), ("to", rollback.to_version))
        if version
    )
    remedy = _is_remedy(rollback)
    how = "gets its remedy" if remedy else f"is rolled back{versions}"
    what = _ODD.sub("?", f"{notice.service} {how}")[:_LONGEST_VERSIONS]

    return {
        "title": _plain_text(f"Approve this {'remedy' if remedy else 'rollback'}?"),
        "text": _plain_text(f"{what} at once, if nothing has come in between."),
        "confirm": _plain_text("Do it" if remedy else "Roll back"),
        "deny": _plain_text("Not now"),
        "style": "danger",
    }


def _plain_text(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
