"""The notifier kind `webhook`: its options; one signed JSON request for each notice."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from monitor.core import wording
from monitor.core.model.notice import Delivered
from monitor.fields import Kind, Options
from monitor.notifiers._answers import in_words, judge, make_mask, no_answer
from monitor.notifiers._fields import TIMEOUT, SecretLine, SecretUrl, Timeout
from monitor.outbound import NoAnswer, post

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.notice import Delivery, Notice, Receipt
    from monitor.notifiers.notifier import NotifierContext
    from monitor.options import Secret

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SET_BY_US: Final = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "transfer-encoding",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
_ENCODED: Final = "whsec_"


def _read_method(method: str) -> str:
    if method.upper() not in ("POST", "PUT", "PATCH"):
        raise ValueError(f"expected POST, PUT or PATCH, found {method!r}")

    return method.upper()


def _read_header(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a header name such as Authorization, found {name!r}")
    if name.lower() in _SET_BY_US:
        raise ValueError(f"{name} is set by the monitor itself; remove it")

    return name


def _read_key(secret: Secret) -> Secret:
    signing_key(secret.reveal())

    return secret


class WebhookOptions(Options):
    """Where notices are posted.

    `secret` signs them as Standard Webhooks do; one that starts with `whsec_` is base64 behind
    that.
    """

    url: SecretUrl
    method: Annotated[str, AfterValidator(_read_method)] = "POST"
    headers: dict[Annotated[str, AfterValidator(_read_header)], SecretLine] = Field(
        default_factory=dict
    )
    secret: Annotated[SecretLine, AfterValidator(_read_key)] | None = None
    timeout: Timeout = TIMEOUT

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


class WebhookNotifier:
    """Posts a notice as JSON; each attempt carries the same idempotency key."""

    def __init__(self, options: WebhookOptions, context: NotifierContext) -> None:
        self._options = options
        self._context = context
        self._mask = make_mask(
            context.mask, [options.url, options.secret, *options.headers.values()]
        )

    async def deliver(self, delivery: Delivery, thread: str | None) -> Receipt:
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

    async def close(self) -> None:
        """Hold nothing between requests."""

    def _headers(self, delivery: Delivery, body: bytes, now: datetime) -> dict[str, str]:
        timestamp = str(int(now.timestamp()))
        headers = {
            "content-type": "application/json",
            "user-agent": self._context.user_agent,
            "idempotency-key": delivery.key,
        }
        if self._options.secret is not None:
            secret = self._options.secret.reveal()
            headers["webhook-id"] = delivery.key
            headers["webhook-timestamp"] = timestamp
            headers["webhook-signature"] = sign(secret, delivery.key, timestamp, body)
        own = {name.lower(): value.reveal() for name, value in self._options.headers.items()}

        return {**headers, **own}


def payload(delivery: Delivery) -> dict[str, Any]:
    """Give what is posted: the four fields of the runbook's monitor first, then all the rest."""
    notice = delivery.notice

    return {
        "text": "\n".join(wording.summary(notice)),
        "timestamp": _iso(notice.at),
        "service": notice.service,
        "environment": notice.environment,
        "event": notice.event.value,
        "incident": notice.incident,
        "class": notice.klass.value,
        "severity": notice.severity.value,
        "phase": notice.phase.value,
        "checks": [
            {
                "check": member.check,
                "severity": member.severity.value,
                "since": _iso(member.since),
                "closed_at": _iso(member.closed_at) if member.closed_at else None,
                "failures": member.failures,
            }
            for member in notice.members
        ],
        "reasons": _reasons(notice),
        "since": _iso(notice.since),
        "resolved_at": _iso(notice.resolved_at) if notice.resolved_at else None,
        "links": {link.name: link.url for link in notice.links},
        "rollback": _rollback(notice),
        "idempotency_key": delivery.key,
        "may_repeat": delivery.maybe_sent,
    }


def _reasons(notice: Notice) -> list[dict[str, str]]:
    return [
        {
            "check": member.check,
            "code": reason.code.value,
            "message": reason.message,
            "expected": reason.expected,
            "found": reason.found,
            "at": reason.at,
        }
        for member in notice.members
        for reason in member.reasons
    ]


def _rollback(notice: Notice) -> dict[str, str | None] | None:
    if notice.rollback is None:
        return None

    return {
        "id": notice.rollback.id,
        "state": notice.rollback.state,
        "from": notice.rollback.from_version,
        "to": notice.rollback.to_version,
        "reason": notice.rollback.reason,
    }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


KIND: Final = Kind(options=WebhookOptions, make=WebhookNotifier)
