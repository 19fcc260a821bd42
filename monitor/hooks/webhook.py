"""The hook kind `webhook`: its options; one signed HTTP request carries out a step."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from monitor.core.model.rollback import Effect, EffectOutcome
from monitor.core.outbox import Why
from monitor.fields import Duration, Kind, Options, SecretText
from monitor.hooks.hook import bound, describe
from monitor.options import parse_duration
from monitor.outbound import NoAnswer, is_usable, post

if TYPE_CHECKING:
    from datetime import timedelta

    from monitor.core.model.rollback import EffectContext
    from monitor.hooks.hook import HookContext
    from monitor.options import Secret

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SET_BY_US: Final = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "transfer-encoding",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
_MAY_HAVE_HAPPENED: Final = frozenset({408, 409, 425, 429})
"""Of 4xx, the ones that are no definite refusal."""

_ENCODED: Final = "whsec_"
_NOT_SENT: Final = frozenset({Why.UNREACHABLE, Why.TLS, Why.MISCONFIGURED})
"""Troubles in which the receiver cannot have taken the request: that much is certain."""


def _read_method(method: str) -> str:
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"expected a method such as POST or DELETE, found {method!r}")

    return method.upper()


def _read_url(secret: Secret) -> Secret:
    if not is_usable(secret.reveal()):
        raise ValueError("expected a URL such as https://ops.example/rollback")

    return secret


def _read_header(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"expected a header name such as Authorization, found {name!r}")
    if name.lower() in _SET_BY_US:
        raise ValueError(f"{name} is set by the monitor itself; remove it")

    return name


def _read_value(secret: Secret) -> Secret:
    if re.search(r"[\r\n\0]", secret.reveal()):
        raise ValueError("expected one line of text, found a line break")

    return secret


def _read_key(secret: Secret) -> Secret:
    signing_key(secret.reveal())

    return secret


def _read_timeout(timeout: timedelta) -> timedelta:
    if not timeout:
        raise ValueError("expected a timeout above 0")

    return timeout


class WebhookOptions(Options):
    """A request to send: the body is the JSON that a command gets on standard input.

    `secret` signs it as Standard Webhooks do; one that starts with `whsec_` is base64 behind that.
    `idempotent` promises that the receiver does nothing more when it gets one `webhook-id` twice.
    """

    url: Annotated[SecretText, AfterValidator(_read_url)]
    method: Annotated[str, AfterValidator(_read_method)] = "POST"
    headers: dict[
        Annotated[str, AfterValidator(_read_header)],
        Annotated[SecretText, AfterValidator(_read_value)],
    ] = Field(default_factory=dict)
    secret: Annotated[SecretText, AfterValidator(_read_key)] | None = None
    timeout: Annotated[Duration, AfterValidator(_read_timeout)] = parse_duration("30s")
    idempotent: bool = False

    @model_validator(mode="after")
    def _check_repeats(self) -> Self:
        names = [name.lower() for name in self.headers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"header {name} is given twice; names ignore case")

        return self


def signing_key(secret: str) -> bytes:
    """Read a signing secret; raises ValueError if what follows `whsec_` is not base64."""
    if not secret.startswith(_ENCODED):
        return secret.encode()

    try:
        key = base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except binascii.Error as error:
        raise ValueError("expected base64 after whsec_") from error
    if not key:
        raise ValueError("expected base64 after whsec_, found nothing")

    return key


def sign(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """Write the `webhook-signature` of a message."""
    signed = b".".join((id.encode(), timestamp.encode(), body))
    digest = hmac.new(signing_key(secret), signed, hashlib.sha256).digest()

    return f"v1,{base64.b64encode(digest).decode()}"


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
                headers=self._headers(context.step_key, body),
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

    async def close(self) -> None:
        """Hold nothing between requests."""

    def _headers(self, id: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._context.clock().timestamp()))
        headers = {
            "content-type": "application/json",
            "user-agent": self._context.user_agent,
            "webhook-id": id,
            "webhook-timestamp": timestamp,
        }
        if self._options.secret is not None:
            secret = self._options.secret.reveal()
            headers["webhook-signature"] = sign(secret, id, timestamp, body)
        own = {name.lower(): value.reveal() for name, value in self._options.headers.items()}

        return {**headers, **own}

    def _mask(self, text: str) -> str:
        options = self._options
        own = [options.url, *options.headers.values()]

        return self._context.hide(text, [*own, options.secret] if options.secret else own)


def _read_outcome(status: int) -> EffectOutcome:
    if 200 <= status < 300:
        return EffectOutcome.DONE
    if 400 <= status < 500 and status not in _MAY_HAVE_HAPPENED:
        return EffectOutcome.REFUSED

    return EffectOutcome.UNCERTAIN


KIND: Final = Kind(options=WebhookOptions, make=WebhookHook)
