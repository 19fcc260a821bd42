"""The options of a gRPC health check: whom to ask about which service, and with what metadata."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from monitor.fields import SecretText
from monitor.probes._net.port_options import PortOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY: Final = re.compile(r"[0-9a-z_.-]{1,100}")
_TEXT: Final = re.compile(r"[\x20-\x7e]*")
_OURS: Final = frozenset({"te", "content-type", "user-agent", "host"})
_BINARY: Final = "-bin"


def _read_key(key: str) -> str:
    lowered = key.lower()
    if not _KEY.fullmatch(lowered):
        raise ValueError(f"expected a name of metadata such as x-tenant, found {key!r}")
    if lowered in _OURS or lowered.startswith("grpc-"):
        raise ValueError(f"{key} is set by the monitor itself; remove it")

    return lowered


def _read_values(value: object) -> object:
    return value if isinstance(value, list) else [value]


Key = Annotated[str, AfterValidator(_read_key)]
Values = Annotated[list[SecretText], BeforeValidator(_read_values), Field(min_length=1)]


class GrpcOptions(PortOptions):
    """A server that is asked for its health; `service` is empty for the server as a whole.

    `metadata` goes with the call, a list where a key comes more than once. What belongs to a key
    that ends with `-bin` is written in base64.
    """

    service: Annotated[str, Field(max_length=1000)] = ""
    metadata: dict[Key, Values] = Field(default_factory=dict, repr=False)

    alpn = ("h2",)

    @field_validator("metadata")
    @classmethod
    def _check_values(cls, metadata: dict[str, list[SecretText]]) -> dict[str, list[SecretText]]:
        for key, values in metadata.items():
            for value in values:
                _check_value(key, value.reveal())

        return metadata

    @property
    def question(self) -> str:
        """The service, unless it is the server as a whole."""
        return self.service

    @property
    def healthy(self) -> tuple[Mapping[str, object], ...]:
        """What is healthy where nobody wrote anything else."""
        return ({"value": {"equals": "SERVING"}},)

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Give the metadata as it is now; raises ValueError where it cannot be sent."""
        pairs = tuple(
            (key, value.reveal()) for key, values in self.metadata.items() for value in values
        )
        for key, value in pairs:
            _check_value(key, value)

        return pairs


def _check_value(key: str, value: str) -> None:
    if not key.endswith(_BINARY):
        if not _TEXT.fullmatch(value):
            raise ValueError(f"{key}: expected text in ASCII, or a key that ends with {_BINARY}")
        return

    try:
        base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{key}: expected base64, as {_BINARY} says") from error
