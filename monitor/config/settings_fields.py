"""The fields that settings are made of: names, addresses, severities, thresholds."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from enum import StrEnum
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import PlainValidator, WithJsonSchema

from monitor.config.compiled import Scope
from monitor.config.suggest import suggest
from monitor.config.translate import found
from monitor.core.expectations.shown import quote
from monitor.core.model.endpoint import (
    FailureThreshold,
    InARow,
    KOfN,
    OnInsufficient,
    Severity,
)
from monitor.core.model.rollback import Mode
from monitor.options import DURATION_PATTERN, format_duration, parse_duration, parse_ratio
from monitor.outbound import is_usable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
_NAME: Final = re.compile(NAME_PATTERN)
_K_OF_N: Final = re.compile(r"([0-9]{1,6}) +of +([0-9]{1,6})")
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})")
FACTOR_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?x$"
_FACTOR: Final = re.compile(FACTOR_PATTERN)
_DURATION: Final = re.compile(DURATION_PATTERN)
LARGEST_FACTOR: Final = 100
_MOST_COUNTED: Final = 1000
_MOST_OPENINGS: Final = 100

SHORTEST_INTERVAL: Final = timedelta(milliseconds=100)
LONGEST_INTERVAL: Final = timedelta(days=1)
Word = TypeVar("Word", bound=StrEnum)


class Opened(StrEnum):
    """What may be readable without a token on an address that others reach."""

    METRICS = "metrics"
    PROBE = "probe"
    HEALTH = "health"
    BADGE = "badge"
    PUBLIC = "public"


class Percentile(StrEnum):
    """Which sample of a latency window is judged."""

    P50 = "p50"
    P95 = "p95"
    P99 = "p99"
    MAX = "max"

    @property
    def rank(self) -> int:
        """1 to 100; the maximum is 100."""
        return 100 if self is Percentile.MAX else int(self[1:])


class Statistic(StrEnum):
    """Which sample of a window of values is judged."""

    MIN = "min"
    P50 = "p50"
    P95 = "p95"
    P99 = "p99"
    MAX = "max"

    @property
    def rank(self) -> int:
        """0 to 100; the minimum is 0, the maximum is 100."""
        ends = {Statistic.MIN: 0, Statistic.MAX: 100}

        return ends[self] if self in ends else int(self[1:])


def _read_limit(value: object) -> float:
    if isinstance(value, str) and value.endswith("%"):
        return parse_ratio(value)
    if isinstance(value, str) and _DURATION.fullmatch(value):
        seconds = parse_duration(value).total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"expected a number such as 10, or 5%, or 30s, found {found(value)}")

    return value


def _read_factor(value: object) -> float:
    if not isinstance(value, str) or not _FACTOR.fullmatch(value):
        raise ValueError(f"expected how many times, such as 1.5x, found {found(value)}")

    factor = float(value[:-1])
    if not 1 <= factor * LARGEST_FACTOR <= LARGEST_FACTOR**2:
        raise ValueError(
            f"expected {1 / LARGEST_FACTOR:g}x to {LARGEST_FACTOR}x, found {quote(value)}"
        )

    return factor


def _read_latency_limit(value: object) -> timedelta | dict[str, Any]:
    """Read a duration; a map is a baseline, which is read by its own settings."""
    return value if isinstance(value, dict) else _read_span(value)


def _read_value_limit(value: object) -> float | dict[str, Any]:
    """Read a number; a map is a baseline, which is read by its own settings."""
    return value if isinstance(value, dict) else _read_limit(value)


def name_problem(name: str) -> str | None:
    """Say what is wrong with a name of an endpoint, a service or a notifier."""
    if _NAME.fullmatch(name):
        return None

    return (
        "expected a name of up to 100 letters, digits, dots, hyphens and underscores "
        f"that starts with a letter or digit, found {quote(name)}"
    )


def _read_name(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a name, found {found(value)}")
    if problem := name_problem(value):
        raise ValueError(problem)

    return value


def _read_line(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {found(value)}; quote it")
    if not value.strip() or not value.isprintable():
        raise ValueError(f"expected one line of text, found {quote(value)}")

    return value


def _read_web_url(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a URL such as https://shop.example/, found {found(value)}")

    if not is_usable(value):
        raise ValueError("expected a URL such as https://shop.example/")
    if "@" in urlsplit(value).netloc:
        raise ValueError("expected a URL without user and password: people get to see it")

    return value


def _read_host_port(value: object) -> tuple[str, int]:
    """Read `host:port`; an IPv6 address stands in brackets, which are not part of the host."""
    wanted = "expected host:port such as 127.0.0.1:9797 or [::1]:9797"
    if not isinstance(value, str):
        raise ValueError(f"{wanted}, found {found(value)}")

    host, colon, port = value.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"{wanted}, found {quote(value)}")
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1])), int(port)
        except ValueError as error:
            raise ValueError(f"{wanted}, found {quote(value)}") from error
    if not _HOST.fullmatch(host):
        raise ValueError(f"{wanted}, found {quote(value)}")

    return host, int(port)


def _read_peer(value: object) -> str:
    _, port = _read_host_port(value)
    if port == 0:
        raise ValueError("expected a port of 1 to 65535, found 0")

    return str(value)


def read_threshold(value: object) -> FailureThreshold:
    """Read `5` (in a row) or `3 of 5`."""
    match value:
        case bool():
            pass
        case int() if value >= 1:
            return InARow(count=_counted(value))
        case int():
            raise ValueError(f"expected at least 1 failure, found {value}: it would never count")
        case str() if counts := _K_OF_N.fullmatch(value):
            return _read_k_of_n(int(counts[1]), int(counts[2]))

    raise ValueError(f"expected a number such as 3, or 3 of 5, found {found(value)}")


def _read_k_of_n(k: int, n: int) -> FailureThreshold:
    if k < 1:
        raise ValueError(f"expected at least 1 failure, found {k} of {n}: it would never count")
    if k > n:
        raise ValueError(f"{k} of {n} can never be reached: expected at most {n} of {n}")

    return KOfN(k=k, n=_counted(n))


def _read_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"expected a number such as 2, found {found(value)}")
    if value < 1:
        raise ValueError(f"expected at least 1, found {value}")

    return _counted(value)


def _read_flapping(value: object) -> int | None:
    if value is False:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(
            f"expected how many openings an hour, such as 6, or false, found {found(value)}"
        )
    if not 1 <= value <= _MOST_OPENINGS:
        raise ValueError(f"expected 1 to {_MOST_OPENINGS}, or false, found {value}")

    return value


def _counted(number: int) -> int:
    if number > _MOST_COUNTED:
        raise ValueError(f"expected at most {_MOST_COUNTED}, found {number}")

    return number


def between(shortest: timedelta, longest: timedelta) -> Callable[[timedelta], timedelta]:
    """Make a validator of durations that takes those from the shortest to the longest."""

    def check(value: timedelta) -> timedelta:
        if not shortest <= value <= longest:
            raise ValueError(
                f"expected {_written(shortest)} to {_written(longest)}, found {_written(value)}"
            )

        return value

    return check


def _written(value: timedelta) -> str:
    return format_duration(value) if value else "0s"


def _duration(shortest: timedelta, longest: timedelta) -> Callable[[object], timedelta]:
    check = between(shortest, longest)

    return lambda value: check(parse_duration(value))


_read_span: Final = _duration(timedelta(milliseconds=1), timedelta(days=3650))


def one_of(known: type[Word]) -> Callable[[object], Word]:
    """Make a validator that takes one of the words, and suggests the one that was meant."""

    def read(value: object) -> Word:
        if isinstance(value, str) and value in set(known):
            return known(value)

        meant = suggest(value, known) if isinstance(value, str) else ""
        raise ValueError(f"expected one of {', '.join(known)}, found {found(value)}{meant}")

    return read


def words(known: type[StrEnum]) -> WithJsonSchema:
    """Give the JSON Schema of one of the words."""
    return WithJsonSchema({"type": "string", "enum": [str(word) for word in known]})


def _text(example: str, **more: JsonValue) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example], **more})


def _baseline(plus: dict[str, Any]) -> dict[str, Any]:
    """Give the JSON Schema of a limit that follows from what is usual."""
    return {
        "type": "object",
        "properties": {
            "baseline": {"type": "string", "pattern": FACTOR_PATTERN},
            "over": {"type": "string", "pattern": DURATION_PATTERN},
            "plus": plus,
        },
        "required": ["baseline"],
        "additionalProperties": False,
    }


Name = Annotated[str, PlainValidator(_read_name), _text("storefront", pattern=NAME_PATTERN)]
Line = Annotated[str, PlainValidator(_read_line), WithJsonSchema({"type": "string"})]
WebUrl = Annotated[str, PlainValidator(_read_web_url), _text("https://shop.example/")]
Listen = Annotated[tuple[str, int], PlainValidator(_read_host_port), _text("127.0.0.1:9797")]
Peer = Annotated[str, PlainValidator(_read_peer), _text("192.0.2.1:53")]
Threshold = Annotated[
    FailureThreshold,
    PlainValidator(read_threshold),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": _MOST_COUNTED},
                {"type": "string", "pattern": r"^[0-9]+ +of +[0-9]+$"},
            ],
            "examples": [3, "3 of 5"],
        }
    ),
]
Count = Annotated[
    int,
    PlainValidator(_read_count),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": _MOST_COUNTED}),
]
FlappingThreshold = Annotated[
    int | None,
    PlainValidator(_read_flapping),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": _MOST_OPENINGS},
                {"const": False},
            ],
            "examples": [6, False],
        }
    ),
]
Interval = Annotated[
    timedelta,
    PlainValidator(_duration(SHORTEST_INTERVAL, LONGEST_INTERVAL)),
    _text("30s", pattern=DURATION_PATTERN),
]
Span = Annotated[
    timedelta,
    PlainValidator(_read_span),
    _text("5m", pattern=DURATION_PATTERN),
]
Pause = Annotated[
    timedelta,
    PlainValidator(_duration(timedelta(0), timedelta(days=3650))),
    _text("30m", pattern=DURATION_PATTERN),
]
Retention = Annotated[
    timedelta,
    PlainValidator(_duration(timedelta(hours=1), timedelta(days=3650))),
    _text("90d", pattern=DURATION_PATTERN),
]
WindowLength = Annotated[
    timedelta,
    PlainValidator(_duration(timedelta(seconds=1), timedelta(days=1))),
    _text("5m", pattern=DURATION_PATTERN),
]
RatioValue = Annotated[
    float,
    PlainValidator(parse_ratio),
    WithJsonSchema({"type": ["string", "number"], "examples": ["5%", 0.05]}),
]
LatencyLimit = Annotated[
    timedelta | dict[str, Any],
    PlainValidator(_read_latency_limit),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": DURATION_PATTERN},
                _baseline({"type": "string", "pattern": DURATION_PATTERN}),
            ],
            "examples": ["400ms", {"baseline": "1.5x", "over": "7d", "plus": "50ms"}],
        }
    ),
]
FactorValue = Annotated[float, PlainValidator(_read_factor), _text("1.5x", pattern=FACTOR_PATTERN)]
LimitValue = Annotated[
    float,
    PlainValidator(_read_limit),
    WithJsonSchema({"type": ["number", "string"], "examples": [10, "5%", "30s"]}),
]
ValueLimit = Annotated[
    float | dict[str, Any],
    PlainValidator(_read_value_limit),
    WithJsonSchema(
        {
            "anyOf": [{"type": ["number", "string"]}, _baseline({"type": ["number", "string"]})],
            "examples": [10, "5%", "30s", {"baseline": "1.5x", "over": "7d", "plus": 10}],
        }
    ),
]
StatisticName = Annotated[Statistic, PlainValidator(one_of(Statistic)), words(Statistic)]
SeverityName = Annotated[Severity, PlainValidator(one_of(Severity)), words(Severity)]
ScopeName = Annotated[Scope, PlainValidator(one_of(Scope)), words(Scope)]
OpenedName = Annotated[Opened, PlainValidator(one_of(Opened)), words(Opened)]
PercentileName = Annotated[Percentile, PlainValidator(one_of(Percentile)), words(Percentile)]
OnInsufficientName = Annotated[
    OnInsufficient, PlainValidator(one_of(OnInsufficient)), words(OnInsufficient)
]
read_mode: Final = one_of(Mode)
ModeName = Annotated[Mode, PlainValidator(read_mode), words(Mode)]
