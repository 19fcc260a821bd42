"""The hook runner's side of one connection: who asks, what is known, and what is run once."""

from __future__ import annotations

import os
import select
import socket
import struct
from contextlib import ExitStack
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from monitor.core.model.rollback import EffectOutcome
from monitor.logs import Log
from monitor.runner.protocol import (
    LARGEST_ORDER,
    Answer,
    Known,
    Malformed,
    Order,
    Wish,
    attempt_name,
    read_order,
    write_answer,
)
from monitor.runner.records import NoResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.model.rollback import Effect
    from monitor.runner.records import Records

    Prepare = Callable[[Order], Callable[[], Effect]]

_log = Log()

_PATIENCE: Final = 5.0
"""How long an order may take to arrive, and an answer to leave, in seconds."""

_LOOK_EVERY: Final = 0.1
_CREDENTIALS: Final = struct.Struct("iII")


class Denied(Exception):
    """An order that is not carried out; the message says why."""


def serve(
    connection: socket.socket, *, group: int | None, records: Records, prepare: Prepare
) -> None:
    """Take one order and answer it.

    `prepare` finds what an order names, or raises Denied, and gives what carries it out. Nothing is
    begun for who is gone already. Whoever leaves later does not end it, and its result is kept.
    """
    connection.settimeout(_PATIENCE)
    try:
        if problem := find_stranger(connection, group):
            raise Denied(problem)
        order = read_order(receive(connection))
        answer = _answer(connection, order, records, prepare)
    except (Denied, Malformed) as error:
        _log.warning("order_denied", reason=str(error))
        answer = Answer(known=Known.DENIED, detail=str(error))
    except TimeoutError:
        answer = Answer(known=Known.DENIED, detail="no whole order came in time")
    except Gone:
        return

    try:
        connection.settimeout(_PATIENCE)
        connection.sendall(write_answer(answer))
    except OSError as error:
        _log.info("answer_not_heard", error=str(error))

    try:
        records.prune()
    except OSError as error:
        _log.warning("records_not_pruned", error=str(error))


def find_stranger(connection: socket.socket, group: int | None) -> str | None:
    """Say why whoever asks may not; None for root, our own user, and the monitor's group."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, its_group = _CREDENTIALS.unpack(raw)
    if user in (0, os.geteuid()) or (group is not None and its_group == group):
        return None

    return f"user {user} of group {its_group} is not the monitor"


class Gone(Exception):
    """Nobody waits for an answer any more."""


def receive(connection: socket.socket, largest: int = LARGEST_ORDER) -> bytes:
    """Read one line; raises TimeoutError, Malformed or Gone."""
    until = monotonic() + _PATIENCE
    received = bytearray()
    while not received.endswith(b"\n"):
        connection.settimeout(max(0.001, until - monotonic()))
        try:
            part = connection.recv(LARGEST_ORDER)
        except ConnectionError as error:
            raise Gone from error
        if not part:
            raise Gone
        received += part
        if len(received) > largest:
            raise Malformed(f"an order is at most {largest} bytes")
        if monotonic() > until:
            raise TimeoutError

    return bytes(received)


def _answer(connection: socket.socket, order: Order, records: Records, prepare: Prepare) -> Answer:
    known = _wait(connection, order, records)
    if known is not NoResult.NEVER_SEEN:
        return _tell(known)
    if order.wish is Wish.RECALL:
        return Answer(known=Known.NEVER_SEEN)

    _check_earlier(order, records)
    carry_out = prepare(order)
    if is_gone(connection):
        raise Gone  # whoever comes after it decides anew
    facts = {"service": order.context.service, "pid": os.getpid(), "at": time()}
    with ExitStack() as stack:
        try:
            mine = stack.enter_context(records.begin(order.name, facts))
        except OSError as error:
            raise Denied(f"it cannot be recorded, so it is not run: {error.strerror}") from error

        if mine:
            return _carry_out(order, carry_out, records)

    return _tell(_wait(connection, order, records))


def _carry_out(order: Order, carry_out: Callable[[], Effect], records: Records) -> Answer:
    _log.info("step_begins", key=order.context.step_key, attempt=order.context.attempt)
    answer = Answer(known=Known.RESULT, effect=carry_out())
    assert answer.effect is not None
    _log.info("step_ended", key=order.context.step_key, outcome=answer.effect.outcome.value)
    try:
        records.finish(order.name, answer)
    except OSError as error:
        _log.error("result_not_kept", key=order.context.step_key, error=str(error))

    return answer


def _check_earlier(order: Order, records: Records) -> None:
    """Let another attempt be made only where no earlier one can have changed anything."""
    for attempt in range(1, order.context.attempt):
        known = records.recall(attempt_name(order.context.step_key, attempt))
        if known is NoResult.NEVER_SEEN:
            continue
        if (
            isinstance(known, NoResult)
            or known.effect is None
            or known.effect.outcome is not EffectOutcome.NOTHING_APPLIED
        ):
            raise Denied(f"attempt {attempt} may have had its effect")


def _wait(connection: socket.socket, order: Order, records: Records) -> Answer | NoResult:
    """Wait while the attempt runs elsewhere, as long as somebody wants to know."""
    while (known := records.recall(order.name)) is NoResult.RUNNING:
        if is_gone(connection, _LOOK_EVERY):
            raise Gone

    return known


def is_gone(connection: socket.socket, within: float = 0) -> bool:
    """Whether whoever asked has left: after an order there is nothing more to say but that."""
    readable, _, _ = select.select([connection], [], [], within)

    return bool(readable)


def _tell(known: Answer | NoResult) -> Answer:
    if isinstance(known, Answer):
        return known

    return Answer(
        known=Known.UNKNOWN,
        detail="it was begun, and the hook runner ended before it did",
    )
