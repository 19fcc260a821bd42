"""The small typed values of the configuration: durations, ratios, sizes, secrets and hosts."""

from __future__ import annotations

import ipaddress
import json
import re
from collections import deque
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.unseen import bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"
"""What a duration looks like, also for the JSON Schema."""

_DURATION: Final = re.compile(DURATION_PATTERN)
_DURATION_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")
_MILLISECONDS: Final = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_PERCENT: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?%")
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(B|kB|KB|KiB|MB|MiB|GB|GiB)")
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
MASK: Final = "***"
"""What stands in the place of a secret."""

OVERLAP: Final = 4 * 1024
"""So much is read beyond what is kept: half a secret at the cut is one too, and is not known."""

_LONGEST: Final = timedelta(days=3650)
_LARGEST: Final = 1024**4
_SHORTEST_SECRET: Final = 4
_PAST_SECRETS: Final = 100  # values that were replaced while we ran, still masked
_LONGEST_FOUND: Final = 60


def found(value: object) -> str:
    """Write what was found, short enough for one line."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**18 else "a huge integer"

    return text if len(text) <= _LONGEST_FOUND else text[: _LONGEST_FOUND - 1] + "…"


def parse_duration(text: object) -> timedelta:
    """Read `500ms`, `30s`, `5m`, `1h30m` or `14d`; ten years is the longest.

    Raises ValueError that says what was expected and found.
    """
    if isinstance(text, timedelta):
        return text

    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError(f"expected a duration such as 30s, found {found(text)}")

    milliseconds = sum(
        float(number) * _MILLISECONDS[unit] for number, unit in _DURATION_PART.findall(text)
    )
    if milliseconds > _LONGEST / timedelta(milliseconds=1):
        raise ValueError(f"expected a duration of at most 3650d, found {found(text)}")

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
    ratio = text
    if isinstance(text, str) and _PERCENT.fullmatch(text):
        ratio = float(text[:-1]) / 100
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 <= ratio <= 1:
        raise ValueError(f"expected a ratio such as 5% or 0.05, found {found(text)}")

    return float(ratio)


def parse_size(text: object) -> int:
    """Read `512KiB` or `1MB` as bytes; a bare integer is bytes."""
    match text:
        case bool():
            size = None
        case int():
            size = text if text >= 0 else None
        case str() if size_text := _SIZE.fullmatch(text):
            # min: so many digits that the float is infinite
            size = round(min(float(size_text[1]), _LARGEST + 1) * _BYTES[size_text[2]])
        case _:
            size = None

    if size is None:
        raise ValueError(f"expected a size such as 512KiB, found {found(text)}")
    if size > _LARGEST:
        raise ValueError(f"expected a size of at most 1024GiB, found {found(text)}")

    return size


@lru_cache(maxsize=1_000)  # many endpoints have one host
def format_address(host: str, port: int) -> str:
    """Write host and port as a person does: `[::1]:80`, `db.example:5432`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine itself, without asking a resolver.

    An IPv6 address has no brackets.
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True

    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False

    mapped = getattr(address, "ipv4_mapped", None)

    return (mapped or address).is_loopback


class Secret:
    """A value that is never shown: it has no repr, and `reveal` is the only way to it.

    With `refresh`, the value is read again each time it is revealed. Secrets are equal when they
    hold the same fixed value, or are refreshed from the same place.
    """

    __slots__ = ("_current", "_refresh")

    def __init__(self, value: str, refresh: Callable[[], str] | None = None) -> None:
        self._current = value
        self._refresh = refresh

    def reveal(self) -> str:
        """Give the value itself, for the one place that sends it.

        Where it cannot be read again, the last value that could be is given.
        """
        if self._refresh is not None:
            with suppress(OSError, ValueError):
                self._current = self._refresh()

        return self._current

    @property
    def current(self) -> str:
        """The value last revealed, without reading it again."""
        return self._current

    @property
    def live(self) -> bool:
        """Whether the value may change while we run."""
        return self._refresh is not None

    def parts(self, find: Callable[[str], Sequence[str]]) -> tuple[Secret, ...]:
        """Give what `find` finds in it, or makes of it, as secrets that change as it does.

        It may raise ValueError. Parts are equal where `find` is.
        """
        with suppress(ValueError):
            found = find(self.current)
            if not self.live:
                return tuple([Secret(part) for part in found])
            return tuple([_Part(self, find, index) for index in range(len(found))])

        return ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._identity == self._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> object:
        return self._current if self._refresh is None else self._refresh

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__


class _Part(Secret):
    """A part of a secret that may change, as it is in the value last revealed; else empty."""

    __slots__ = ("_find", "_index", "_seen", "_whole")

    def __init__(self, whole: Secret, find: Callable[[str], Sequence[str]], index: int) -> None:
        super().__init__("")
        self._whole = whole
        self._find = find
        self._index = index
        self._seen: str | None = None

    def reveal(self) -> str:
        self._whole.reveal()

        return self.current

    @property
    def current(self) -> str:
        text = self._whole.current
        if text != self._seen:
            self._seen = text
            with suppress(ValueError):
                found = self._find(text)
                self._current = found[self._index] if self._index < len(found) else ""

        return self._current

    @property
    def live(self) -> bool:
        return True

    @property
    def _identity(self) -> object:
        return self._whole, self._find, self._index


def beyond_cut(masked: str, *, cut: bool) -> str:
    """Leave out what half a secret may be in, where the beginning was cut before it was masked."""
    return masked[OVERLAP:] if cut else masked


class Redactor:
    """Masks secrets by value in any text that leaves the process; it follows those that change."""

    def __init__(self, secrets: Iterable[Secret | str] = ()) -> None:
        self._fixed: frozenset[str] = frozenset()
        self._live: tuple[Secret, ...] = ()
        self._values: tuple[str, ...] = ()
        self._past: deque[str] = deque(maxlen=_PAST_SECRETS)
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[Secret | str]) -> None:
        """Mask these as well from now on; values shorter than four characters stay as they are."""
        for_good, live = set(self._fixed), dict.fromkeys(self._live)
        for secret in secrets:
            if isinstance(secret, str):
                for_good.add(secret)
            elif secret.live:
                live[secret] = None
            else:
                for_good.add(secret.current)

        self._fixed, self._live = frozenset(for_good), tuple(live)
        self._follow(self._current())

    def mask(self, text: str) -> str:
        """Give the text with each known secret replaced by `***`.

        Where one is there only for who reads it, such as with a colour that begins inside of it,
        nothing that is not seen is left in the text: what shows it may take that out as well.
        """
        values = self._current()
        if values != self._values:
            self._follow(values)
        if self._pattern is None:
            return text

        text = self._pattern.sub(MASK, text)
        seen = bare(text)
        masked = self._pattern.sub(MASK, seen)

        return text if masked == seen else masked

    def _current(self) -> tuple[str, ...]:
        return tuple([secret.current for secret in self._live])

    def _follow(self, values: tuple[str, ...]) -> None:
        self._past.extend(set(self._values) - set(values))
        self._values = values
        known = {
            spelling
            for secret in {*self._fixed, *self._values, *self._past}
            if len(secret) >= _SHORTEST_SECRET
            for spelling in (secret, json.dumps(secret)[1:-1])  # as it looks inside JSON
        }
        longest_first = sorted(known, key=len, reverse=True)
        self._pattern = (
            re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        )
