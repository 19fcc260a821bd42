"""What the monitor and the runner say to each other about a probe: an order, two lines back."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import uuid4

from monitor.runner.command import Finished
from monitor.runner.protocol import Malformed, read_object

LARGEST_SIGHT: Final = 8 * 1024 * 1024
"""How long a line about the end of a command may be, in bytes."""

_KEY: Final = re.compile(r"([0-9]{13})-[0-9a-f]{32}")
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOrder:
    """An endpoint whose command is to be run once: never an argument list.

    `key` is of this one run and begins with its time; `fingerprint` is that of the command which
    the monitor means.
    """

    endpoint: str
    fingerprint: str
    key: str

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


def write_probe_order(order: ProbeOrder) -> bytes:
    """Write an order as a line."""
    return json.dumps({"wish": "probe", **asdict(order)}).encode() + b"\n"


def read_probe_order(line: bytes) -> ProbeOrder:
    """Read an order; raises Malformed."""
    data = read_object(line)
    if data.keys() != {"wish", "endpoint", "fingerprint", "key"} or data["wish"] != "probe":
        raise Malformed("expected the wish probe with endpoint, fingerprint and key")
    for name, value in data.items():
        if not isinstance(value, str) or len(value) > _LONGEST_NAME:
            raise Malformed(f"{name}: expected a string of at most {_LONGEST_NAME} characters")
    if not _KEY.fullmatch(data["key"]):
        raise Malformed("key: expected a time and a random number")

    return ProbeOrder(endpoint=data["endpoint"], fingerprint=data["fingerprint"], key=data["key"])


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


def _read_finished(data: dict[str, Any]) -> Finished:
    return Finished(
        exit_code=None if data["exit_code"] is None else int(data["exit_code"]),
        signal=None if data["signal"] is None else int(data["signal"]),
        output=str(data["output"]),
        truncated=data["truncated"] is True,
        timed_out=data["timed_out"] is True,
        problem=str(data["problem"]),
    )
