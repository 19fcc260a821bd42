"""The small typed values of the configuration: durations, ratios, sizes and secrets."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_MILLISECONDS: Final = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)(B|kB|KB|KiB|MB|MiB|GB|GiB)")
_BYTES: Final = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "KiB": 1024,
    "MB": 1000**2,
    "MiB": 1024**2,
    "GB": 1000**3,
    "GiB": 1024**3,
}
_LONGEST: Final = timedelta(days=3650)
_SHORTEST_SECRET: Final = 4


def parse_duration(text: object) -> timedelta:
    """Read `500ms`, `30s`, `5m`, `1h30m` or `14d`; ten years is the longest.

    Raises ValueError that says what was expected and found.
    """
    if isinstance(text, timedelta):
        return text

    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError(f"expected a duration such as 30s, found {text!r}")

    milliseconds = sum(
        float(number) * _MILLISECONDS[unit] for number, unit in _DURATION_PART.findall(text)
    )
    if milliseconds > _LONGEST / timedelta(milliseconds=1):
        raise ValueError(f"expected a duration of at most 3650d, found {text!r}")

    return timedelta(milliseconds=milliseconds)


def format_duration(value: timedelta) -> str:
    """Write a duration as a person would say it: `450ms`, `30s`, `2m 5s`, `1h 30m`, `14d`."""
    milliseconds = round(value / timedelta(milliseconds=1))
    if milliseconds < 0:
        return "-" + format_duration(-value)

    if milliseconds < 1_000:
        return f"{milliseconds}ms"

    if milliseconds < 10_000 and milliseconds % 1_000:
        return f"{milliseconds / 1_000:g}s"

    seconds = round(milliseconds / 1_000)
    parts = [
        (seconds // 86_400, "d"),
        (seconds % 86_400 // 3_600, "h"),
        (seconds % 3_600 // 60, "m"),
        (seconds % 60, "s"),
    ]
    shown = [f"{number}{unit}" for number, unit in parts if number]

    return " ".join(shown[:2])


def parse_ratio(text: object) -> float:
    """Read `5%` or `0.05` as 0.05; anything outside 0 to 1 is refused."""
    found = text
    if isinstance(text, str) and re.fullmatch(r"\d+(?:\.\d+)?%", text):
        text = float(text[:-1]) / 100
    if isinstance(text, bool) or not isinstance(text, int | float) or not 0 <= text <= 1:
        raise ValueError(f"expected a ratio such as 5% or 0.05, found {found!r}")

    return float(text)


def parse_size(text: object) -> int:
    """Read `512KiB` or `1MB` as bytes; a bare integer is bytes."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text

    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"expected a size such as 512KiB, found {text!r}")

    return round(float(match[1]) * _BYTES[match[2]])


class Secret:
    """A value that is never shown: it has no repr, and `reveal` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the value itself, for the one place that sends it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


class Redactor:
    """Masks secrets by value in any text that leaves the process."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._pattern: re.Pattern[str] | None = None
        self._secrets: frozenset[str] = frozenset()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these as well from now on; values shorter than four characters stay as they are."""
        self._secrets |= {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._pattern = (
            re.compile("|".join(re.escape(secret) for secret in longest_first))
            if longest_first
            else None
        )

    def mask(self, text: str) -> str:
        """Give the text with each known secret replaced by `***`."""
        return self._pattern.sub("***", text) if self._pattern else text
