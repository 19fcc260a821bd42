"""The options of a port or Unix socket: where it is, what is said there, and how TLS begins."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema, model_validator

from monitor.core.expectations import Source
from monitor.options import found
from monitor.probes._net.dialogue import MOST_STEPS, LabelName, Script, Step, secrets_of
from monitor.probes._net.options import IpChoice, TlsOptions
from monitor.probes._net.port_options import Address, PortOptions, read_address_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.options import Secret
    from monitor.probes._net.dial import Way

_UNIX: Final = "unix:"
_LONGEST_PATH: Final = 107  # what the system's structure of such an address holds
_MOST_BYTES: Final = 64 * 1024


class StartTls(StrEnum):
    """Protocols of which we know how TLS is begun in them."""

    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"
    FTP = "ftp"
    SIEVE = "sieve"
    LDAP = "ldap"
    XMPP = "xmpp"
    POSTGRES = "postgres"
    MYSQL = "mysql"


def _read_starttls(value: object) -> StartTls:
    if isinstance(value, str) and value in list(StartTls):
        return StartTls(value)

    raise ValueError(f"expected one of {', '.join(StartTls)}, found {found(value)}")


def _read_place(value: object) -> Address:
    """Read host and port, or `unix:/run/x.sock`: an address whose port is 0."""
    if not isinstance(value, str) or not value.startswith(_UNIX):
        return read_address_text(value)

    path = value.removeprefix(_UNIX)
    if not path.startswith("/") or len(path.encode(errors="replace")) > _LONGEST_PATH:
        raise ValueError(
            f"expected unix: and an absolute path of at most {_LONGEST_PATH} bytes such as "
            f"unix:/run/app.sock, found {found(value)}"
        )

    return Address(host=path, port=0)


def _read_bytes(value: object) -> object:
    if isinstance(value, str) and not 0 < len(value.encode(errors="replace")) <= _MOST_BYTES:
        raise ValueError(f"expected a text of 1 to {_MOST_BYTES} bytes, found {found(value)}")

    return value


class TcpStep(Step):
    """One step: lines up to one that matches, or exact bytes; then what is sent; then TLS.

    `labels` are exported, filled from what the pattern captured.
    """

    expect_bytes: Annotated[str, BeforeValidator(_read_bytes)] | None = None
    labels: dict[LabelName, str] = Field(default_factory=dict, max_length=20)
    starttls: bool = False

    @model_validator(mode="after")
    def _check_step(self) -> Self:
        given = self.model_fields_set
        if self.expect is not None and self.expect_bytes is not None:
            raise ValueError("expected either expect or expect_bytes, found both")
        if self.labels and self.expect is None:
            raise ValueError("labels are filled from what expect captures: expected it beside them")
        if not given or (given == {"starttls"} and not self.starttls):
            raise ValueError("expected one of expect, expect_bytes, send, starttls: true")

        return self


class TcpOptions(PortOptions):
    """A port or a Unix socket; without a dialogue it is enough that it accepts a connection.

    `starttls` names the protocol in which TLS is begun; a dialogue goes on from there.
    """

    address: Annotated[
        Address,
        PlainValidator(_read_place),
        WithJsonSchema({"type": "string", "examples": ["mail.example:25", "unix:/run/app.sock"]}),
    ]
    starttls: (
        Annotated[
            StartTls, PlainValidator(_read_starttls), WithJsonSchema({"enum": list(StartTls)})
        ]
        | None
    ) = None
    dialogue: Annotated[list[TcpStep], Field(max_length=MOST_STEPS)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _check_dialogue(self) -> Self:
        script = Script()
        for number, step in enumerate(self.dialogue, 1):
            if step.expect is not None:
                script.expects(step.expect)
            texts = [*step.labels.values()] + ([step.send.reveal()] if step.send else [])
            try:
                for text in texts:
                    script.check(text)
            except ValueError as error:
                raise ValueError(f"step {number} of the dialogue: {error}") from error

        return self

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        times = sum(step.starttls for step in self.dialogue) + (self.starttls is not None)
        if times > 1:
            raise ValueError("TLS can begin once: expected one starttls")
        if times and "tls" in self.model_fields_set and self.tls is None:
            raise ValueError("tls: false, but starttls begins it: expected one of them alone")
        if self.socket_path and (self.ip is not IpChoice.ANY or self.resolver):
            raise ValueError("a Unix socket has no name to resolve: remove ip and resolver")
        terms = self.terms
        if self.socket_path and terms and terms.verify and not terms.server_name:
            raise ValueError("a Unix socket has no name to verify: expected tls.server_name")

        return self

    @cached_property
    def upgrades(self) -> bool:
        """Whether TLS begins in the midst of a dialogue."""
        return self.starttls is not None or any(step.starttls for step in self.dialogue)

    @cached_property
    def terms(self) -> TlsOptions | None:
        """The terms of TLS, None where none is spoken."""
        return self.tls or (TlsOptions() if self.upgrades else None)

    @cached_property
    def socket_path(self) -> str:
        """The path of a Unix socket; empty for a port."""
        return "" if self.address.port else self.address.host

    @cached_property
    def target(self) -> str:
        """What is asked, as it may be shown."""
        return f"{_UNIX}{self.socket_path}" if self.socket_path else str(self.address)

    @cached_property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it: not for this machine."""
        return not self.socket_path and super().witnessed

    @cached_property
    def shows_certificate(self) -> bool:
        """Whether a certificate can be seen."""
        return self.terms is not None

    @cached_property
    def untold(self) -> Mapping[Source, str]:
        """What no answer tells: without a dialogue nothing is read."""
        if self.dialogue or self.starttls is not None:
            return {}

        why = "nothing is read without a dialogue: expected one below tcp, such as [{expect: ^220}]"

        return dict.fromkeys((Source.BODY, Source.RESPONSE_SIZE), why)

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """The values that must never be shown: what is sent."""
        return secrets_of(step.send for step in self.dialogue if step.send)

    def way(self) -> Way:
        """Give the way there."""
        way = replace(super().way(), path=self.socket_path, upgrades=self.upgrades)
        if self.terms is None:
            return way

        return replace(way, tls=self.terms.terms(), server_name=self.terms.server_name)
