"""The proxy over which a target is asked: where it is, who we are to it, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import AfterValidator
from yarl import URL

from monitor.core.model.observation import Code, Fault
from monitor.fields import SecretText
from monitor.options import Secret, format_address
from monitor.probes._http.auth import encode_pair

_EXPECTED: Final = "expected a proxy such as http://proxy.example:3128"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy that speaks plain HTTP; `authorization` is what it is told of us."""

    host: str
    named: str
    port: int
    authorization: str = field(default="", repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return f"the proxy {format_address(self.named, self.port)}"


def read_proxy(text: str) -> Proxy:
    """Read `http://user:password@host:port`; raises ValueError that shows no password."""
    if re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError(f"{_EXPECTED}, found white space in it")
    try:
        url = URL(text)
        host = url.raw_host
    except ValueError as error:
        raise ValueError(f"{_EXPECTED}, found what is no URL") from error

    if url.scheme == "https":
        raise ValueError("a proxy is spoken to over plain HTTP: expected http://, found https://")
    if url.scheme != "http" or not host:
        raise ValueError(_EXPECTED)
    if url.raw_path not in ("", "/") or url.raw_query_string or url.raw_fragment:
        raise ValueError(f"{_EXPECTED}, found more after the port")
    if not url.port:
        raise ValueError("expected a port of 1 to 65535, found 0")

    pair = ""
    if url.raw_user or url.raw_password:
        pair = encode_pair(url.user or "", url.password or "")

    return Proxy(
        host=host,
        named=url.host or host,
        port=url.port,
        authorization=f"Basic {pair}" if pair else "",
        secrets=tuple(secret for secret in (url.password, pair) if secret),
    )


def _check_proxy(secret: Secret) -> Secret:
    read_proxy(secret.current)

    return secret


ProxyUrl = Annotated[SecretText, AfterValidator(_check_proxy)]
"""The URL of a proxy; secret as a whole, since it may hold a password."""


def explain_lost_proxy(fault: Fault, proxy: Proxy) -> Fault:
    """Say that a proxy could not be reached: nobody asked the target, so it is no fault of it."""
    if fault.own:
        return fault

    return _ours(f"{proxy} cannot be used: {fault.message}")


def explain_refusal(status: int, reason: str, proxy: Proxy, peer: str) -> Fault:
    """Say that a proxy made no way to the target.

    That it could not reach it, it says of the target; what it does not let us do is our own affair.
    """
    said = f"{status} {reason}".strip()
    if status == 407:
        return explain_demand(proxy, said)
    if 500 <= status < 600:
        code = Code.TIMEOUT if status == 504 else Code.CONNECTION_REFUSED
        message = f"{proxy} could not reach {peer}: it answers {said}"
        return Fault(code=code, message=message)

    return _ours(f"{proxy} does not connect to {peer}: it answers {said}")


def explain_demand(proxy: Proxy, said: str = "407") -> Fault:
    """Say that a proxy does not know us."""
    known = "does not accept our credentials" if proxy.authorization else "wants credentials"

    return _ours(f"{proxy} {known}: it answers {said}")


def explain_broken_proxy(proxy: Proxy, peer: str, why: str) -> Fault:
    """Say that a proxy answered what is no answer, or ended in the middle of it."""
    return _ours(f"{proxy} did not connect to {peer}: {why}")


def _ours(message: str) -> Fault:
    return Fault(code=Code.INTERNAL, message=message, own=True)
