"""The notifier kind `webhook`: its options; one signed JSON request for each notice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator

from monitor.core.model.notice import Delivered
from monitor.fields import Kind
from monitor.notifiers._answers import in_words, judge, make_mask, no_answer
from monitor.notifiers._fields import TIMEOUT, Timeout
from monitor.notifiers._payload import payload
from monitor.notifiers.notifier import Manner
from monitor.outbound import NoAnswer, post, reach
from monitor.webhooks import WebhookTarget, write_headers

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers.notifier import NotifierContext


def _read_method(method: str) -> str:
    if method.upper() not in ("POST", "PUT", "PATCH"):
        raise ValueError(f"expected POST, PUT or PATCH, found {method!r}")

    return method.upper()


class WebhookOptions(WebhookTarget):
    """Where notices are posted."""

    method: Annotated[str, AfterValidator(_read_method)] = "POST"
    timeout: Timeout = TIMEOUT


class WebhookNotifier:
    """Posts a notice as JSON; each attempt carries the same idempotency key."""

    def __init__(self, options: WebhookOptions, context: NotifierContext) -> None:
        self.manner = Manner(digests=False)
        self._options = options
        self._context = context
        self._mask = make_mask(context.mask, options.own_secrets)

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Post it: 2xx is delivered, whatever the body says."""
        options = self._options
        now = self._context.clock()
        body = json.dumps(payload(delivery), ensure_ascii=False).encode("utf-8", "replace")
        try:
            answer = await post(
                options.url.reveal(),
                body=body,
                headers=self._headers(delivery, body, now),
                timeout=options.timeout,
                method=options.method,
            )
        except NoAnswer as error:
            return no_answer(error)

        if 200 <= answer.status < 300:
            return Delivered()

        return judge(answer, in_words(answer, self._mask), now)

    async def examine(self) -> str:
        """Connect, and send nothing."""
        return await reach(self._options.url.reveal(), timeout=self._options.timeout)

    async def close(self) -> None:
        """Hold nothing between requests."""

    def _headers(self, delivery: Delivery, body: bytes, now: datetime) -> dict[str, str]:
        written = write_headers(
            self._options,
            id=delivery.key,
            body=body,
            user_agent=self._context.user_agent,
            now=now,
        )

        return {**written, "idempotency-key": delivery.key}


KIND: Final = Kind(options=WebhookOptions, make=WebhookNotifier)
