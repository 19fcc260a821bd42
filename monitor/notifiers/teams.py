"""The notifier kind `teams`: its options; one Adaptive Card for each notice."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.notice import Delivered, TryAgain
from monitor.core.outbox import Why
from monitor.fields import Kind, Options
from monitor.notifiers._answers import in_words, judge, make_mask, no_answer
from monitor.notifiers._fields import TIMEOUT, Timeout
from monitor.notifiers._teams_card import write_body
from monitor.notifiers.notifier import Manner
from monitor.outbound import NoAnswer, post, reach
from monitor.webhooks import SecretUrl

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers.notifier import NotifierContext

_PACE: Final = timedelta(seconds=1)
_BURST: Final = 3
"""Teams refuses more than four requests a second."""

_NOT_POSTED: Final = "webhook message delivery failed"
"""How connectors begin the text of an answer of 200 that is none."""


class TeamsOptions(Options):
    """`webhook_url` is that of a workflow: *Post to a channel when a webhook request is received*.

    Its signature stands in its query, so that all of it is secret.
    """

    webhook_url: SecretUrl
    timeout: Timeout = TIMEOUT


class TeamsNotifier:
    """Posts a card for each notice: a workflow says nothing of the message that it makes."""

    def __init__(self, options: TeamsOptions, context: NotifierContext) -> None:
        self.manner = Manner(digests=True, every=_PACE, burst=_BURST)
        self._options = options
        self._context = context
        signature = options.webhook_url.parts(_find_signature)
        self._mask = make_mask(context.mask, [options.webhook_url, *signature])

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Post it: 202 says that the workflow took it."""
        try:
            answer = await post(
                self._options.webhook_url.reveal(),
                body=write_body(delivery),
                headers={
                    "content-type": "application/json",
                    "user-agent": self._context.user_agent,
                },
                timeout=self._options.timeout,
            )
        except NoAnswer as error:
            return no_answer(error)

        said = in_words(answer, self._mask)
        if not 200 <= answer.status < 300:
            return judge(answer, said, self._context.clock())
        if _NOT_POSTED in answer.text.lower():
            why = Why.RATE_LIMITED if "429" in answer.text else Why.SERVER_ERROR
            return TryAgain(reason=why, error=said)

        return Delivered()

    async def examine(self) -> str:
        """Connect, and send nothing: a workflow has no answer but a message."""
        return await reach(self._options.webhook_url.reveal(), timeout=self._options.timeout)

    async def close(self) -> None:
        """Hold nothing between requests."""


def _find_signature(url: str) -> tuple[str, ...]:
    """Give what is secret in the query of a workflow's URL, by itself as well."""
    from yarl import URL

    return tuple(value for name, value in URL(url).query.items() if name == "sig")


KIND: Final = Kind(options=TeamsOptions, make=TeamsNotifier)
