"""The notifier kind `slack`: its options; an incoming webhook, or a bot with one thread each."""

from __future__ import annotations

import asyncio
import json
import re
from collections import OrderedDict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.notice import Delivered, Refused, TryAgain
from monitor.core.outbox import Why
from monitor.fields import Kind
from monitor.logs import Log
from monitor.notifiers._answers import in_words, make_mask, no_answer
from monitor.notifiers._slack_api import (
    SlackRefusal,
    find_message,
    make_client,
    read_webhook_answer,
)
from monitor.notifiers._slack_examine import examine_bot
from monitor.notifiers._slack_message import (
    evidence_key,
    write_evidence,
    write_message,
    write_reply,
    write_short,
    write_single,
    write_update,
)
from monitor.notifiers._slack_options import SlackOptions
from monitor.notifiers.notifier import Manner
from monitor.outbound import NoAnswer, post, reach

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers._slack_buttons import Buttons
    from monitor.notifiers.notifier import NotifierContext

_log = Log()

_CHANNEL_ID: Final = re.compile(r"[CGD][A-Z0-9]{6,}")
_PACE: Final = timedelta(seconds=1.2)
_BURST: Final = 3
"""Slack takes a message a second for each channel and fifty updates a minute, and short bursts."""

_LOOK_BACK: Final = timedelta(minutes=10)
"""By so much the clocks of Slack and of the monitor may differ."""

_MOST_EVIDENCE: Final = 10
_MOST_REMEMBERED: Final = 500

_GONE: Final = frozenset({"channel_not_found", "message_not_found", "thread_not_found"})
"""Refusals of an update that mean that the thread's first message is no longer there."""


class SlackNotifier:
    """Writes to one channel; each incident is one message, which a bot keeps up to date.

    An incoming webhook gives no reference of its messages, so each notice is one of its own. It is
    posted with our own client rather than the SDK's, which logs the secret URL, follows redirects
    and repeats a request by itself.
    """

    def __init__(self, options: SlackOptions, context: NotifierContext) -> None:
        self.manner = Manner(digests=True, every=_PACE, burst=_BURST)
        self._options = options
        self._context = context
        self._mask = make_mask(
            context.mask,
            [options.webhook_url, options.token, options.app_token, options.signing_secret],
        )
        self._channel = options.channel or ""
        self._evidence: OrderedDict[str, frozenset[str]] = OrderedDict()
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

    async def find(self, delivery: Delivery, earlier: Earlier) -> Delivered | None:
        """Look for the message that carries the key of a delivery, where the token may read.

        It needs the id of the channel: where only its name is known, nobody can say.
        """
        if self._options.token is None:
            return None

        thread = earlier.reference
        channel, ts = _split(thread) or (self._channel, None)
        if not _CHANNEL_ID.fullmatch(channel):
            return None

        try:
            async with asyncio.timeout(self._options.timeout.total_seconds()):
                found = await find_message(
                    self._authorised(),
                    channel,
                    ts,
                    since=delivery.queued_at - _LOOK_BACK,
                    key=delivery.key,
                )
        except (TimeoutError, NoAnswer, SlackRefusal) as error:
            _log.info("slack_history_unreadable", error=self._say(error))
            return None

        if found is None:
            return None

        return Delivered(reference=thread if ts is not None else f"{channel}:{found}")

    async def examine(self) -> str:
        """Ask Slack whose token it is and what it may; of a webhook, only connect to it."""
        options = self._options
        if options.webhook_url is not None:
            return await reach(options.webhook_url.reveal(), timeout=options.timeout)

        return await examine_bot(self._authorised(), options, self._mask)

    async def close(self) -> None:
        """Hold nothing between requests."""

    async def _tell_webhook(self, delivery: Delivery, _thread: str | None) -> Receipt:
        message = write_single(delivery)
        try:
            await self._post_webhook(message)
        except SlackRefusal as refusal:
            if not refusal.about_form:
                raise
            await self._post_webhook(write_short(message))

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
        place = _split(thread)
        if place is None:
            return await self._begin_thread(delivery)

        try:
            await self._follow_thread(delivery, *place)
        except SlackRefusal as refusal:
            if refusal.error not in _GONE:
                raise
            return await self._begin_thread(delivery)

        return Delivered(reference=thread)

    async def _follow_thread(self, delivery: Delivery, channel: str, ts: str) -> None:
        """Bring the incident's message up to date, then write the news into its thread.

        In this order, because the first can be repeated without harm when the second fails.
        """
        message = write_update(delivery, self._buttons)
        try:
            await self._call("chat_update", message, channel, ts=ts)
        except SlackRefusal as refusal:
            if refusal.error in _GONE or not isinstance(refusal.receipt, Refused):
                raise
            # A workspace may forbid late edits: the thread still tells.
            _log.warning("slack_message_not_updated", error=self._mask(refusal.error))

        await self._tell_evidence(delivery, channel, ts)
        await self._call("chat_postMessage", write_reply(delivery), channel, thread_ts=ts)

    async def _tell_evidence(self, delivery: Delivery, channel: str, ts: str) -> None:
        """Write into the thread what commands said, once: each notice has all that is known.

        It stands before the news, so that a delivery that fails here is repeated without harm; and
        no news waits for it.
        """
        incident = delivery.notice.incident
        told = self._evidence.get(incident)
        fresh = [one for one in delivery.notice.evidence if one[0] not in (told or ())]
        fresh = fresh[:_MOST_EVIDENCE]
        if not fresh:
            return

        try:
            key = evidence_key(delivery, fresh[0][0])
            if told is not None or not await self._has(channel, ts, delivery, key):
                message = write_evidence(delivery, fresh)
                await self._authorised().chat_postMessage(channel=channel, thread_ts=ts, **message)
        except (NoAnswer, SlackRefusal) as error:
            _log.warning("slack_evidence_not_told", incident=incident, error=self._say(error))
            return

        self._evidence[incident] = (told or frozenset()) | {name for name, _ in fresh}
        self._evidence.move_to_end(incident)
        if len(self._evidence) > _MOST_REMEMBERED:
            self._evidence.popitem(last=False)

    async def _has(self, channel: str, ts: str, delivery: Delivery, key: str) -> bool:
        """Whether a thread has a message by a key; one that may not be read has none."""
        since = delivery.notice.since - _LOOK_BACK
        try:
            return (
                await find_message(self._authorised(), channel, ts, since=since, key=key)
                is not None
            )
        except SlackRefusal:
            return False

    async def _begin_thread(self, delivery: Delivery) -> Receipt:
        assert self._options.channel is not None
        message = write_message(delivery, self._buttons)
        said = await self._call("chat_postMessage", message, self._options.channel)
        channel, ts = said.get("channel"), said.get("ts")
        if not channel or not ts:
            return Delivered()

        self._channel = str(channel)

        return Delivered(reference=f"{channel}:{ts}")

    async def _call(
        self, method: str, message: dict[str, Any], channel: str, **more: str
    ) -> dict[str, Any]:
        """Call a method of the SDK; what is refused for its form is tried once more as one line."""
        send = getattr(self._authorised(), method)
        try:
            answer = await send(channel=channel, **message, **more)
        except SlackRefusal as refusal:
            if not refusal.about_form:
                raise
            kept = {
                name: value
                for name, value in message.items()
                if name == "reply_broadcast" or (name == "metadata" and name not in refusal.error)
            }
            answer = await send(channel=channel, **write_short(message), **kept, **more)

        data: dict[str, Any] = answer.data

        return data

    def _say(self, error: Exception) -> str:
        said = error.error if isinstance(error, SlackRefusal) else str(error)

        return self._mask(said or "no useful answer in time")

    @property
    def _buttons(self) -> Buttons:
        return self._options.buttons

    def _authorised(self) -> AsyncWebClient:
        assert self._options.token is not None
        assert self._client is not None
        self._client.token = self._options.token.reveal()

        return self._client


def _split(reference: str | None) -> tuple[str, str] | None:
    """Give channel and `ts` of a message of ours; None where it is no reference of this kind."""
    channel, colon, ts = (reference or "").rpartition(":")

    return (channel, ts) if colon and channel else None


KIND: Final = Kind(options=SlackOptions, make=SlackNotifier)
