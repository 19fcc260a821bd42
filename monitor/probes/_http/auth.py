"""What the configuration says of who we are: a password, a token, or where to get one."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final, Self
from urllib.parse import quote_plus

from pydantic import Field, field_validator, model_validator
from yarl import URL

from monitor.fields import BasicAuth, Options, SecretText
from monitor.options import Secret
from monitor.probes._http.fields import Text
from monitor.probes._http.urls import read_url, secrets_of_url, show_url

_OF_THE_GRANT: Final = frozenset({"grant_type", "client_id", "client_secret", "scope"})


class LatestToken:
    """The token that a server issued last, as something secret that changes while we run."""

    def __init__(self) -> None:
        self._value = ""
        self.server: object = None  # kept for as long as it is configured
        self.secret = Secret("", refresh=lambda: self._value)

    def take(self, token: str) -> None:
        """Use this one from now on; whoever masks the secret learns of it."""
        self._value = token
        self.secret.reveal()


class OAuth2Options(Options):
    """The client credentials grant (RFC 6749, 4.4): whom to ask for a token, and as who.

    The client names itself in a header, or with `in_body` among the parameters of the request, to
    which `endpoint_params` are added as they are.
    """

    token_url: str = Field(repr=False)
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: SecretText
    scopes: list[Annotated[str, Field(pattern=r"^[\x21\x23-\x5B\x5D-\x7E]+$")]] = Field(
        default_factory=list
    )
    endpoint_params: dict[str, Text] = Field(default_factory=dict, repr=False)
    in_body: bool = False

    @field_validator("token_url", mode="before")
    @classmethod
    def _check_url(cls, value: object) -> str:
        return read_url(value)

    @field_validator("endpoint_params")
    @classmethod
    def _check_params(cls, params: dict[str, str]) -> dict[str, str]:
        if ours := sorted(_OF_THE_GRANT & params.keys()):
            raise ValueError(f"{ours[0]} is set by the monitor itself; remove it")

        return params

    @cached_property
    def server(self) -> str:
        """Who issues the tokens, as it may be shown."""
        return show_url(URL(self.token_url))

    @cached_property
    def latest(self) -> LatestToken:
        """The token that is sent; empty until there is one."""
        return LatestToken()


class AuthOptions(Options):
    """Who we say we are: exactly one of `basic`, `bearer` and `oauth2`."""

    basic: BasicAuth | None = None
    bearer: SecretText | None = None
    oauth2: OAuth2Options | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if sum(given is not None for given in (self.basic, self.bearer, self.oauth2)) != 1:
            raise ValueError("expected exactly one of basic, bearer, oauth2")

        return self

    @property
    def given(self) -> tuple[Secret, ...]:
        """What was configured as secret."""
        if self.basic:
            return (self.basic.password,)
        if self.bearer:
            return (self.bearer,)
        assert self.oauth2 is not None

        return (self.oauth2.client_secret,)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What must never be shown: also what is made of a password, and a token once issued."""
        if self.basic:
            password = self.basic.password
            return (password, *password.parts(_Paired(name=self.basic.username)))
        if self.oauth2:
            secret = self.oauth2.client_secret
            pair = secret.parts(_Paired(name=self.oauth2.client_id, quoted=True))
            of_url = secrets_of_url(URL(self.oauth2.token_url))
            return (*of_url, secret, *pair, self.oauth2.latest.secret)

        return self.given


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paired:
    """Writes a password as it is sent with a name."""

    name: str
    quoted: bool = False

    def __call__(self, password: str) -> list[str]:
        if self.quoted:
            return [encode_pair(quote_plus(self.name), quote_plus(password))]

        return [encode_pair(self.name, password)]


def encode_pair(name: str, password: str) -> str:
    """Write a name and a password as basic authentication sends them."""
    return base64.b64encode(f"{name}:{password}".encode()).decode()
