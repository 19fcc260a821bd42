"""How series are written as text, which is the same in both formats, and what these are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def write_family(name: str, text: str, series: Iterable[tuple[str, float]]) -> str:
    """Write a gauge of the monitor's own; each series is its labels and its value."""
    lines = "".join(f"{name}{labels} {value!r}\n" for labels, value in series)

    return f"# HELP {name} {text}\n# TYPE {name} gauge\n{lines}"


def escape(value: str) -> str:
    """Write the value of a label."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
