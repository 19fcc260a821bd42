"""Clicks on buttons in Slack: who may press, what it does, and what the person is told."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from yarl import URL

from monitor import operations
from monitor.core.wording import time_text
from monitor.logs import Log
from monitor.notifiers._slack_buttons import Press, read_notifier
from monitor.notifiers._slack_text import plain
from monitor.operations import OperationError
from monitor.outbound import NoAnswer, is_usable, post
from monitor.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from monitor.config import Plugin
    from monitor.notifiers._slack_options import SlackOptions
    from monitor.operations import Desk

_log = Log()

ANSWER_WITHIN: Final = timedelta(seconds=2)
"""Slack tells people that a click failed where it is not confirmed within three seconds."""

_REPLY_WITHIN: Final = timedelta(seconds=5)
_MOST_AT_ONCE: Final = 100
_MOST_ACTIONS: Final = 5
_LONGEST_ID: Final = 500
_LONGEST_REPLY: Final = 500
_SLACK_REPLIES: Final = URL("https://hooks.slack.com")
_ID: Final = re.compile(r"[UW][A-Z0-9]{1,30}")
_NAME: Final = re.compile(r"[\w.-]{1,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """One button that was pressed: on what (`id`), by whom, below a message of which notifier."""

    press: Press
    id: str
    notifier: str
    user: str
    name: str
    response_url: str

    @property
    def who(self) -> str:
        """The person as records name them."""
        return f"@{self.name} ({self.user}) in Slack" if self.name else f"{self.user} in Slack"


class Clicks:
    """Takes clicks that are known to come from Slack, and does what they ask for.

    `notifiers` gives all that are configured now. Each act goes the way of those from the command
    line; it shows in the message, so that only who is refused is answered.
    """

    def __init__(
        self,
        desk: Callable[[], Desk],
        notifiers: Callable[[], Mapping[str, Plugin]],
        user_agent: str,
        *,
        answer_within: timedelta = ANSWER_WITHIN,
    ) -> None:
        self.user_agent = user_agent
        self.answer_within = answer_within
        self._desk = desk
        self._notifiers = notifiers
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def slacks(self) -> dict[str, SlackOptions]:
        """The notifiers of Slack that may hear of clicks, by name."""
        options = {
            name: plugin.options
            for name, plugin in self._notifiers().items()
            if plugin.kind == "slack"
        }

        return {name: one for name, one in options.items() if one.hears}

    async def take(self, payload: object, heard: Sequence[str]) -> None:
        """Do what a payload asks for; `heard` are the notifiers through whose app it came.

        It returns once that is done, or would keep Slack waiting: then it goes on.
        """
        clicks = read_clicks(payload)
        if len(self._tasks) + len(clicks) > _MOST_AT_ONCE:
            _log.error("too_many_clicks", at_once=len(self._tasks))
            return

        tasks = {asyncio.create_task(self._take(one, heard), name="click") for one in clicks}
        self._tasks |= tasks
        for task in tasks:
            task.add_done_callback(self._tasks.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=self.answer_within.total_seconds())

    async def close(self) -> None:
        """Let what is under way end, but not for long."""
        tasks = set(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=self.answer_within.total_seconds())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, click: Click, heard: Sequence[str]) -> None:
        facts = {"press": click.press.name.lower(), "user": click.user, "id": click.id}
        slacks = self.slacks
        # A notifier that has another name by now: where one app serves one, it is the only one.
        name = click.notifier if click.notifier in slacks else next(iter(heard), "")
        options = slacks.get(name)
        if options is None or name not in heard or (name != click.notifier and len(heard) > 1):
            _log.warning("slack_click_of_unknown_message", **facts, notifier=click.notifier)
            return

        try:
            said = _refuse(click, name, options)
            if said:
                _log.warning("slack_click_refused", **facts, notifier=name)
            else:
                said = await self._act(click)
                _log.info("slack_click", **facts, notifier=name, answer=said or "done")
            if said:
                await self._reply(click, said, options)
        except Exception:  # noqa: BLE001 - nobody awaits it for long, and a bug must not go unseen
            _log.exception("slack_click_broke", **facts)

    async def _act(self, click: Click) -> str:
        """Do it; give what the person should know, empty where the message shows it."""
        desk = self._desk()
        try:
            match click.press:
                case Press.ACKNOWLEDGE:
                    return await _acknowledge(click, desk)
                case Press.APPROVE:
                    await operations.approve(click.id, click.who, desk)
                case Press.VETO:
                    await operations.veto(click.id, click.who, "", desk)
        except OperationError as error:
            return desk.engine.mask(str(error))
        except StoreError:
            return "It is done, but not written down yet: the monitor cannot write its store."

        return ""

    async def _reply(self, click: Click, said: str, options: SlackOptions) -> None:
        """Tell the person alone, where Slack says that they can be told."""
        if not _may_answer_to(click.response_url, options.base_url):
            _log.warning("slack_reply_elsewhere", user=click.user)
            return

        message = {
            "response_type": "ephemeral",
            "replace_original": False,
            "text": plain(said, _LONGEST_REPLY),
        }
        try:
            answer = await post(
                click.response_url,
                body=json.dumps(message).encode(),
                headers={"content-type": "application/json", "user-agent": self.user_agent},
                timeout=_REPLY_WITHIN,
            )
        except NoAnswer as error:
            _log.info("slack_reply_failed", user=click.user, error=str(error))
        else:
            if answer.status != 200:
                _log.info("slack_reply_failed", user=click.user, error=f"answered {answer.status}")


def read_clicks(payload: object) -> list[Click]:
    """Read the presses of our buttons from what Slack sent; whatever else it may be is none."""
    match payload:
        case {
            "type": "block_actions",
            "user": {"id": str(user), **person},
            "actions": [*actions],
            **rest,
        } if _ID.fullmatch(user):
            name = person.get("username") or person.get("name")
            response_url = rest.get("response_url")
        case _:
            return []

    found = []
    for action in actions[:_MOST_ACTIONS]:
        match action:
            case {"action_id": str(press), "block_id": str(block), "value": str(id)} if (
                press in set(Press) and 0 < len(id) <= _LONGEST_ID
            ):
                found.append(
                    Click(
                        press=Press(press),
                        id=id,
                        notifier=read_notifier(block),
                        user=user,
                        name=name if isinstance(name, str) and _NAME.fullmatch(name) else "",
                        response_url=response_url if isinstance(response_url, str) else "",
                    )
                )

    return found


async def _acknowledge(click: Click, desk: Desk) -> str:
    """Take an incident on; one that is over, or somebody else's already, is left as it is."""
    incident = desk.engine.situation.incidents.get(click.id)
    if incident is not None and incident.resolved_at is not None:
        return f"{incident.id} is over since {time_text(incident.resolved_at)}."

    await operations.acknowledge(click.id, click.who, desk)
    incident = desk.engine.situation.incidents.get(click.id)
    taken = incident.acknowledgement if incident is not None else None
    if taken is not None and taken.by != click.who:
        return f"{taken.by} has taken it on already, at {time_text(taken.at)}."

    return ""


def _refuse(click: Click, notifier: str, options: SlackOptions) -> str:
    """Say why somebody may not press a button; empty where they may."""
    what, key, allowed = "acknowledge", "users", options.acknowledgers
    if click.press is not Press.ACKNOWLEDGE:
        what, key, allowed = "decide about rollbacks", "approvers or users", options.deciders
    if click.user in allowed:
        return ""
    if not allowed:
        return (
            f"Nobody may {what} from Slack: the notifier {notifier} of the monitor has no {key}. "
            f"Your member ID is {click.user}."
        )

    return (
        f"You may not {what} from Slack: your member ID, {click.user}, is not among the {key} of "
        f"the notifier {notifier}."
    )


def _may_answer_to(response_url: str, base_url: str) -> bool:
    """Whether an answer goes to Slack, or to what stands in its place, and not anywhere else."""
    if not is_usable(response_url):
        return False

    url = URL(response_url)

    return url.user is None and url.origin() in (_SLACK_REPLIES, URL(base_url).origin())
