"""One conversation with a mail server by aiosmtplib, and what its answers mean for a notice."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitor.core.model.notice import Refused, TryAgain
from monitor.core.outbox import Why
from monitor.outbound import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import aiosmtplib

_FAREWELL: Final = 1.0
_LONGEST_SAID: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where mail is handed in; `tls` is `starttls`, `implicit` or `none`."""

    host: str
    port: int
    tls: str
    trust: Callable[[], ssl.SSLContext]
    helo_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One recipient for whom the server did not take the message; it `may_pass`."""

    recipient: str
    said: str
    may_pass: bool


class NoStarttls(Exception):
    """The server does not offer what is demanded: nothing is said in the clear."""


class Session:
    """A conversation that got as far as its greeting, encrypted where that is demanded."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client
        self._transport = client.transport
        self._listens = True
        with_tls: ssl.SSLObject | None = client.get_transport_info("ssl_object")
        self.version = with_tls.version() if with_tls is not None else None

    async def log_in(self, username: str, password: str) -> None:
        """Log in by what both sides know."""
        async with self._speaking():
            await self._client.login(username, password)

    async def send(self, sender: str, recipients: Sequence[str], mail: bytes) -> list[Refusal]:
        """Hand a message in; give who did not get it. It raises where nobody got it."""
        async with self._speaking():
            refused, _ = await self._client.sendmail(sender, list(recipients), mail)

        return [
            Refusal(
                recipient=recipient,
                said=_say(answer.code, answer.message),
                may_pass=400 <= answer.code < 500,
            )
            for recipient, answer in refused.items()
        ]

    async def end(self) -> None:
        """Say goodbye to whoever was not cut short, and wait for no answer for long."""
        if self._listens and self._client.is_connected:
            with suppress(Exception):
                async with asyncio.timeout(_FAREWELL):
                    await self._client.quit()
        self._client.close()
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()

    @asynccontextmanager
    async def _speaking(self) -> AsyncIterator[None]:
        """Remember whether the answer to what is said was waited for, whatever it was."""
        self._listens = False
        try:
            yield
        except Exception:
            self._listens = True
            raise
        self._listens = True


async def open_session(server: Server) -> Session:
    """Connect and, where that is demanded, begin TLS; the caller sees to the time it takes.

    Raises whatever `explain` explains.
    """
    import aiosmtplib

    sock = await connect(server.host, server.port)
    client = aiosmtplib.SMTP(
        hostname=server.host,
        sock=sock,
        local_hostname=server.helo_name or _call_ourselves(sock),
        use_tls=server.tls == "implicit",
        start_tls=False,
        tls_context=None if server.tls == "none" else server.trust(),
        timeout=None,
    )
    try:
        await client.connect()
        if server.tls == "starttls":
            await client.ehlo()
            if not client.supports_extension("starttls"):
                raise NoStarttls
            await client.starttls()
            await client.ehlo()
    except BaseException:
        client.close()
        sock.close()
        raise

    return Session(client)


def _call_ourselves(sock: socket.socket) -> str:
    """Give the name of this machine where it is one, else its address as the protocol has it."""
    name = socket.gethostname()
    if "." in name.strip(".") and name.isascii() and name.isprintable() and " " not in name:
        return name

    address = sock.getsockname()[0]

    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def explain(error: Exception) -> TryAgain | Refused:
    """Say what it means that a message was not handed in; what the server says is not masked."""
    import aiosmtplib

    if isinstance(error, aiosmtplib.SMTPConnectError) and isinstance(error.__cause__, OSError):
        error = error.__cause__
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            codes = [one.code for one in error.recipients]
            said = "; ".join(_say(one.code, one.message) for one in error.recipients[:3])
            return _judge(next((code for code in codes if code < 500), codes[0]), said)
        case aiosmtplib.SMTPResponseException():
            return _judge(error.code, _say(error.code, error.message))
        case aiosmtplib.SMTPTimeoutError():
            return TryAgain(reason=Why.TIMEOUT, error="no complete answer in time")
        case NoStarttls():
            return TryAgain(reason=Why.TLS, error="the server offers no STARTTLS")
        case aiosmtplib.SMTPException() if not isinstance(error, OSError):
            return Refused(reason=Why.MISCONFIGURED, error=_short(error.message))
        case OSError() | UnicodeError():
            return _explain_connection(error)
        case _:
            raise error


def _explain_connection(error: Exception) -> TryAgain:
    match error:
        case ssl.SSLCertVerificationError():
            said = f"the certificate is not trusted: {error.verify_message}"
            return TryAgain(reason=Why.TLS, error=said)
        case ssl.SSLError():
            return TryAgain(reason=Why.TLS, error="no TLS session")
        case socket.gaierror() | UnicodeError():
            return TryAgain(reason=Why.UNREACHABLE, error="the name cannot be resolved")
        case OSError() if error.errno and not isinstance(error, ConnectionResetError):
            why = os.strerror(error.errno)
            return TryAgain(reason=Why.UNREACHABLE, error=f"no connection: {why}")
        case ConnectionError():
            return TryAgain(reason=Why.CONNECTION_LOST, error="the connection ended too early")
        case _:
            return TryAgain(reason=Why.MISCONFIGURED, error=_short(str(error)))


def _judge(code: int, said: str) -> TryAgain | Refused:
    if 500 <= code < 600:
        return Refused(reason=Why.REFUSED, error=said)
    if 400 <= code < 500:
        return TryAgain(reason=Why.SERVER_ERROR, error=said)

    return TryAgain(reason=Why.BAD_ANSWER, error=said)


def _say(code: int, message: str) -> str:
    return _short(f"answered {code} {message}")


def _short(text: str) -> str:
    text = " ".join(text.split())

    return text if len(text) <= _LONGEST_SAID else text[: _LONGEST_SAID - 1] + "…"
