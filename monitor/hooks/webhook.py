"""The hook kind `webhook`: its options; one signed HTTP request carries out a step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from monitor.core.model.rollback import Effect, EffectOutcome
from monitor.core.outbox import Why
from monitor.fields import Kind
from monitor.hooks._fields import Timeout
from monitor.hooks.hook import bound, describe
from monitor.options import Secret, parse_duration
from monitor.outbound import NoAnswer, list_spellings, post, reach
from monitor.webhooks import WebhookTarget, write_headers

if TYPE_CHECKING:
    from monitor.core.model.rollback import EffectContext
    from monitor.hooks.hook import HookContext

_MAY_HAVE_HAPPENED: Final = frozenset({408, 409, 425, 429})
"""Of 4xx, the ones that are no definite refusal."""

_NOT_SENT: Final = frozenset({Why.UNREACHABLE, Why.TLS, Why.MISCONFIGURED})
"""Troubles in which the receiver cannot have taken the request: that much is certain."""


class WebhookOptions(WebhookTarget):
    """A request to send: the body is the JSON that a command gets on standard input.

    `idempotent` promises that the receiver does nothing more when it gets one `webhook-id` twice.
    """

    timeout: Timeout = parse_duration("30s")
    idempotent: bool = False


class WebhookHook:
    """Sends the request once; a retry by the engine carries the same `webhook-id`."""

    def __init__(self, options: WebhookOptions, context: HookContext) -> None:
        self._options = options
        self._context = context

    async def apply(self, context: EffectContext) -> Effect:
        """Send it: 2xx is done, a definite refusal refused; what may have arrived is uncertain."""
        options = self._options
        body = json.dumps(describe(context)).encode()
        try:
            answer = await post(
                options.url.reveal(),
                body=body,
                headers=write_headers(
                    options,
                    id=context.step_key,
                    body=body,
                    user_agent=self._context.user_agent,
                    now=self._context.clock(),
                ),
                timeout=options.timeout,
                method=options.method,
            )
        except NoAnswer as error:
            sent = error.why not in _NOT_SENT
            return Effect(
                outcome=EffectOutcome.UNCERTAIN if sent else EffectOutcome.NOTHING_APPLIED,
                detail=str(error) if sent else f"{error}, so nothing was sent",
            )

        return Effect(
            outcome=_read_outcome(answer.status),
            detail=f"answered {answer.status}",
            output=bound(self._mask(answer.text)),
        )

    async def examine(self) -> str:
        """Connect, and send nothing."""
        return await reach(self._options.url.reveal(), timeout=self._options.timeout)

    async def close(self) -> None:
        """Hold nothing between requests."""

    def _mask(self, text: str) -> str:
        own = self._options.own_secrets
        echoed = [Secret(part) for one in own for part in list_spellings(one.current)]

        return self._context.hide(text, [*own, *echoed])


def _read_outcome(status: int) -> EffectOutcome:
    if 200 <= status < 300:
        return EffectOutcome.DONE
    if 400 <= status < 500 and status not in _MAY_HAVE_HAPPENED:
        return EffectOutcome.REFUSED

    return EffectOutcome.UNCERTAIN


KIND: Final = Kind(options=WebhookOptions, make=WebhookHook)
