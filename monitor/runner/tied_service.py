"""The runner's side of one tied command: who asks, whether it was asked before, what is run."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Final

from monitor.logs import Log
from monitor.runner.local import Tie, run_here
from monitor.runner.protocol import Malformed
from monitor.runner.records import FRESH
from monitor.runner.service import Denied, Gone, find_stranger, is_gone, receive
from monitor.runner.tied_protocol import LARGEST_TIED_ORDER, Sight, read_order, write_sight

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from monitor.runner.records import Keys
    from monitor.runner.tied import TiedCommand
    from monitor.runner.tied_protocol import TiedOrder

    Find = Callable[[TiedOrder], TiedCommand]

_log = Log()

_PATIENCE: Final = 5.0
"""How long an answer may take to leave, in seconds."""


def serve_tied(connection: socket.socket, *, group: int | None, keys: Keys, find: Find) -> None:
    """Take one order and run what it means, for as long as whoever asked waits.

    `find` gives the command of an order, or raises Denied.
    """
    try:
        command = _take(connection, group, keys, find)
    except (Denied, Malformed) as error:
        _log.warning("order_denied", reason=str(error))
        _tell(connection, Sight(denied=str(error)))
        return
    except TimeoutError:
        _tell(connection, Sight(denied="no whole order came in time"))
        return
    except Gone:
        return

    _tell(connection, Sight(begun=True))
    finished = run_here(command.run(Tie(let_go=lambda: is_gone(connection))))
    _tell(connection, Sight(finished=finished))


def _take(connection: socket.socket, group: int | None, keys: Keys, find: Find) -> TiedCommand:
    if problem := find_stranger(connection, group):
        raise Denied(problem)

    order = read_order(receive(connection, LARGEST_TIED_ORDER))
    now = time()
    if abs(now - order.at) > FRESH.total_seconds():
        raise Denied("the order is of another time than now")

    command = find(order)
    try:
        keys.prune(now)
        new = keys.claim(order.key)
    except OSError as error:
        raise Denied(f"its key cannot be kept, so it is not run: {error.strerror}") from error
    if not new:
        raise Denied("this was run already")

    return command


def _tell(connection: socket.socket, sight: Sight) -> None:
    try:
        connection.settimeout(_PATIENCE)
        connection.sendall(write_sight(sight))
    except OSError as error:
        _log.info("answer_not_heard", error=str(error))
