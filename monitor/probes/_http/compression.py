"""Which compression of an answer is asked for, and whether it came."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from monitor.core.model.observation import Code, Fault
from monitor.options import found

if TYPE_CHECKING:
    from monitor.probes._http.answer import Answer

_SAME: Final = {"x-gzip": "gzip"}
_LONGEST_SHOWN: Final = 40


class Compression(StrEnum):
    """How a body may be compressed; `any` is whatever the server likes, or none."""

    ANY = "any"
    GZIP = "gzip"
    DEFLATE = "deflate"
    BR = "br"
    IDENTITY = "identity"

    @property
    def asked(self) -> str:
        """What is sent in `Accept-Encoding`."""
        return "gzip, deflate" if self is Compression.ANY else self.value


def _read_compression(value: object) -> Compression:
    if isinstance(value, str) and value in list(Compression):
        if value == Compression.BR and find_spec("brotli") is None:
            raise ValueError("br needs the package brotli: pip install production-monitor[brotli]")
        return Compression(value)

    raise ValueError(f"expected one of {', '.join(Compression)}, found {found(value)}")


CompressionName = Annotated[
    Compression,
    PlainValidator(_read_compression),
    WithJsonSchema({"enum": list(Compression)}),
]


def find_other_compression(answer: Answer, wanted: Compression, peer: str) -> Fault | None:
    """Give a fault where a good answer with a body is compressed otherwise than was demanded.

    What is wrong with another is told by its status.
    """
    if not 200 <= answer.status < 300 or not answer.body.received:
        return None

    coding = (answer.first(b"content-encoding") or "identity").strip().lower()
    if _SAME.get(coding, coding) == wanted:
        return None

    came = "uncompressed" if coding == "identity" else f"as {found(coding[:_LONGEST_SHOWN])}"
    message = f"the body of {peer} came {came}, and {wanted.value} was asked for"

    return Fault(code=Code.BAD_RESPONSE, message=message)


def accepts(header: str, wanted: Compression) -> bool:
    """Say whether an `Accept-Encoding` accepts a compression, as RFC 9110 (12.5.3) reads it."""
    if wanted is Compression.ANY:
        return True

    weights = {}
    for part in header.lower().split(","):
        coding, _, parameters = part.partition(";")
        name, _, weight = parameters.replace(" ", "").partition("=")
        coding = coding.strip()
        weights[_SAME.get(coding, coding)] = name != "q" or weight.strip("0.") != ""

    unnamed = weights.get("*", wanted is Compression.IDENTITY)

    return weights.get(wanted.value, unnamed)
