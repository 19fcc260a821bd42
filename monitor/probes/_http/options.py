"""What the configuration says of an HTTP endpoint: where it is, what is sent, what is shown."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from yarl import URL

from monitor.fields import Options, SecretText, Size
from monitor.options import Secret, is_loopback
from monitor.probes._http.urls import SECRET_NAME, read_url, show_url
from monitor.probes._net.options import FilePath, IpChoice, IpChoiceName, NameserverText, TlsOptions

BREAKS_A_LINE: Final = re.compile(r"[\r\n\0]")
"""What no header value may hold."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SET_BY_US: Final = frozenset({"content-length", "transfer-encoding", "connection"})
_SHORTEST_CREDENTIAL: Final = 8
"""Shorter parts of a header value are words such as `Bearer`, which would be masked everywhere."""
_CARRIES_SECRETS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})


def _read_header_value(value: object) -> Secret:
    live = getattr(value, "secret", value)  # text from a file that is read again carries it
    if isinstance(live, Secret):
        _check_header_value(live.reveal())
        return live
    if not isinstance(value, str):
        # pydantic turns a ValueError into a message with a place, and lets a TypeError through
        raise ValueError(f"expected a string, found {value!r}; quote it")
    _check_header_value(value)

    return Secret(value)


def _check_header_value(value: str) -> None:
    if BREAKS_A_LINE.search(value):
        raise ValueError("expected one line of text, found a line break")

    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("expected text, found a lone surrogate") from error


def _read_text(value: object) -> str:
    """Take text as it is: text from a file that is read again must stay what it is."""
    if not isinstance(value, str):
        raise ValueError(f"expected a string, found {value!r}; quote it")

    return value


def _read_header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"expected a header name such as accept-language, found {name!r}")
    if name.lower() in _SET_BY_US:
        raise ValueError(f"{name} is set by the monitor itself; remove it")

    return name


def _read_method(value: object) -> object:
    if isinstance(value, str) and not _TOKEN.fullmatch(value):
        raise ValueError(f"expected a method such as GET or POST, found {value!r}")

    return value.upper() if isinstance(value, str) else value


Text = Annotated[str, PlainValidator(_read_text), WithJsonSchema({"type": "string"})]
HeaderName = Annotated[str, AfterValidator(_read_header_name)]
HeaderValue = Annotated[
    Secret, PlainValidator(_read_header_value), WithJsonSchema({"type": "string"})
]


class BasicAuth(Options):
    """A user name and a password, sent with the first request."""

    username: str
    password: SecretText

    @field_validator("username")
    @classmethod
    def _check_username(cls, username: str) -> str:
        if ":" in username:
            raise ValueError("a user name of basic authentication cannot contain a colon")

        return username


class AuthOptions(Options):
    """Who we say we are: exactly one of `basic` and `bearer`."""

    basic: BasicAuth | None = None
    bearer: SecretText | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.basic is None) == (self.bearer is None):
            raise ValueError("expected exactly one of basic, bearer")

        return self


class RequestOptions(Options):
    """What is sent, how far redirects are followed, and how much of the body is read.

    `body_file` is read for each request. `body_limit` counts decoded bytes. `ip` is the family of
    addresses that is used, `resolver` a DNS server that is asked instead of the system's.
    """

    method: Annotated[str, BeforeValidator(_read_method)] = "GET"
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    body: Text | None = Field(default=None, repr=False)
    body_file: FilePath | None = None
    # Any: a JSON document of the user's, which is only passed on
    payload: Any = Field(default=None, alias="json", repr=False)
    form: dict[str, Text] | None = Field(default=None, repr=False)
    auth: AuthOptions | None = None
    follow_redirects: bool = True
    max_redirects: Annotated[int, Field(ge=0, le=50)] = 10
    body_limit: Size = 1024 * 1024
    tls: TlsOptions = Field(default_factory=TlsOptions)
    ip: IpChoiceName = IpChoice.ANY
    resolver: NameserverText | None = None

    @property
    def has_payload(self) -> bool:
        """Whether `json` is given; `json: null` is."""
        return "payload" in self.model_fields_set

    @field_validator("headers")
    @classmethod
    def _check_repeats(cls, headers: dict[str, Secret]) -> dict[str, Secret]:
        seen: set[str] = set()
        for name in headers:
            if name.lower() in seen:
                raise ValueError(f"header {name} is given twice; names ignore case")
            seen.add(name.lower())

        return headers

    @model_validator(mode="after")
    def _check_one_body(self) -> Self:
        given = [
            name
            for name, present in (
                ("body", self.body is not None),
                ("body_file", self.body_file is not None),
                ("json", self.has_payload),
                ("form", self.form is not None),
            )
            if present
        ]
        if len(given) > 1:
            found = " and ".join(given)
            raise ValueError(f"expected at most one of body, body_file, json, form, found {found}")

        return self

    @model_validator(mode="after")
    def _check_one_authorization(self) -> Self:
        if self.auth and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("expected either auth or a header Authorization, found both")

        return self


_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, 9.2.1
_PLAIN: Final = RequestOptions()


class HttpOptions(Options):
    """An endpoint that is asked over HTTP: `url`, and `request` for all but a plain GET."""

    url: str = Field(repr=False)
    request: RequestOptions = Field(default_factory=lambda: _PLAIN)

    @field_validator("url", mode="before")
    @classmethod
    def _check_url(cls, value: object) -> str:
        return read_url(value)

    @cached_property
    def target(self) -> str:
        """The URL as it may be shown: without user, password, fragment and secret parameters."""
        return show_url(URL(self.url))

    @cached_property
    def may_end_at_https(self) -> bool:
        """Whether the final answer can come over TLS: a redirect may lead there."""
        return self.request.follow_redirects or URL(self.url).scheme == "https"

    @cached_property
    def may_redirect_to_https(self) -> bool:
        """Whether a way from plain HTTP to HTTPS can be seen."""
        return self.request.follow_redirects and URL(self.url).scheme == "http"

    @cached_property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it: not for loopback."""
        return not is_loopback(URL(self.url).host or "")

    @cached_property
    def harmless(self) -> bool:
        """Whether asking changes nothing there, as far as its method says."""
        return self.request.method in _SAFE

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown, for a redactor."""
        url = URL(self.url)
        found = [url.password or ""]
        found += [
            value
            for name, value in url.query.items()
            if SECRET_NAME.search(name) and len(value) >= _SHORTEST_CREDENTIAL
        ]
        auth = self.request.auth
        if auth and auth.basic:
            found.append(auth.basic.password.reveal())
        if auth and auth.bearer:
            found.append(auth.bearer.reveal())
        for name, value in self.request.headers.items():
            if name.lower() in _CARRIES_SECRETS or SECRET_NAME.search(name):
                found += [value.reveal(), *_credentials_in(value.reveal())]

        return tuple(secret for secret in found if secret)


def _credentials_in(value: str) -> list[str]:
    """Give the secret parts of a header value: a target may echo `t0ken` of `Bearer t0ken`."""
    words = re.split(r"[\s;,]+", value)
    words += [word.partition("=")[2] for word in words]  # the values of cookies

    return [word for word in words if len(word) >= _SHORTEST_CREDENTIAL]
