"""Outgoing webhooks as Standard Webhooks has them: where to, with which headers, and signed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from monitor.fields import Options, SecretText, suggest_braces
from monitor.outbound import is_usable

if TYPE_CHECKING:
    from datetime import datetime

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


def read_method(method: str) -> str:
    """Read a method in any case; raises ValueError for what is none."""
    if not _NAME.fullmatch(method):
        raise ValueError(f"expected a method such as POST or DELETE, found {method!r}")

    return method.upper()


def _read_url(secret: Secret) -> Secret:
    url = secret.reveal()
    if not is_usable(url):
        raise ValueError(f"expected a URL such as https://ops.example/hook{suggest_braces(url)}")

    return secret


def _read_line(secret: Secret) -> Secret:
    if re.search(r"[\x00-\x1f\x7f]", secret.reveal()):
        raise ValueError("expected one line of text, found a control character")

    return secret


def _read_header(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a header name such as Authorization, found {name!r}")
    if name.lower() in _SET_BY_US:
        raise ValueError(f"{name} is set by the monitor itself; remove it")

    return name


def _read_key(secret: Secret) -> Secret:
    signing_key(secret.reveal())

    return secret


SecretUrl = Annotated[SecretText, AfterValidator(_read_url)]
SecretLine = Annotated[SecretText, AfterValidator(_read_line)]
Headers = dict[Annotated[str, AfterValidator(_read_header)], SecretLine]


class WebhookTarget(Options):
    """Where JSON is sent, with which headers of its own.

    `secret` signs it; one that starts with `whsec_` is base64 behind that.
    """

    url: SecretUrl
    method: Annotated[str, AfterValidator(read_method)] = "POST"
    headers: Headers = Field(default_factory=dict)
    secret: Annotated[SecretLine, AfterValidator(_read_key)] | None = None

    @model_validator(mode="after")
    def _check_repeats(self) -> Self:
        names = [name.lower() for name in self.headers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"header {name} is given twice; names ignore case")

        return self

    @property
    def own_secrets(self) -> tuple[Secret, ...]:
        """What must never be shown of it."""
        own = (self.url, *self.headers.values())

        return own if self.secret is None else (*own, self.secret)


def write_headers(
    target: WebhookTarget, *, id: str, body: bytes, user_agent: str, now: datetime
) -> dict[str, str]:
    """Write the header lines of one message; `id` is the same on each attempt.

    https://www.standardwebhooks.com describes `webhook-id`, `-timestamp` and `-signature`.
    """
    timestamp = str(int(now.timestamp()))
    headers = {
        "content-type": "application/json",
        "user-agent": user_agent,
        "webhook-id": id,
        "webhook-timestamp": timestamp,
    }
    if target.secret is not None:
        headers["webhook-signature"] = sign(target.secret.reveal(), id, timestamp, body)
    own = {name.lower(): value.reveal() for name, value in target.headers.items()}

    return {**headers, **own}


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
    """Write the `webhook-signature` of a message: HMAC-SHA256 over `id.timestamp.body`."""
    signed = b".".join((id.encode(), timestamp.encode(), body))
    digest = hmac.new(signing_key(secret), signed, hashlib.sha256).digest()

    return f"v1,{base64.b64encode(digest).decode()}"
