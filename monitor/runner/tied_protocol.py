"""What the monitor and a runner say to each other of a tied command: an order, two lines back."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from monitor.runner.command import Finished
from monitor.runner.protocol import Malformed, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_INPUT: Final = 512 * 1024
"""How much a command may get on its standard input from the monitor, in bytes."""

LARGEST_TIED_ORDER: Final = 4 * 1024 * 1024
"""How long an order may be, in bytes: escaped, an input is longer than it was."""

LARGEST_SIGHT: Final = 8 * 1024 * 1024
"""How long a line about the end of a command may be, in bytes."""

_KEY: Final = re.compile(r"([0-9]{13})-[0-9a-f]{32}")
_VARIABLE: Final = re.compile(r"MONITOR_[A-Z_]{1,40}")
_LONGEST_NAME: Final = 220
_LONGEST_VALUE: Final = 4_000
_MOST_VARIABLES: Final = 40


class Purpose(StrEnum):
    """For what a command is run, and so where the configuration has it."""

    PROBE = "probe"
    NOTICE = "notice"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedOrder:
    """A command that is to be run once, by its name: never an argument list.

    `key` is of this one run and begins with its time; `fingerprint` is that of the command which
    the monitor means. `variables` all begin with `MONITOR_`, which none that is configured does;
    the `input` is for the command of a notifier, which has none of its own.
    """

    name: str
    fingerprint: str
    key: str
    purpose: Purpose = Purpose.PROBE
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    input: str = ""

    @property
    def at(self) -> float:
        """When it was written, by the clock of who did, as a Unix time."""
        return int(self.key.partition("-")[0]) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the runner tells of a run: why it is denied, that it has begun, or how it ended."""

    denied: str = ""
    begun: bool = False
    finished: Finished | None = None


def make_key(now: float) -> str:
    """Make the key of one run at a Unix time."""
    return f"{int(now * 1000):013d}-{uuid4().hex}"


def write_order(order: TiedOrder) -> bytes:
    """Write an order as a line."""
    data = {
        "purpose": order.purpose.value,
        "name": order.name,
        "fingerprint": order.fingerprint,
        "key": order.key,
        "variables": dict(order.variables),
        "input": order.input,
    }

    return json.dumps(data).encode() + b"\n"


def read_order(line: bytes) -> TiedOrder:
    """Read an order; raises Malformed."""
    data = read_object(line)
    if data.keys() != _FIELDS:
        raise Malformed(f"expected exactly {', '.join(sorted(_FIELDS))}")
    for name in ("purpose", "name", "fingerprint", "key"):
        if not isinstance(data[name], str) or len(data[name]) > _LONGEST_NAME:
            raise Malformed(f"{name}: expected a string of at most {_LONGEST_NAME} characters")
    try:
        purpose = Purpose(data["purpose"])
    except ValueError as error:
        raise Malformed(f"purpose: expected one of {', '.join(Purpose)}") from error
    if not _KEY.fullmatch(data["key"]):
        raise Malformed("key: expected a time and a random number")
    _check_told(purpose, data["variables"], data["input"])

    return TiedOrder(
        name=data["name"],
        fingerprint=data["fingerprint"],
        key=data["key"],
        purpose=purpose,
        variables=data["variables"],
        input=data["input"],
    )


def write_sight(sight: Sight) -> bytes:
    """Write what is told as a line."""
    # Text as it is: what is no ASCII would be three times as long otherwise.
    return json.dumps(asdict(sight), ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def read_sight(line: bytes) -> Sight:
    """Read what is told; raises Malformed."""
    data = read_object(line)
    try:
        finished = data["finished"]
        return Sight(
            denied=str(data["denied"]),
            begun=data["begun"] is True,
            finished=None if finished is None else _read_finished(finished),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"no answer of a runner of probes: {type(error).__name__}") from error


def _check_told(purpose: Purpose, variables: object, text: object) -> None:
    """See that a command is told what it may be; raises Malformed."""
    if not isinstance(variables, dict) or len(variables) > _MOST_VARIABLES:
        raise Malformed(f"variables: expected a map of at most {_MOST_VARIABLES}")
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name):
            raise Malformed("variables: expected names that begin with MONITOR_")
        if not isinstance(value, str) or len(value) > _LONGEST_VALUE or "\0" in value:
            raise Malformed(f"variables: expected texts of at most {_LONGEST_VALUE} characters")
    if not isinstance(text, str) or len(text.encode("utf-8", "replace")) > LARGEST_INPUT:
        raise Malformed(f"input: expected a string of at most {LARGEST_INPUT} bytes")
    if purpose is Purpose.PROBE and (variables or text):
        raise Malformed("the command of a probe is told nothing")
    if purpose is Purpose.EVIDENCE and text:
        raise Malformed("input: expected none, since a command of evidence has none")


_FIELDS: Final = frozenset({"purpose", "name", "fingerprint", "key", "variables", "input"})


def _read_finished(data: dict[str, Any]) -> Finished:
    return Finished(
        exit_code=None if data["exit_code"] is None else int(data["exit_code"]),
        signal=None if data["signal"] is None else int(data["signal"]),
        output=str(data["output"]),
        truncated=data["truncated"] is True,
        timed_out=data["timed_out"] is True,
        problem=str(data["problem"]),
    )
