"""The options of a WebSocket: where it is, with what it is opened, and what is said over it."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from yarl import URL

from monitor.fields import ShortForm
from monitor.options import found
from monitor.probes._http.auth import AuthOptions
from monitor.probes._http.fields import HeaderName, HeaderValue
from monitor.probes._http.options import HttpOptions, RequestOptions
from monitor.probes._http.urls import read_url
from monitor.probes._net.dial import Way
from monitor.probes._net.dialogue import MOST_STEPS, Script, Step, secrets_of
from monitor.probes._net.options import TlsOptions
from monitor.probes._net.port_options import Reached

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.options import Secret

_SCHEME: Final = re.compile(r"ws(?=s?://)", re.IGNORECASE)
_SET_BY_US: Final = frozenset({"upgrade", "expect"})
_OF_THE_PROTOCOL: Final = "sec-websocket-"
_ALPN: Final = ("http/1.1",)


def _read_own_name(name: str) -> str:
    if name.lower() in _SET_BY_US or name.lower().startswith(_OF_THE_PROTOCOL):
        raise ValueError(f"{name} is set by the monitor itself; remove it")

    return name


def _read_subprotocol(name: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}", name):
        raise ValueError(f"expected a subprotocol such as graphql-ws, found {found(name)}")

    return name


class WebsocketStep(Step):
    """One step: the next message matches, then something is sent.

    With `skip`, messages that do not match may come before.
    """

    skip: bool = False

    @model_validator(mode="after")
    def _check_step(self) -> Self:
        if self.expect is None and self.send is None:
            raise ValueError("expected one of expect, send")
        if self.skip and self.expect is None:
            raise ValueError("skip is about expect: expected it beside it")

        return self


class WebsocketOptions(ShortForm, Reached):
    """A WebSocket; its URL alone may be written in place of the map.

    Of the `subprotocols`, the server has to choose one.
    """

    url: str = Field(repr=False)
    headers: dict[Annotated[HeaderName, AfterValidator(_read_own_name)], HeaderValue] = Field(
        default_factory=dict
    )
    auth: AuthOptions | None = None
    subprotocols: Annotated[
        list[Annotated[str, AfterValidator(_read_subprotocol)]], Field(max_length=20)
    ] = Field(default_factory=list)
    dialogue: Annotated[list[WebsocketStep], Field(max_length=MOST_STEPS)] = Field(
        default_factory=list
    )
    tls: TlsOptions = Field(default_factory=TlsOptions)

    short_form = "url"

    @field_validator("url", mode="before")
    @classmethod
    def _check_url(cls, value: object) -> str:
        if not isinstance(value, str) or not _SCHEME.match(value):
            shown = found(value) if not isinstance(value, str) or "@" not in value else "another"
            raise ValueError(f"expected a URL such as wss://shop.example/live, found {shown}")

        read_url(_SCHEME.sub("http", value, count=1))

        return value

    @field_validator("auth")
    @classmethod
    def _check_auth(cls, auth: AuthOptions | None) -> AuthOptions | None:
        if auth and auth.oauth2:
            raise ValueError("expected exactly one of basic, bearer: oauth2 is for a url")

        return auth

    @model_validator(mode="after")
    def _check_dialogue(self) -> Self:
        script = Script()
        for number, step in enumerate(self.dialogue, 1):
            if step.expect is not None:
                script.expects(step.expect)
            if step.send is not None:
                try:
                    script.check(step.send.reveal())
                except ValueError as error:
                    raise ValueError(f"step {number} of the dialogue: {error}") from error

        return self

    @model_validator(mode="after")
    def _check_handshake(self) -> Self:
        _ = self.handshake

        return self

    @cached_property
    def handshake(self) -> HttpOptions:
        """The request that opens it."""
        more: dict[str, Any] = {"auth": self.auth} if self.auth else {}

        return HttpOptions(
            url=_SCHEME.sub("http", self.url, count=1),
            request=RequestOptions(headers=self.headers, follow_redirects=False, **more),
        )

    @property
    def healthy(self) -> tuple[Mapping[str, object], ...]:
        """What is healthy where nobody wrote anything else."""
        return ({"status": 101},)

    @cached_property
    def secure(self) -> bool:
        """Whether it is spoken over TLS."""
        return URL(self.handshake.url).scheme == "https"

    @cached_property
    def target(self) -> str:
        """The URL as it may be shown."""
        return f"ws{self.handshake.target.removeprefix('http')}"

    @cached_property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it."""
        return self.handshake.witnessed

    @cached_property
    def shows_certificate(self) -> bool:
        """Whether the answer comes over TLS, and with a certificate."""
        return self.secure

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """The values that must never be shown."""
        sent = secrets_of(step.send for step in self.dialogue if step.send)

        return (*self.handshake.secrets, *sent)

    def way(self) -> Way:
        """Give the way there."""
        url = URL(self.handshake.url)

        return Way(
            host=url.host or "",
            port=url.port or 0,
            tls=self.tls.terms(alpn=_ALPN) if self.secure else None,
            server_name=self.tls.server_name,
            ip=self.ip,
            nameserver=self.resolver,
        )
