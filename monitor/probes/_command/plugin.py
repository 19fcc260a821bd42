"""What a monitoring plugin says: its first line, and its performance data in base units."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

MOST_FIGURES: Final = 100
"""How many figures are read; what comes after them is left out."""

_LONGEST_LABEL: Final = 100
_LONGEST_ITEM: Final = 400
_NUMBER: Final = r"[-+]?(?:\d{1,30}(?:[.,]\d{0,30})?|[.,]\d{1,30})(?:[eE][-+]?\d{1,3})?"
_VALUE: Final = re.compile(rf"({_NUMBER})([^\d;,.]{{0,20}})")
_RANGE: Final = re.compile(rf"@?(?:~|{_NUMBER})?:?(?:{_NUMBER})?")
_IN_RANGE: Final = re.compile(_NUMBER)
_UNITS: Final = {
    "s": ("seconds", 1.0),
    "ms": ("seconds", 1e-3),
    "us": ("seconds", 1e-6),
    "µs": ("seconds", 1e-6),
    "ns": ("seconds", 1e-9),
    "%": ("ratio", 0.01),
    "b": ("bytes", 1.0),
    "kb": ("bytes", 1024.0),
    "mb": ("bytes", 1024.0**2),
    "gb": ("bytes", 1024.0**3),
    "tb": ("bytes", 1024.0**4),
    "kib": ("bytes", 1024.0),
    "mib": ("bytes", 1024.0**2),
    "gib": ("bytes", 1024.0**3),
    "tib": ("bytes", 1024.0**4),
}
"""By the unit in small letters. Plugins write MB and mean 1024 times 1024 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One item of performance data; None where the plugin does not know the value.

    `unit` is seconds, ratio, bytes, count, as it was written, or empty. `warn` and `crit` are
    numbers, or ranges as text, in the same unit.
    """

    label: str
    value: float | None
    unit: str = ""
    warn: float | str | None = None
    crit: float | str | None = None
    least: float | None = None
    most: float | None = None

    @property
    def row(self) -> dict[str, object]:
        """The figure as a row: only what was said."""
        said = {
            "label": self.label,
            "value": self.value,
            "unit": self.unit or None,
            "warn": self.warn,
            "crit": self.crit,
            "min": self.least,
            "max": self.most,
        }

        return {name: found for name, found in said.items() if found is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The first line of what a plugin said, and its figures."""

    line: str
    figures: tuple[Figure, ...]


def read_plugin_output(output: str) -> Said:
    """Read what a plugin said; whatever is no performance data is left out."""
    first, *others = output.split("\n") if output else [""]
    line, _, data = first.partition("|")
    # Of the lines below, all that comes after one more bar is performance data as well.
    _, _, more = "\n".join(others).partition("|")

    return Said(line=line.strip(), figures=_read_figures(f"{data} {more}"))


def _read_figures(text: str) -> tuple[Figure, ...]:
    figures: dict[str, Figure] = {}
    at = read = 0
    while at < len(text) and read < MOST_FIGURES:
        if text[at].isspace():
            at += 1
            continue
        read += 1
        label, at = _read_label(text, at)
        item, at = _read_word(text, at)
        if label and item.startswith("=") and len(item) <= _LONGEST_ITEM:
            figure = _read_figure(label[:_LONGEST_LABEL], item[1:])
            if figure is not None:
                figures.setdefault(figure.label, figure)

    return tuple(figures.values())


def _read_label(text: str, at: int) -> tuple[str, int]:
    """Read a label up to its equals sign; in quotes it may hold anything, a quote as two."""
    if text[at] != "'":
        start = at
        while at < len(text) and text[at] != "=" and not text[at].isspace():
            at += 1
        return text[start:at], at

    parts = []
    at += 1
    while (end := text.find("'", at)) >= 0:
        parts.append(text[at:end])
        at = end + 1
        if text[at : at + 1] != "'":
            return "".join(parts), at
        parts.append("'")
        at += 1

    return "", len(text)  # a quote without an end


def _read_word(text: str, at: int) -> tuple[str, int]:
    start = at
    while at < len(text) and not text[at].isspace():
        at += 1

    return text[start:at], at


def _read_figure(label: str, item: str) -> Figure | None:
    said, *limits = item.split(";")
    warn, crit, least, most = (*limits, "", "", "", "")[:4]
    if said == "U":
        return Figure(label=label, value=None)

    read = _VALUE.fullmatch(said)
    if read is None:
        return None

    unit, factor = _find_unit(read[2])
    value = _scale(read[1], factor)
    if not math.isfinite(value):
        return None

    return Figure(
        label=label,
        value=value,
        unit=unit,
        warn=_read_range(warn, factor),
        crit=_read_range(crit, factor),
        least=_read_number(least, factor),
        most=_read_number(most, factor),
    )


def _find_unit(written: str) -> tuple[str, float]:
    """Give the base unit and what a value is multiplied by; a `C` counts nothing."""
    if written == "c":
        return "count", 1.0

    return _UNITS.get(written.lower(), (written, 1.0))


def _read_range(text: str, factor: float) -> float | str | None:
    if not text or not _RANGE.fullmatch(text):
        return None
    if _IN_RANGE.fullmatch(text):
        return _read_number(text, factor)

    return _IN_RANGE.sub(lambda found: f"{_scale(found[0], factor):.15g}", text)


def _read_number(text: str, factor: float) -> float | None:
    if not _IN_RANGE.fullmatch(text):
        return None

    number = _scale(text, factor)

    return number if math.isfinite(number) else None


def _scale(text: str, factor: float) -> float:
    """Scale a number, rid of what binary fractions add: 5 ms are 0.005 s."""
    return float(f"{float(text.replace(',', '.')) * factor:.15g}")
