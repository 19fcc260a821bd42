"""The notifier kind `pagerduty`: one alert for each incident by Events API v2, and what changed."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator

from monitor.core.model.notice import Delivered, Refused
from monitor.fields import Kind, Options, SecretText
from monitor.logs import Log
from monitor.notifiers._answers import in_words, judge, make_mask, no_answer
from monitor.notifiers._fields import TIMEOUT, Timeout
from monitor.notifiers._pagerduty_events import (
    Action,
    plan_alerts,
    write_alert,
    write_changes,
    write_short,
)
from monitor.notifiers.notifier import Manner
from monitor.outbound import NoAnswer, is_usable, post, reach

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers.notifier import NotifierContext
    from monitor.options import Secret
    from monitor.outbound import Answer

_log = Log()

_EVENTS: Final = "https://events.pagerduty.com"
_PACE: Final = timedelta(milliseconds=500)
_BURST: Final = 5
"""PagerDuty takes some 120 events a minute for each key."""

_KEY: Final = re.compile(r"[0-9A-Za-z]{32}")


def _read_key(secret: Secret) -> Secret:
    if not _KEY.fullmatch(secret.reveal()):
        raise ValueError(
            "expected the integration key of Events API v2: 32 letters and digits, "
            f"found {len(secret.reveal())} characters"
        )

    return secret


def _read_base(url: str) -> str:
    if not is_usable(url):
        raise ValueError(f"expected a URL such as {_EVENTS}")

    return url.rstrip("/")


class PagerDutyOptions(Options):
    """Whose alerts they are: the integration key, and where its account is.

    `base_url` is https://events.eu.pagerduty.com for an account in the EU. With `changes`,
    deploys and what rollbacks did are sent as change events as well.
    """

    routing_key: Annotated[SecretText, AfterValidator(_read_key)]
    base_url: Annotated[str, AfterValidator(_read_base)] = _EVENTS
    changes: bool = True
    timeout: Timeout = TIMEOUT


class PagerDutyNotifier:
    """Keeps one alert for each incident: a repeat merges with what is there, by `dedup_key`."""

    def __init__(self, options: PagerDutyOptions, context: NotifierContext) -> None:
        self.manner = Manner(digests=True, every=_PACE, burst=_BURST, tracks=True)
        self._options = options
        self._context = context
        self._mask = make_mask(context.mask, [options.routing_key])

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Send what the notice means for the alert of its incident; 202 is accepted."""
        plan = plan_alerts(delivery, earlier)
        for action in plan.actions:
            receipt = await self._tell(delivery, action, plan.dedup_key, quiet=plan.quiet)
            if not isinstance(receipt, Delivered):
                return receipt

        for change in write_changes(delivery, plan):
            await self._tell_change(delivery, change)

        return Delivered(reference=plan.reference)

    async def examine(self) -> str:
        """Connect, and send nothing: the key is only tried by an event."""
        return await reach(self._options.base_url, timeout=self._options.timeout)

    async def close(self) -> None:
        """Hold nothing between requests."""

    async def _tell(
        self, delivery: Delivery, action: Action, dedup_key: str, *, quiet: bool
    ) -> Receipt:
        """Send one event; what is refused for its form is sent once more in short."""
        event = write_alert(delivery, action, dedup_key, quiet=quiet)
        receipt = await self._send("/v2/enqueue", event)
        if isinstance(receipt, Refused) and action is Action.TRIGGER:
            receipt = await self._send("/v2/enqueue", write_short(event))

        return receipt

    async def _tell_change(self, delivery: Delivery, change: dict[str, Any]) -> None:
        """Send a change event, once: it has no key by which a repeat would be known."""
        if not self._options.changes or self._options.routing_key.reveal().startswith("R"):
            return  # the key of a ruleset, which takes no changes

        receipt = await self._send("/v2/change/enqueue", change)
        if not isinstance(receipt, Delivered):
            _log.warning(
                "pagerduty_change_not_told",
                incident=delivery.notice.incident,
                error=receipt.error,
            )

    async def _send(self, path: str, event: dict[str, Any]) -> Receipt:
        options = self._options
        body = {"routing_key": options.routing_key.reveal(), **event}
        try:
            answer = await post(
                f"{options.base_url}{path}",
                body=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
                headers={
                    "content-type": "application/json",
                    "user-agent": self._context.user_agent,
                },
                timeout=options.timeout,
            )
        except NoAnswer as error:
            return no_answer(error)

        if _is_accepted(answer):
            return Delivered()

        return judge(answer, in_words(answer, self._mask), self._context.clock())


def _is_accepted(answer: Answer) -> bool:
    """Whether it has the event: 202, or another 2xx in PagerDuty's own words."""
    if answer.status == 202:
        return True
    try:
        said = json.loads(answer.text)
    except ValueError:
        return False

    return 200 <= answer.status < 300 and isinstance(said, dict) and said.get("status") == "success"


KIND: Final = Kind(options=PagerDutyOptions, make=PagerDutyNotifier)
