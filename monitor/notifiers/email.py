"""The notifier kind `email`: its options; one message a notice, by SMTP with TLS."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections import OrderedDict
from dataclasses import replace
from email.utils import parseaddr
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from monitor.core.model.notice import Delivered, TryAgain
from monitor.core.outbox import Why
from monitor.examination import Unfit
from monitor.fields import Kind, Options
from monitor.logs import Log
from monitor.notifiers._answers import make_mask
from monitor.notifiers._email_message import write_id, write_mail
from monitor.notifiers._email_session import Refusal, Server, Session, explain, open_session
from monitor.notifiers._fields import LONGEST_TIMEOUT, Timeout
from monitor.notifiers._trust import CaFile, make_trust
from monitor.notifiers.notifier import Manner
from monitor.options import Secret, format_address, is_loopback
from monitor.webhooks import SecretLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers.notifier import NotifierContext

_log = Log()

_ADDRESS: Final = re.compile(r"[!-?A-~]{1,64}@[0-9A-Za-z](?:[0-9A-Za-z.-]{0,252}[0-9A-Za-z])?")
_FORBIDDEN: Final = re.compile(r'[\x00-\x20\x7f()<>,;:\\"\[\]]')
_HOST: Final = re.compile(r"[0-9A-Za-z:._-]{1,253}")
_PORTS: Final = {"starttls": 587, "implicit": 465, "none": 25}
_REMEMBERED: Final = 100


def _read_address(text: str) -> str:
    name, address = parseaddr(text)
    if (
        not name.isprintable()
        or not text.isprintable()
        or not _ADDRESS.fullmatch(address)
        or _FORBIDDEN.search(address)
    ):
        raise ValueError(f"expected an address such as on-call@shop.example, found {text!r:.80}")

    return text


def _read_host(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise ValueError(f"expected a host such as mail.shop.example, found {host!r:.80}")

    return host


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


MailAddress = Annotated[str, AfterValidator(_read_address)]
Recipients = Annotated[
    list[MailAddress],
    BeforeValidator(_as_list),
    Field(min_length=1, max_length=50),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 50},
            ]
        }
    ),
]


class EmailOptions(Options):
    """The server that takes the mail, who it is from and to whom it goes.

    `tls: starttls` demands that TLS begins before anything else is said, `implicit` has it from
    the start; with `none` nothing is encrypted, so that a password is only sent to this machine.
    `helo_name` is how we call ourselves where the name of this machine will not do.
    """

    host: Annotated[str, AfterValidator(_read_host)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: CaFile | None = None
    username: Annotated[str, Field(min_length=1)] | None = None
    password: SecretLine | None = None
    from_: MailAddress = Field(alias="from")
    to: Recipients
    helo_name: Annotated[str, AfterValidator(_read_host)] | None = None
    timeout: Timeout = LONGEST_TIMEOUT  # many servers let strangers wait before they greet them

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if (self.username is None) != (self.password is None):
            given = "username" if self.password is None else "password"
            raise ValueError(f"expected username and password together, found {given} alone")
        if self.password is not None and self.tls == "none" and not is_loopback(self.host):
            raise ValueError("a password is not sent without TLS; remove it or `tls: none`")

        return self


class EmailNotifier:
    """Sends a message to everybody in `to`; those of one incident are one thread.

    A repeat has the same Message-ID. Who refused it for good is told of in the log, as long as
    somebody took it; who could not take it yet gets it with the next attempt, and nobody twice.
    """

    def __init__(self, options: EmailOptions, context: NotifierContext) -> None:
        # Loaded here rather than at the first alert: it takes the loop some time.
        import aiosmtplib  # noqa: F401 - only to have it

        self.manner = Manner(digests=True)
        self._options = options
        self._context = context
        self._server = Server(
            host=options.host,
            port=options.port or _PORTS[options.tls],
            tls=options.tls,
            trust=make_trust(options.ca_file),
            helo_name=options.helo_name or "",
        )
        self._sender = parseaddr(options.from_)[1]
        self._recipients = tuple(dict.fromkeys(parseaddr(one)[1] for one in options.to))
        self._taken: OrderedDict[str, set[str]] = OrderedDict()

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Send it to all who do not have it yet: 4xx is tried again, 5xx is refused."""
        options = self._options
        own = write_id(delivery.key, self._sender)
        first = earlier.reference or (
            write_id(earlier.digest, self._sender) if earlier.digest else None
        )
        mail = write_mail(
            delivery,
            id=own,
            first=first,
            sender=options.from_,
            recipients=options.to,
            now=self._context.clock(),
        )
        receipt = await self._send(delivery, mail)
        if isinstance(receipt, Delivered):
            reference = earlier.reference or (None if earlier.digest else own)
            return Delivered(reference=reference)

        return replace(receipt, error=self._hide(receipt.error))

    async def examine(self) -> str:
        """Go as far as a message would, and send none."""
        server = self._server
        peer = format_address(server.host, server.port)
        session: Session | None = None
        try:
            async with asyncio.timeout(self._options.timeout.total_seconds()):
                session = await open_session(server)
                await self._log_in(session)
        except TimeoutError as error:
            raise Unfit(f"{peer} did not answer in time") from error
        except Exception as error:
            raise Unfit(self._hide(f"{peer}: {explain(error).error}")) from error
        finally:
            if session is not None:
                await session.end()

        how = session.version or "no TLS"
        login = "" if self._options.username is None else ", the login is taken"

        return f"{peer} takes mail with {how}{login}; nothing was sent"

    async def close(self) -> None:
        """Hold nothing between messages."""

    async def _send(self, delivery: Delivery, mail: bytes) -> Receipt:
        taken = self._taken.get(delivery.key, set())
        left = [one for one in self._recipients if one not in taken]
        session: Session | None = None
        try:
            async with asyncio.timeout(self._options.timeout.total_seconds()):
                session = await open_session(self._server)
                await self._log_in(session)
                refusals = await session.send(self._sender, left, mail)
        except TimeoutError:
            return TryAgain(reason=Why.TIMEOUT, error="no complete answer in time")
        except Exception as error:  # noqa: BLE001 - around a delivery: what it means is in one place
            return explain(error)
        finally:
            if session is not None:
                await session.end()

        return self._settle(delivery, left, refusals)

    def _settle(
        self, delivery: Delivery, asked: Sequence[str], refusals: Sequence[Refusal]
    ) -> Receipt:
        """Say what it means that some have it: who was put off gets it again, alone."""
        for one in refusals:
            _log.warning(
                "email_recipient_refused",
                incident=delivery.notice.incident,
                recipient=one.recipient,
                error=self._hide(one.said),
            )
        put_off = [one for one in refusals if one.may_pass]
        if not put_off:
            self._taken.pop(delivery.key, None)
            return Delivered()

        refused = {one.recipient for one in put_off}
        self._taken.setdefault(delivery.key, set()).update(set(asked) - refused)
        while len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)
        said = "; ".join(f"{one.recipient}: {one.said}" for one in put_off)

        return TryAgain(reason=Why.SERVER_ERROR, error=f"not taken yet for {said}"[:300])

    async def _log_in(self, session: Session) -> None:
        options = self._options
        if options.username is not None and options.password is not None:
            await session.log_in(options.username, options.password.reveal())

    def _hide(self, text: str) -> str:
        """Mask the password, also as it goes over the wire."""
        options = self._options
        if options.password is None:
            return self._context.mask(text)

        name, password = options.username or "", options.password.current
        pairs = (password, f"\0{name}\0{password}")
        written = [Secret(b64encode(one.encode()).decode()) for one in pairs]

        return make_mask(self._context.mask, [options.password, *written])(text)


KIND: Final = Kind(options=EmailOptions, make=EmailNotifier)
