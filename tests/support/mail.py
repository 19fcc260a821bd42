"""Servers on loopback in whose protocols TLS begins late: a real one for SMTP, scripts besides."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import SMTP as SMTP_POLICY
from typing import TYPE_CHECKING, Any

from tests.support.servers import serve_script

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from email.message import EmailMessage

    from tests.support.servers import Counterpart, Script


@asynccontextmanager
async def serve_smtp(tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Run aiosmtpd, which offers STARTTLS where it has a context; gives its port."""
    from aiosmtpd.handlers import Sink

    async with _serve(Sink(), tls=tls) as port:
        yield port


@asynccontextmanager
async def _serve(
    handler: object,
    *,
    tls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[int]:
    from aiosmtpd.smtp import SMTP

    loop = asyncio.get_running_loop()
    made: list[SMTP] = []

    def make() -> SMTP:
        one = SMTP(handler, hostname="mail.test", loop=loop, tls_context=tls, **options)
        made.append(one)
        return one

    server = await loop.create_server(make, "127.0.0.1", 0, ssl=implicit)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in made:
            if isinstance(one.transport, asyncio.WriteTransport):
                one.transport.abort()
        await server.wait_closed()
        tasks = [task for one in made if (task := one._handler_coroutine) is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


MAILBOX_USER = "monitor"
MAILBOX_PASSWORD = "canary-pass-7d81"


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One message that was taken, and for whom."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    user: str | None

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=SMTP_POLICY)

    @property
    def text(self) -> str:
        """Give the body as people read it."""
        text: str = self.message.get_content()

        return text.replace("\r\n", "\n")


@dataclass
class Mailbox:
    """What came, and how it behaves: answers by recipient, and one to each next message.

    `then` of a message may be an answer, `drop` (it was taken, and nobody says so) or `hang`.
    """

    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    then: deque[str] = field(default_factory=deque)
    hello: str = ""

    async def handle_EHLO(  # noqa: N802 - as the server calls it
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.hello = session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802 - as the server calls it
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]

        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - as the server calls it
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        then = self.then.popleft() if self.then else "250 OK"
        if then == "hang":
            await asyncio.Event().wait()
        if then[0] in "2d":
            self.mails.append(
                Mail(
                    sender=envelope.mail_from,
                    recipients=tuple(envelope.rcpt_tos),
                    raw=envelope.content,
                    user=session.auth_data,
                )
            )
        if then == "drop":
            server.transport.abort()

        return then


@asynccontextmanager
async def serve_mailbox(
    *,
    tls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    login: bool = False,
) -> AsyncIterator[Mailbox]:
    """Run aiosmtpd with a mailbox; it wants STARTTLS where it has a context, and a login if so."""
    from aiosmtpd.smtp import AuthResult, LoginPassword

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> Any:
        right = (
            isinstance(data, LoginPassword)
            and data.login == MAILBOX_USER.encode()
            and data.password == MAILBOX_PASSWORD.encode()
        )
        return AuthResult(success=right, handled=False, auth_data=MAILBOX_USER if right else None)

    mailbox = Mailbox()
    options: dict[str, Any] = {"authenticator": check, "auth_required": True} if login else {}
    if implicit is not None:  # of which the server itself knows nothing
        options |= {"auth_required": False, "auth_require_tls": False}
    async with _serve(
        mailbox, tls=tls, implicit=implicit, require_starttls=tls is not None, **options
    ) as port:
        mailbox.port = port
        yield mailbox


@dataclass
class Spoken:
    """What a scripted server heard, line by line."""

    lines: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def serve_lines(
    *turns: tuple[str, str], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Counterpart, Spoken]]:
    """Say each text once a line that begins with the word before it was heard.

    Without a word it is said at once; where it ends with `<TLS>`, TLS follows.
    """
    spoken = Spoken()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for wanted, text in turns:
            if wanted:
                line = await reader.readuntil(b"\n")
                spoken.lines.append(line.rstrip())
                if not line.startswith(wanted.encode()):
                    writer.write(b"500 what?\r\n")
                    return
            writer.write(text.removesuffix("<TLS>").encode())
            await writer.drain()
            if text.endswith("<TLS>"):
                assert tls is not None
                await writer.start_tls(tls)
        while line := await reader.readline():
            spoken.lines.append(line.rstrip())

    async with serve_script(script, reads_head=False) as server:
        yield server, spoken


def drips(text: bytes, *, seconds: float) -> Script:
    """Say one byte after the other."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(len(text)):
            writer.write(text[number : number + 1])
            await writer.drain()
            await asyncio.sleep(seconds)

    return script


def floods(chunk: bytes) -> Script:
    """Say the same for ever."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(chunk)
            await writer.drain()

    return script
