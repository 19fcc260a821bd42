"""The notifier kind `telegram`: its options, the message of an incident, what answers mean."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, Field

from monitor.core.expectations.shown import plain
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
from monitor.notifiers._fields import TIMEOUT, Timeout
from monitor.notifiers._telegram_message import write_message, write_news, write_short
from monitor.notifiers.notifier import Manner
from monitor.outbound import NoAnswer, is_usable, post
from monitor.webhooks import SecretLine

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers.notifier import NotifierContext
    from monitor.options import Secret
    from monitor.outbound import Answer

_TELEGRAM: Final = "https://api.telegram.org"
_TOKEN: Final = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{8,200}")
_CHAT: Final = re.compile(r"-?[0-9]{1,20}|@[A-Za-z][A-Za-z0-9_]{3,31}")
_REFERENCE: Final = re.compile(r"(-?[0-9]{1,20}):([0-9]{1,20})")
_PACE: Final = timedelta(seconds=1)
_PACE_OF_GROUPS: Final = timedelta(seconds=3)
_BURST: Final = 3
"""Telegram takes a message a second for each chat, 20 a minute for a group, and short bursts."""


def _read_token(secret: Secret) -> Secret:
    if not _TOKEN.fullmatch(secret.reveal()):
        raise ValueError("expected the token of a bot: a number, a colon, letters and digits")

    return secret


def _read_chat(chat: object) -> str:
    text = str(chat) if isinstance(chat, int) and not isinstance(chat, bool) else chat
    if not isinstance(text, str) or not _CHAT.fullmatch(text):
        raise ValueError("expected the number of a chat such as -1001234567890, or @channel")

    return text


def _read_base(url: str) -> str:
    if not is_usable(url):
        raise ValueError(f"expected a URL such as {_TELEGRAM}")

    return url.rstrip("/")


class TelegramOptions(Options):
    """The `token` of a bot, and the chat, group or channel that it writes to.

    `topic` is the number of a topic of a forum. `base_url` is where the Bot API is, for a server of
    one's own.
    """

    token: Annotated[SecretLine, AfterValidator(_read_token)]
    chat: Annotated[str | int, AfterValidator(_read_chat)]
    topic: Annotated[int, Field(gt=0)] | None = None
    base_url: Annotated[str, AfterValidator(_read_base)] = _TELEGRAM
    timeout: Timeout = TIMEOUT


class _Refusal(Exception):
    """Telegram did not take it: `said` is its own description."""

    def __init__(self, said: str, receipt: TryAgain | Refused) -> None:
        super().__init__(said)
        self.said = said.lower()
        self.receipt = receipt


class TelegramNotifier:
    """Writes to one chat: the first message of an incident is kept up to date, news reply to it."""

    def __init__(self, options: TelegramOptions, context: NotifierContext) -> None:
        alone = str(options.chat).isdecimal()
        self.manner = Manner(digests=True, every=_PACE if alone else _PACE_OF_GROUPS, burst=_BURST)
        self._options = options
        self._context = context
        self._mask = make_mask(context.mask, [options.token])

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Write one notice, within the timeout."""
        try:
            async with asyncio.timeout(self._options.timeout.total_seconds()):
                return await self._tell(delivery, earlier.reference or "")
        except TimeoutError:
            return TryAgain(reason=Why.TIMEOUT, error="no complete answer in time")
        except NoAnswer as error:
            return no_answer(error)
        except _Refusal as refusal:
            return refusal.receipt

    async def examine(self) -> str:
        """Ask Telegram whose token it is and whether the chat is there; write nothing."""
        try:
            bot = await self._call("getMe", {})
            chat = await self._call("getChat", {"chat_id": self._options.chat})
        except NoAnswer as error:
            raise Unfit(f"Telegram cannot be asked: {error}") from error
        except _Refusal as refusal:
            raise Unfit(f"Telegram {refusal.receipt.error}") from refusal
        name = plain(str(bot.get("username", "?")))
        title = plain(str(chat.get("title") or chat.get("username") or self._options.chat))

        return f"the token is that of @{name}, to write to {title}"

    async def close(self) -> None:
        """Hold nothing between requests."""

    async def _tell(self, delivery: Delivery, thread: str) -> Receipt:
        """Bring the incident's message up to date, then reply to it; or begin anew."""
        known = _REFERENCE.fullmatch(thread)
        if known is None:
            return await self._begin(delivery)

        chat, id = int(known[1]), int(known[2])
        await self._update(delivery, chat, id)
        # Should the first message be gone, it is told all the same.
        reply = {"message_id": id, "allow_sending_without_reply": True}
        await self._send(delivery, write_news(delivery), chat, reply_parameters=reply)

        return Delivered(reference=thread)

    async def _begin(self, delivery: Delivery) -> Receipt:
        said = await self._send(delivery, write_message(delivery), self._options.chat)
        match said:
            case {"message_id": int(id), "chat": {"id": int(chat)}}:
                return Delivered(reference=f"{chat}:{id}")
            case _:
                return Delivered()

    async def _send(
        self, delivery: Delivery, message: dict[str, Any], chat: int | str, **more: Any
    ) -> dict[str, Any]:
        target = {"chat_id": chat, **more}
        if self._options.topic is not None:
            target["message_thread_id"] = self._options.topic

        return await self._write("sendMessage", delivery, message, target)

    async def _update(self, delivery: Delivery, chat: int, message: int) -> None:
        """Bring the incident's message up to date; one that cannot be is left as it is."""
        target = {"chat_id": chat, "message_id": message}
        try:
            await self._write("editMessageText", delivery, write_message(delivery), target)
        except _Refusal as refusal:
            if not isinstance(refusal.receipt, Refused) or "bad request" not in refusal.said:
                raise

    async def _write(
        self, method: str, delivery: Delivery, message: dict[str, Any], target: dict[str, Any]
    ) -> dict[str, Any]:
        """Write a message; what is refused for its form is tried once more as one line."""
        try:
            return await self._call(method, {**message, **target})
        except _Refusal as refusal:
            if not any(part in refusal.said for part in ("can't parse", "too long", "entit")):
                raise

        return await self._call(method, {**write_short(delivery), **target})

    async def _call(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """Call a method of the Bot API; raises _Refusal or NoAnswer."""
        answer = await post(
            f"{self._options.base_url}/bot{self._options.token.reveal()}/{method}",
            body=json.dumps(request).encode(),
            headers={
                "content-type": "application/json",
                "user-agent": self._context.user_agent,
            },
            timeout=self._options.timeout,
        )
        data = read_json(answer)
        if answer.status == 200 and data.get("ok") is True:
            result = data.get("result")
            return result if isinstance(result, dict) else {}

        raise _Refusal(str(data.get("description", "")), self._judge(answer, data))

    def _judge(self, answer: Answer, data: dict[str, Any]) -> TryAgain | Refused:
        description = data.get("description")
        said = f"answered {answer.status}"
        if isinstance(description, str):
            said = in_words(replace(answer, text=description), self._mask)
        receipt = judge(answer, said, self._context.clock())
        parameters = data.get("parameters")
        if not isinstance(parameters, dict):
            return receipt

        if isinstance(moved := parameters.get("migrate_to_chat_id"), int):
            return Refused(reason=Why.REFUSED, error=f"{said}: the chat is {moved} now")

        return with_wish(receipt, parameters.get("retry_after"))


KIND: Final = Kind(options=TelegramOptions, make=TelegramNotifier)
