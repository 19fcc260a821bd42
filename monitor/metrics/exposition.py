"""How series are written as text, which is the same in both formats, and what these are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

AT_A_TIME: Final = 1_000
"""So many lines, or endpoints, make one part: some milliseconds of work at most."""

One = TypeVar("One")

NOTHING_YET: Final = ""
"""A part in which there is nothing to write yet: whoever asked for it lets others have a turn."""


def in_parts(many: Sequence[One]) -> Iterator[Sequence[One]]:
    """Give as many at a time as may be written in one go."""
    for start in range(0, len(many), AT_A_TIME):
        yield many[start : start + AT_A_TIME]


def write_family(
    name: str, text: str, labels: Sequence[str], values: Sequence[float]
) -> Iterator[str]:
    """Write a gauge of the monitor's own, part by part; each series is its labels and its value."""
    yield explain(name, text)
    for some, their in zip(in_parts(labels), in_parts(values), strict=True):
        yield write_lines(name, some, their)


def write_lines(name: str, labels: Sequence[str], values: Sequence[float]) -> str:
    """Write a line for each series; there is at least one.

    Most values are those of all the others (200, 1.1, pass), which takes a tenth of the time.
    """
    first = values[0]
    if values.count(first) == len(values):
        between = f"}} {first!r}\n{name}{{"
        return f"{name}{{{between.join(labels)}}} {first!r}\n"

    return "".join(
        [f"{name}{{{own}}} {value!r}\n" for own, value in zip(labels, values, strict=True)]
    )


def explain(name: str, text: str) -> str:
    """Write what comes before the lines of a gauge, once."""
    return f"# HELP {name} {text}\n# TYPE {name} gauge\n"


def escape(value: str) -> str:
    """Write the value of a label."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
