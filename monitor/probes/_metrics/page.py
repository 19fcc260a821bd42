"""Reading an exposition page: of the text format 0.0.4 or OpenMetrics, the samples of one name.

Only the lines of that name are looked at: a page may have a hundred thousand others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import quote
from monitor.core.model.observation import Code, Fault
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from monitor.probes._metrics.selector import Selector

MOST_SAMPLES: Final = 20_000
"""Of one name; they take 100 ms to read."""

_LONGEST_LINE: Final = 64 * 1024

_LABEL: Final = re.compile(
    r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*,?'
)
_CLOSING: Final = re.compile(r"[ \t]*\}")
# the value; behind it a timestamp, and in OpenMetrics an exemplar
_VALUE: Final = re.compile(
    r"[ \t]*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?Inf(?:inity)?|NaN)"
    r"(?:[ \t]+[+-]?[0-9.eE+-]+)?[ \t]*(?:#.*)?\r?",
    re.IGNORECASE,
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample: its labels and its value, which may be infinite or not a number."""

    labels: Mapping[str, str]
    value: float


def read_page(page: bytes, selector: Selector) -> list[Sample]:
    """Give the samples that are meant, in the order of the page.

    Raises Faulted where a line of that name cannot be read, or where there are too many.
    """
    samples: list[Sample] = []
    for number, rest in enumerate(_lines_of(page, selector.name), start=1):
        if number > MOST_SAMPLES:
            message = f"the page has more than {MOST_SAMPLES:,} samples of {selector.name}"
            raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))

        sample = _read_sample(rest)
        if sample is None:
            shown = quote(f"{selector.name}{rest.decode(errors='replace')}")
            message = f"the page has a line that is no sample: {shown}"
            raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))
        if selector.accepts(sample.labels):
            samples.append(sample)

    return samples


def _lines_of(page: bytes, name: str) -> Iterator[bytes]:
    """Give what stands behind the name in each line that begins with it."""
    line = re.compile(rb"\n%b(?=[ \t{])([^\n]*)" % re.escape(name.encode()))
    for found in line.finditer(b"\n" + page):
        yield found[1]


def _read_sample(rest: bytes) -> Sample | None:
    """Read what stands behind the name; None where that is no sample."""
    if len(rest) > _LONGEST_LINE:
        return None

    text = rest.decode(errors="replace")
    labels: dict[str, str] = {}
    place = len(text) - len(text.lstrip(" \t"))
    if text[place : place + 1] == "{":
        place += 1
        while (closing := _CLOSING.match(text, place)) is None:
            label = _LABEL.match(text, place)
            if label is None:
                return None
            labels[label[1]] = _unescape(label[2])
            place = label.end()
        place = closing.end()

    value = _VALUE.fullmatch(text, place)

    return None if value is None else Sample(labels=labels, value=float(value[1]))


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    return _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], text)
