"""The notifier kind `discord`: its options, the message of an incident, and what answers mean."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from monitor.core.model.notice import Delivered, Refused, TryAgain
from monitor.core.outbox import Why
from monitor.examination import Unfit
from monitor.fields import Kind, Options
from monitor.notifiers._answers import (
    in_words,
    judge,
    make_mask,
    no_answer,
    read_json,
    with_wish,
)
from monitor.notifiers._discord_message import write_message, write_news, write_short
from monitor.notifiers._fields import TIMEOUT, Timeout
from monitor.notifiers.notifier import Manner
from monitor.outbound import NoAnswer, post
from monitor.webhooks import SecretUrl

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers.notifier import NotifierContext
    from monitor.outbound import Answer

_PACE: Final = timedelta(seconds=1)
_BURST: Final = 3
"""Discord tells its limits only in headers; a webhook is known to take five messages in 2 s."""

_UNKNOWN_MESSAGE: Final = 10008
_ANSWER_LIMIT: Final = 256 * 1024
"""The answer repeats the message, escaped."""


class DiscordOptions(Options):
    """`webhook_url` is that of a channel; with `?thread_id=…` it writes into that thread."""

    webhook_url: SecretUrl
    timeout: Timeout = TIMEOUT


class _Refusal(Exception):
    """Discord did not take it."""

    def __init__(self, answer: Answer, receipt: Receipt) -> None:
        super().__init__(answer.status)
        self.receipt = receipt
        self.malformed = answer.status == 400
        self.gone = answer.status == 404 and read_json(answer).get("code") == _UNKNOWN_MESSAGE


class DiscordNotifier:
    """Writes to one channel; the message of an incident is kept up to date, and news follow it.

    An edit wakes nobody, and a webhook cannot reply: so each change is a message of its own, short,
    and whoever scrolls back finds in the first one how it stands.
    """

    def __init__(self, options: DiscordOptions, context: NotifierContext) -> None:
        self.manner = Manner(digests=True, every=_PACE, burst=_BURST)
        self._options = options
        self._context = context
        self._mask = make_mask(context.mask, [options.webhook_url])

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Write one notice, within the timeout."""
        try:
            async with asyncio.timeout(self._options.timeout.total_seconds()):
                return await self._tell(delivery, earlier.reference)
        except TimeoutError:
            return TryAgain(reason=Why.TIMEOUT, error="no complete answer in time")
        except NoAnswer as error:
            return no_answer(error)
        except _Refusal as refusal:
            return refusal.receipt

    async def examine(self) -> str:
        """Ask Discord for the webhook's name, and write nothing."""
        try:
            answer = await self._send("GET", self._url(), None)
        except NoAnswer as error:
            raise Unfit(f"Discord cannot be asked: {error}") from error
        if answer.status != 200:
            raise Unfit(f"Discord {in_words(answer, self._mask)}")

        return "the webhook is there; nothing was sent"

    async def close(self) -> None:
        """Hold nothing between requests."""

    async def _tell(self, delivery: Delivery, first: str | None) -> Receipt:
        """Bring the incident's message up to date, then tell the news; or begin anew.

        In this order, because the first can be repeated without harm when the second fails.
        """
        if first is not None and first.isdecimal():
            try:
                await self._write("PATCH", write_message(delivery), delivery, first)
            except _Refusal as refusal:
                if not isinstance(refusal.receipt, Refused) or not refusal.gone:
                    raise
            else:
                await self._write("POST", write_news(delivery), delivery)
                return Delivered(reference=first)

        answer = await self._write("POST", write_message(delivery), delivery)
        if answer.status == 204:  # something between us takes our `wait` away
            return Delivered()
        id = read_json(answer).get("id")
        if not isinstance(id, str):
            # Without ?wait=true heeded, a message that was not saved gives no error.
            return TryAgain(reason=Why.BAD_ANSWER, error="answered 200, but not as Discord does")

        return Delivered(reference=id)

    async def _write(
        self, method: str, message: dict[str, Any], delivery: Delivery, id: str | None = None
    ) -> Answer:
        """Write a message; what is refused for its form is tried once more as one line."""
        url = self._url(id)
        answer = await self._send(method, url, message)
        if answer.status == 400:
            answer = await self._send(method, url, write_short(delivery))
        if answer.status in (200, 204):
            return answer

        raise _Refusal(answer, self._judge(answer))

    def _judge(self, answer: Answer) -> Receipt:
        receipt = judge(answer, in_words(answer, self._mask), self._context.clock())

        return with_wish(receipt, read_json(answer).get("retry_after"))

    async def _send(self, method: str, url: str, message: dict[str, Any] | None) -> Answer:
        return await post(
            url,
            body=b"" if message is None else json.dumps(message).encode(),
            headers={
                "content-type": "application/json",
                "user-agent": self._context.user_agent,
            },
            timeout=self._options.timeout,
            method=method,
            limit=_ANSWER_LIMIT,
        )

    def _url(self, message: str | None = None) -> str:
        """Give where to write: only with `wait` is it said whether a message was kept."""
        url = URL(self._options.webhook_url.reveal())
        if message is not None:
            path = f"{url.raw_path.rstrip('/')}/messages/{message}"
            return str(url.with_path(path, encoded=True, keep_query=True))

        return str(url.update_query(wait="true"))


KIND: Final = Kind(options=DiscordOptions, make=DiscordNotifier)
