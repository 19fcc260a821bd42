"""Asks a Redis server for one thing, on a connection of its own."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.shown import plain, shorten
from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._net.asking import NetworkProbe
from monitor.probes._net.dial import dial, talking
from monitor.probes._net.faults import Faulted
from monitor.probes._redis.options import RedisOptions
from monitor.probes._redis.protocol import (
    NotRedis,
    Refusal,
    TooMuch,
    read_reply,
    write_command,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.probes._net.dial import Connection
    from monitor.probes._net.look import Look
    from monitor.probes._redis.protocol import Reply

_LONGEST_MESSAGE: Final = 200
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?")
_FIELD: Final = re.compile(r"([A-Za-z0-9_.-]+):(.*)")
_NOT_LET_IN: Final = frozenset({"WRONGPASS", "NOAUTH", "NOPERM"})


class RedisProbe(NetworkProbe[RedisOptions]):
    """Sends one command to one server; the reply is `value`, and as JSON the `body`."""

    durations = "probe_redis_duration_seconds"

    async def _ask(self, look: Look) -> None:
        connection = await dial(look, self._context.resolver, self._way)
        look.watch.enter(Phase.PROCESSING)
        try:
            with talking(look):
                reply = await self._converse(look, connection)
        finally:
            connection.close()

        value = interpret(reply, self._options.command)
        look.body = json.dumps(value, ensure_ascii=False).encode()
        if not isinstance(value, dict | list):
            look.values["value"] = value

    async def _converse(self, look: Look, connection: Connection) -> Reply:
        options = self._options
        if options.password is not None:
            who = (options.username,) if options.username else ()
            words = ("AUTH", *who, options.password.reveal())
            await _call(look, connection, words, said="AUTH")
        if options.database:
            words = ("SELECT", str(options.database))
            await _call(look, connection, words, said=" ".join(words))

        return await _call(look, connection, options.command, said=options.command[0])


async def _call(look: Look, connection: Connection, words: Sequence[str], *, said: str) -> Reply:
    """Send a command and wait for its reply; raises Faulted where that is an error."""
    connection.writer.write(write_command(words))
    try:
        reply = await read_reply(connection.reader)
    except NotRedis as error:
        message = f"{look.peer} does not speak the protocol of Redis"
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message)) from error
    except TooMuch as error:
        message = f"the reply of {look.peer} to {said} is {error}"
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message)) from error
    if isinstance(reply, Refusal):
        raise Faulted(_refusal(reply.text, said, look.peer))

    return reply


def interpret(reply: Reply, command: Sequence[str]) -> object:
    """Give a reply as what JSON knows; that of INFO as a map of its fields."""
    if command[0].upper() == "INFO" and isinstance(reply, bytes):
        return _read_fields(reply.decode(errors="replace"))

    return _interpret_part(reply)


def _interpret_part(part: Reply) -> object:
    match part:
        case bytes():
            return _read_text(part.decode(errors="replace"))
        case list():
            return [_interpret_part(one) for one in part]
        case Refusal(text):
            return text

    return part


def _read_text(text: str) -> str | int | float:
    """Read what is written as a number is, since Redis keeps no others, as the number."""
    if not _NUMBER.fullmatch(text):
        return text

    return float(text) if "." in text else int(text)


def _read_fields(text: str) -> dict[str, object]:
    fields = (_FIELD.fullmatch(line) for line in text.splitlines())

    return {field[1]: _read_text(field[2]) for field in fields if field}


def _refusal(error: str, said: str, peer: str) -> Fault:
    words = shorten(plain(error), limit=_LONGEST_MESSAGE)
    code = Code.CREDENTIALS if error.partition(" ")[0] in _NOT_LET_IN else Code.QUERY

    return Fault(code=code, message=f"{peer} refuses {plain(said)}: {words}")
