"""What the monitor and the hook runner say to each other: one line of JSON each way."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final

from monitor.core.model.rollback import Effect, EffectContext, EffectOutcome

LARGEST_ORDER: Final = 128 * 1024
LARGEST_ANSWER: Final = 1024 * 1024

_LONGEST_VALUE: Final = 4_000
_MOST_ATTEMPTS: Final = 9
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}\.[0-9]{1,3}\.[1-9][0-9]{0,2}")
_TYPES: Final = {"str": str, "int": int, "bool": bool}


class Malformed(ValueError):
    """A line that is no order or no answer; the message says why, without its content."""


class Wish(StrEnum):
    """What the monitor wants: that a step is carried out, or to know what came of it."""

    RUN = "run"
    RECALL = "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A step, by its key, and what its command is told: never an argument list.

    `fingerprint` is that of the command which the monitor means: where the runner's configuration
    has another one, nothing is run.
    """

    wish: Wish
    fingerprint: str
    context: EffectContext

    @property
    def name(self) -> str:
        """What this attempt at the step is kept under."""
        return attempt_name(self.context.step_key, self.context.attempt)

    @property
    def step(self) -> int:
        """The place of the step among those of its level, from 1."""
        return int(self.context.step_key.rpartition(".")[2])

    @property
    def level(self) -> int:
        """The place of the level among those of its rollback or remedy, from 1."""
        return int(self.context.step_key.split(".")[-2])


class Known(StrEnum):
    """What the runner knows of an attempt.

    `unknown`: it was begun and never finished. `denied`: the order was not taken, so nothing was
    run for it.
    """

    RESULT = "result"
    NEVER_SEEN = "never_seen"
    UNKNOWN = "unknown"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the runner answers; `effect` stands with `result` only, `detail` says why else."""

    known: Known
    effect: Effect | None = None
    detail: str = ""


def attempt_name(key: str, attempt: int) -> str:
    """Name an attempt at a step."""
    return f"{key}.{attempt}"


def write_order(order: Order) -> bytes:
    """Write an order as a line."""
    return _line(
        {
            "wish": order.wish.value,
            "fingerprint": order.fingerprint,
            "context": asdict(order.context),
        }
    )


def read_order(line: bytes) -> Order:
    """Read an order; raises Malformed."""
    data = read_object(line)
    if data.keys() != {"wish", "fingerprint", "context"}:
        raise Malformed("expected wish, fingerprint and context")
    context = data["context"]
    if not isinstance(context, dict):
        raise Malformed("context: expected an object")
    if not isinstance(data["fingerprint"], str):
        raise Malformed("fingerprint: expected a string")
    try:
        wish = Wish(data["wish"])
    except ValueError as error:
        raise Malformed("wish: expected run or recall") from error

    return Order(wish=wish, fingerprint=data["fingerprint"], context=_read_context(context))


def write_answer(answer: Answer) -> bytes:
    """Write an answer as a line."""
    return _line(asdict(answer))


def read_answer(line: bytes) -> Answer:
    """Read an answer; raises Malformed."""
    data = read_object(line)
    try:
        effect = data["effect"]
        return Answer(
            known=Known(data["known"]),
            effect=None
            if effect is None
            else Effect(
                outcome=EffectOutcome(effect["outcome"]),
                detail=str(effect["detail"]),
                output=str(effect["output"]),
            ),
            detail=str(data["detail"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"no answer of a hook runner: {type(error).__name__}") from error


def _read_context(data: dict[str, Any]) -> EffectContext:
    wanted = {field.name: _TYPES[str(field.type)] for field in fields(EffectContext)}
    if data.keys() != wanted.keys():
        raise Malformed(f"context: expected exactly {', '.join(wanted)}")
    for name, kind in wanted.items():
        value = data[name]
        if type(value) is not kind:  # a boolean is an integer, but none is wanted for one
            raise Malformed(f"context.{name}: expected {kind.__name__}")
        if isinstance(value, str) and len(value) > _LONGEST_VALUE:
            raise Malformed(f"context.{name}: longer than {_LONGEST_VALUE} characters")

    context = EffectContext(**data)
    if not _KEY.fullmatch(context.step_key):
        raise Malformed("context.step_key: expected rollback.level.step")
    if not 1 <= context.attempt <= _MOST_ATTEMPTS:
        raise Malformed(f"context.attempt: expected 1 to {_MOST_ATTEMPTS}")

    return context


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode() + b"\n"


def read_object(line: bytes) -> dict[str, Any]:
    """Read a line that holds a JSON object; raises Malformed. Any: its values are not known."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Malformed("expected a line of JSON") from error
    if not isinstance(data, dict):
        raise Malformed("expected a JSON object")

    return data
