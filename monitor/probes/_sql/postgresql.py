"""One query to PostgreSQL, or whatever speaks its protocol, in a transaction that only reads."""

from __future__ import annotations

import asyncio
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._net.dial import dial, talking, upgrade
from monitor.probes._net.faults import Faulted, explain_own
from monitor.probes._sql import answer
from monitor.probes._sql.place import TlsUse
from monitor.probes._sql.remaining import milliseconds_left, seconds_to_leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monitor.probes._net.dial import Connection, Way
    from monitor.probes._net.look import Look
    from monitor.probes._sql.options import SqlOptions
    from monitor.probes._sql.place import Place
    from monitor.probes.probe import ProbeContext

_TLS_REQUEST: Final = struct.pack("!ll", 8, 80877103)
_JSON: Final = frozenset({"json", "jsonb"})
_NONSENSE: Final = (
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,
    asyncpg.exceptions.ProtocolViolationError,
    ValueError,  # text that is no UTF-8 among them
    LookupError,
    BufferError,
    struct.error,
)


class Database:
    """A database of PostgreSQL, which is asked again and again."""

    def __init__(self, options: SqlOptions, context: ProbeContext) -> None:
        self._options = options
        self._context = context

    async def ask(self, look: Look, place: Place) -> None:
        """Ask once; raises Faulted."""
        way = self._options.way_to(place)
        connection = await dial(look, self._context.resolver, way)
        try:
            if way.tls is not None:
                with talking(look):
                    await _agree_on_tls(look, way, connection, place.tls)
            look.watch.enter(Phase.PROCESSING)
            pipe = _Pipe(connection)
            with _explaining(look, pipe, self._context.mask):
                await self._converse(look, place, pipe)
        finally:
            connection.close()

    async def _converse(self, look: Look, place: Place, pipe: _Pipe) -> None:
        session = await asyncpg.connect(
            host="localhost",  # of which nothing is asked: the pipe is there already
            port=1,
            user=place.user,
            password=place.password,
            database=place.database,
            ssl=False,
            loop=pipe,
            statement_cache_size=0,
            target_session_attrs="any",
            server_settings={"application_name": "production-monitor"},
        )
        try:
            await self._query(look, session)
        except asyncpg.PostgresError:
            await _say_goodbye(session, seconds_to_leave(look, self._context))
            raise
        except BaseException:
            session.terminate()
            raise

        look.watch.leave()
        await _say_goodbye(session, seconds_to_leave(look, self._context))

    async def _query(self, look: Look, session: Any) -> None:
        await session.transaction(readonly=True).start()
        left = milliseconds_left(look, self._context)
        await session.execute(f"SET LOCAL statement_timeout = {left}")
        statement = await session.prepare(self._options.query, name="")
        columns = statement.get_attributes()
        if not columns:
            raise answer.refuse_nothing(look.peer)

        cursor = await statement.cursor()
        first = await cursor.fetch(1)
        look.watch.enter(Phase.TRANSFER)
        more = await cursor.fetch(answer.MOST_ROWS) if first else []
        if len(more) == answer.MOST_ROWS:
            raise answer.refuse_rows(look.peer)

        reads = [answer.read_json if one.type.name in _JSON else _same for one in columns]
        rows = [
            [read(value) for read, value in zip(reads, row.values(), strict=True)]
            for row in (*first, *more)
        ]
        answer.fill_in(look, [one.name for one in columns], rows)


class _Pipe:
    """Stands for the event loop towards the driver, and gives it a connection that is there.

    The driver would resolve, connect and verify on its own: by other rules, and in phases that
    nobody could tell apart.
    """

    def __init__(self, connection: Connection) -> None:
        self.full = False
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(
        self, make: Callable[[], asyncio.Protocol], *_place: object, **_options: object
    ) -> tuple[asyncio.BaseTransport, asyncio.Protocol]:
        """Give the connection, once: what would be a second one, to cancel a query, is refused."""
        if self._connection is None:
            raise ConnectionRefusedError

        transport = self._connection.writer.transport
        self._connection = None
        protocol = make()
        transport.set_protocol(_Metered(protocol, self, transport))
        protocol.connection_made(transport)

        return transport, protocol


class _Metered(asyncio.Protocol):
    """Hands on what arrives, and ends the connection where that is too much."""

    def __init__(
        self, protocol: asyncio.Protocol, pipe: _Pipe, transport: asyncio.WriteTransport
    ) -> None:
        self._protocol = protocol
        self._pipe = pipe
        self._transport = transport
        self._received = 0

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > answer.MOST_BYTES:
            self._pipe.full = True
            self._transport.abort()
            return

        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


async def _agree_on_tls(look: Look, way: Way, connection: Connection, use: TlsUse) -> None:
    look.watch.enter(Phase.TLS)
    connection.writer.write(_TLS_REQUEST)
    said = await connection.reader.readexactly(1)
    if said == b"S":
        await upgrade(look, way, connection)
    elif said != b"N":
        message = f"{look.peer} does not speak the protocol of PostgreSQL"
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message))
    elif use is TlsUse.ALWAYS:
        message = f"{look.peer} does not offer TLS, which is wanted"
        raise Faulted(Fault(code=Code.TLS_HANDSHAKE, message=message))


async def _say_goodbye(session: Any, seconds: float) -> None:
    """Tell the server that we leave: otherwise its log complains of us."""
    with suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await session.close(timeout=seconds)


@contextmanager
def _explaining(look: Look, pipe: _Pipe, mask: Callable[[str], str]) -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresConnectionError, OSError) as error:
        if pipe.full:
            raise answer.refuse_bytes(look.peer) from error
        if isinstance(error, OSError) and (own := explain_own(error)):
            raise Faulted(own) from error
        message = f"{look.peer} closed the connection in the middle of its answer"
        raise Faulted(Fault(code=Code.CONNECTION_RESET, message=message)) from error
    except asyncpg.PostgresError as error:
        raise _explain(error, look.peer, mask) from error
    except _NONSENSE as error:
        if pipe.full:
            raise answer.refuse_bytes(look.peer) from error
        message = f"{look.peer} does not speak the protocol of PostgreSQL as it should"
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message)) from error


def _explain(error: asyncpg.PostgresError, peer: str, mask: Callable[[str], str]) -> Faulted:
    said = str(getattr(error, "message", None) or error)
    match error:
        case asyncpg.QueryCanceledError():
            return answer.took_too_long(peer)
        case asyncpg.ReadOnlySQLTransactionError():
            return answer.refused_write(peer, said, mask)
        case asyncpg.InvalidAuthorizationSpecificationError():
            return answer.refused(peer, said, mask, Code.CREDENTIALS)

    return answer.refused(peer, said, mask)


def _same(value: object) -> object:
    return value
