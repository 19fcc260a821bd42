"""The notifier kind `slack`: its options; an incoming webhook, or a bot with one thread each."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from monitor.core.expectations.shown import plain
from monitor.core.model.notice import Delivered, Refused, TryAgain
from monitor.core.outbox import Why
from monitor.examination import Unfit
from monitor.fields import Kind, Options
from monitor.logs import Log
from monitor.notifiers._answers import in_words, make_mask, no_answer
from monitor.notifiers._fields import TIMEOUT, Timeout
from monitor.notifiers._slack_api import SlackRefusal, make_client, read_webhook_answer
from monitor.notifiers._slack_message import (
    write_message,
    write_reply,
    write_short,
    write_update,
)
from monitor.notifiers.notifier import Manner
from monitor.outbound import NoAnswer, is_usable, post, reach
from monitor.webhooks import SecretLine, SecretUrl

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers.notifier import NotifierContext

_log = Log()

_SLACK: Final = "https://slack.com/api/"
_PACE: Final = timedelta(seconds=1)
_BURST: Final = 3
"""Slack takes a message a second for each channel, and short bursts."""

_GONE: Final = frozenset({"channel_not_found", "message_not_found", "thread_not_found"})
"""Refusals of an update that mean that the thread's first message is no longer there."""


def _read_base(url: str) -> str:
    if not is_usable(url):
        raise ValueError(f"expected a URL such as {_SLACK}")

    return url if url.endswith("/") else f"{url}/"


class SlackOptions(Options):
    """Either `webhook_url`, or `token` of a bot and the `channel` that it writes to.

    Only a bot has threads and updates its messages. `base_url` is where its API is, for a proxy.
    """

    webhook_url: SecretUrl | None = None
    token: SecretLine | None = None
    channel: Annotated[str, Field(min_length=1)] | None = None
    base_url: Annotated[str, AfterValidator(_read_base)] = _SLACK
    timeout: Timeout = TIMEOUT

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        bot = [name for name in ("token", "channel") if getattr(self, name) is not None]
        if self.webhook_url is not None and bot:
            raise ValueError(f"webhook_url and {bot[0]} exclude each other; remove one")
        if self.webhook_url is None and len(bot) != 2:
            raise ValueError("expected webhook_url, or token and channel together")

        return self


class SlackNotifier:
    """Writes to one channel; each incident is one message, which a bot keeps up to date.

    An incoming webhook gives no reference of its messages, so each notice is one of its own. It is
    posted with our own client rather than the SDK's, which logs the secret URL, follows redirects
    and repeats a request by itself.
    """

    def __init__(self, options: SlackOptions, context: NotifierContext) -> None:
        self.manner = Manner(every=_PACE, burst=_BURST)
        self._options = options
        self._context = context
        self._mask = make_mask(context.mask, [options.webhook_url, options.token])
        # Made here rather than at the first alert: loading the SDK takes the loop some time.
        self._client: AsyncWebClient | None = None
        if options.token is not None:
            self._client = make_client(
                base_url=options.base_url,
                user_agent=context.user_agent,
                timeout=options.timeout,
                clock=context.clock,
            )

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Write one notice, within the timeout, where its incident was told before."""
        tell = self._tell_webhook if self._options.webhook_url else self._tell_thread
        try:
            async with asyncio.timeout(self._options.timeout.total_seconds()):
                receipt = await tell(delivery, earlier.reference)
        except TimeoutError:
            return TryAgain(reason=Why.TIMEOUT, error="no complete answer in time")
        except NoAnswer as error:
            return no_answer(error)
        except SlackRefusal as refusal:
            receipt = refusal.receipt

        if isinstance(receipt, Delivered):
            return receipt

        return replace(receipt, error=self._mask(receipt.error))

    async def examine(self) -> str:
        """Ask Slack whose token it is; of an incoming webhook, only connect to it."""
        options = self._options
        if options.webhook_url is not None:
            return await reach(options.webhook_url.reveal(), timeout=options.timeout)

        assert options.token is not None
        assert self._client is not None
        self._client.token = options.token.reveal()
        try:
            async with asyncio.timeout(options.timeout.total_seconds()):
                answer = await self._client.api_call("auth.test", json={})
        except TimeoutError as error:
            raise Unfit("Slack gave no complete answer in time") from error
        except NoAnswer as error:
            raise Unfit(f"Slack cannot be asked: {error}") from error
        except SlackRefusal as refusal:
            raise Unfit(self._mask(f"Slack says {refusal.error or 'nothing useful'}")) from refusal

        said: Any = answer.data
        who, where = (plain(str(said.get(key, "?"))) for key in ("user", "team"))

        return f"the token is that of {who} in {where}, to write to {options.channel}"

    async def close(self) -> None:
        """Hold nothing between requests."""

    async def _tell_webhook(self, delivery: Delivery, _thread: str | None) -> Receipt:
        try:
            await self._post_webhook(write_message(delivery))
        except SlackRefusal as refusal:
            if not refusal.about_form:
                raise
            await self._post_webhook(write_short(delivery))

        return Delivered()

    async def _post_webhook(self, message: dict[str, Any]) -> None:
        """Post a message; raises SlackRefusal unless the answer is `ok`."""
        assert self._options.webhook_url is not None
        answer = await post(
            self._options.webhook_url.reveal(),
            body=json.dumps(message).encode(),
            headers={
                "content-type": "application/json",
                "user-agent": self._context.user_agent,
            },
            timeout=self._options.timeout,
        )
        read_webhook_answer(answer, in_words(answer, self._mask), self._context.clock())

    async def _tell_thread(self, delivery: Delivery, thread: str | None) -> Receipt:
        """Tell where the incident was told before; where that is not known, or gone, begin anew."""
        if thread is None or ":" not in thread:
            return await self._begin_thread(delivery)

        try:
            await self._follow_thread(delivery, *thread.rsplit(":", 1))
        except SlackRefusal as refusal:
            if refusal.error not in _GONE:
                raise
            return await self._begin_thread(delivery)

        return Delivered(reference=thread)

    async def _follow_thread(self, delivery: Delivery, channel: str, ts: str) -> None:
        """Bring the incident's message up to date, then write the news into its thread.

        In this order, because the first can be repeated without harm when the second fails.
        """
        try:
            await self._call("chat_update", write_update(delivery), delivery, channel, ts=ts)
        except SlackRefusal as refusal:
            if refusal.error in _GONE or not isinstance(refusal.receipt, Refused):
                raise
            # A workspace may forbid late edits: the thread still tells.
            _log.warning("slack_message_not_updated", error=self._mask(refusal.error))

        await self._call("chat_postMessage", write_reply(delivery), delivery, channel, thread_ts=ts)

    async def _begin_thread(self, delivery: Delivery) -> Receipt:
        assert self._options.channel is not None
        said = await self._call(
            "chat_postMessage", write_message(delivery), delivery, self._options.channel
        )
        channel, ts = said.get("channel"), said.get("ts")

        return Delivered(reference=f"{channel}:{ts}" if channel and ts else None)

    async def _call(
        self, method: str, message: dict[str, Any], delivery: Delivery, channel: str, **more: str
    ) -> dict[str, Any]:
        """Call a method of the SDK; what is refused for its form is tried once more as one line."""
        assert self._options.token is not None
        assert self._client is not None
        self._client.token = self._options.token.reveal()
        send = getattr(self._client, method)
        try:
            answer = await send(channel=channel, **message, **more)
        except SlackRefusal as refusal:
            if not refusal.about_form:
                raise
            answer = await send(channel=channel, **write_short(delivery), **more)

        data: dict[str, Any] = answer.data

        return data


KIND: Final = Kind(options=SlackOptions, make=SlackNotifier)
