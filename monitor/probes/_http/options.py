"""What the configuration says of an HTTP endpoint: where it is, what is sent, what is shown."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import Field, field_validator, model_validator
from yarl import URL

from monitor.fields import Options, Size
from monitor.options import is_loopback
from monitor.probes._http.auth import AuthOptions
from monitor.probes._http.compression import Compression, CompressionName, accepts
from monitor.probes._http.fields import HeaderName, HeaderValue, Method, Text
from monitor.probes._http.proxy import ProxyUrl, read_proxy
from monitor.probes._http.urls import (
    SECRET_NAME,
    SHORTEST_CREDENTIAL,
    read_url,
    secrets_of_url,
    show_url,
)
from monitor.probes._net.options import FilePath, IpChoice, IpChoiceName, NameserverText, TlsOptions
from monitor.probes.kind import ProbeOptions

if TYPE_CHECKING:
    from monitor.options import Secret

_LARGEST_BURST: Final = 128 * 1024**2
_CARRIES_SECRETS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})


class RequestOptions(Options):
    """What is sent, how far redirects are followed, and how much of the body is read.

    `body_file` is read for each request. `body_limit` counts decoded bytes. `ip` is the family of
    addresses that is used, `resolver` a DNS server that is asked instead of the system's; both are
    about the `proxy`, where there is one. `burst` is how many requests are sent at once.
    """

    method: Method = "GET"
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
    proxy: ProxyUrl | None = None
    compression: CompressionName = Compression.ANY
    burst: Annotated[int, Field(ge=2, le=100)] | None = None

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

    @model_validator(mode="after")
    def _check_proxy(self) -> Self:
        if self.proxy and any(name.lower() == "proxy-authorization" for name in self.headers):
            raise ValueError(
                "a header Proxy-Authorization is sent to the target; what the proxy is to know "
                "of us stands in its URL: http://user:password@host:port"
            )

        return self

    @model_validator(mode="after")
    def _check_accepted(self) -> Self:
        """Refuse to demand a compression that our own header does not accept."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        accepted = headers.get("accept-encoding")
        if accepted is None or accepts(accepted.current, self.compression):
            return self

        raise ValueError(
            f"compression {self.compression} is demanded, but the header Accept-Encoding "
            "does not accept it"
        )

    @model_validator(mode="after")
    def _check_burst(self) -> Self:
        if self.burst is not None and self.burst * self.body_limit > _LARGEST_BURST:
            raise ValueError(
                f"{self.burst} answers at once of up to {self.body_limit} bytes each are more than "
                f"{_LARGEST_BURST // 1024**2} MiB; lower body_limit or burst"
            )

        return self


_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, 9.2.1
_PLAIN: Final = RequestOptions()


class HttpOptions(ProbeOptions):
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
    def shows_certificate(self) -> bool:
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
        """Whether asking changes nothing there, as far as its method says, and costs little."""
        return self.request.method in _SAFE and self.request.burst is None

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """The values that must never be shown, for a redactor."""
        found = secrets_of_url(URL(self.url))
        if self.request.auth:
            found += self.request.auth.secrets
        if self.request.proxy:
            found += self.request.proxy.parts(_secrets_of_proxy)
        for name, value in self.request.headers.items():
            if name.lower() in _CARRIES_SECRETS or SECRET_NAME.search(name):
                found += [value, *value.parts(_credentials_in)]

        return tuple(secret for secret in found if secret.live or secret.current)


def _secrets_of_proxy(url: str) -> tuple[str, ...]:
    return read_proxy(url).secrets


def _credentials_in(value: str) -> list[str]:
    """Give the secret parts of a header value: a target may echo `t0ken` of `Bearer t0ken`."""
    words = re.split(r"[\s;,]+", value)
    words += [word.partition("=")[2] for word in words]  # the values of cookies

    return [word for word in words if len(word) >= SHORTEST_CREDENTIAL]
