"""One query to MySQL or MariaDB, in a session that only reads."""

from __future__ import annotations

import asyncio
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, cast

import aiomysql
import pymysql
from pymysql.charset import charset_by_name
from pymysql.constants import CLIENT, COMMAND, ER, FIELD_TYPE

from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._net.dial import dial, talking, upgrade
from monitor.probes._net.faults import Faulted
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

_LARGEST_PACKET: Final = 2**24 - 1
_TELL_THE_PASSWORD: Final = frozenset({"mysql_clear_password", "mysql_old_password"})
_NO_PLUGIN: Final = 2059  # that the client lacks
_LOST: Final = 2013
_NOT_LET_IN: Final = frozenset(
    {
        ER.ACCESS_DENIED_ERROR,
        ER.DBACCESS_DENIED_ERROR,
        1130,  # this host may not connect
        1251,  # the client does not support the authentication
        1698,  # access denied, without a password
        1820,  # the password has to be changed
        1862,  # the password has expired
        3118,  # the account is locked
        4151,  # the account is locked (MariaDB)
        _NO_PLUGIN,
    }
)
_TOOK_TOO_LONG: Final = frozenset({1317, 1969, 3024})
_WRITES: Final = frozenset({1792})
_NONSENSE: Final = (
    pymysql.err.InternalError,
    ValueError,
    LookupError,
    AssertionError,  # of the drivers, about what they read
    TypeError,  # the same, of a packet that ends too early
    struct.error,
)


class Database:
    """A database of MySQL or MariaDB, which is asked again and again."""

    def __init__(self, options: SqlOptions, context: ProbeContext) -> None:
        self._options = options
        self._context = context

    async def ask(self, look: Look, place: Place) -> None:
        """Ask once; raises Faulted."""
        way = self._options.way_to(place)
        connection = await dial(look, self._context.resolver, way)
        session = _Session(look, way, place, connection)
        try:
            look.watch.enter(Phase.PROCESSING)
            with _explaining(look, self._context.mask):
                await self._converse(look, session)
            look.watch.leave()
            await session.say_goodbye(seconds_to_leave(look, self._context))
        finally:
            session.forget()
            connection.close()

    async def _converse(self, look: Look, session: _Session) -> None:
        try:
            await session.log_in()
            await self._query(look, session)
        except pymysql.err.Error:
            await session.say_goodbye(seconds_to_leave(look, self._context))
            raise

    async def _query(self, look: Look, session: _Session) -> None:
        left = milliseconds_left(look, self._context)
        limit = (
            f"max_statement_time = {left / 1000}"
            if session.is_mariadb
            else f"max_execution_time = {left}"
        )
        await session.query(f"SET SESSION {limit}")
        await session.query("SET SESSION TRANSACTION READ ONLY")
        await session.query("START TRANSACTION READ ONLY")
        await session.query(self._options.query, unbuffered=True)
        columns, rows = await session.fetch()
        answer.fill_in(look, columns, rows)


class _Session(aiomysql.Connection):  # type: ignore[misc]  # the driver has no annotations
    """The driver's connection over one that is there already, and that is metered.

    The driver would resolve, connect and verify on its own: by other rules, and in phases that
    nobody could tell apart.
    """

    def __init__(self, look: Look, way: Way, place: Place, connection: Connection) -> None:
        super().__init__(
            host=place.host,
            user=place.user,
            password=place.password,
            db=place.database or None,
            charset="utf8mb4",
            autocommit=None,
            program_name="production-monitor",
        )
        self.client_flag &= ~(CLIENT.MULTI_STATEMENTS | CLIENT.LOCAL_FILES)
        self._look = look
        self._way = way
        self._tls = place.tls
        self._is_verified = place.verify or bool(place.path)
        self._over = connection
        self._received = 0
        self._secure = bool(place.path)
        self._reader, self._writer = connection.reader, connection.writer
        self._next_seq_id = 0

    @property
    def is_mariadb(self) -> bool:
        """Whether the server is one of MariaDB's."""
        return "mariadb" in self.server_version.lower()

    async def log_in(self) -> None:
        """Go as far as queries can be sent."""
        await self._get_server_information()
        if self.protocol_version != 10:
            raise ValueError(self.protocol_version)
        if self._tls is not TlsUse.NEVER:
            await self._agree_on_tls()
        self._check_plugin(self._server_auth_plugin)
        await self._request_authentication()

    async def fetch(self) -> tuple[list[str], list[list[object]]]:
        """Read the rows of the query that was sent last, with the names of their columns."""
        result: Any = self._result  # no annotation says what it is once there is one
        if not result.description:
            raise answer.refuse_nothing(self._look.peer)

        # its cursor would read on to the end, however far that is
        reads = [
            answer.read_json if one.type_code == FIELD_TYPE.JSON else _same for one in result.fields
        ]
        rows: list[list[object]] = []
        while (row := await result._read_rowdata_packet_unbuffered()) is not None:
            if not rows:
                self._look.watch.enter(Phase.TRANSFER)
            if len(rows) == answer.MOST_ROWS:
                raise answer.refuse_rows(self._look.peer)
            rows.append([read(value) for read, value in zip(reads, row, strict=True)])

        return [one[0] for one in result.description], rows

    async def say_goodbye(self, seconds: float) -> None:
        """Tell the server that we leave: otherwise its log complains of us."""
        if cast("Any", self._writer) is None:
            return  # the driver has left it, after a packet out of order

        self._next_seq_id = 0
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(seconds):
                self.write_packet(bytes([COMMAND.COM_QUIT]))
                await self._reader.read(1)

    def forget(self) -> None:
        """Leave the connection to whoever made it; the driver would complain of it."""
        self._over = self._reader = self._writer = self._result = cast("Any", None)

    async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
        self._check_plugin(plugin_name.decode(errors="replace"))

        return await super()._process_auth(plugin_name, auth_packet)

    def _check_plugin(self, name: str) -> None:
        """Refuse what would give the password away; the driver does as whoever answers wishes."""
        if name in _TELL_THE_PASSWORD and not self._is_verified:
            said = f"it asks for {name}, which is for a verified server alone (sslmode=verify-full)"
            raise pymysql.err.OperationalError(_NO_PLUGIN, said)

    async def _agree_on_tls(self) -> None:
        if not self.server_capabilities & CLIENT.SSL:
            if self._tls is TlsUse.ALWAYS:
                message = f"{self._look.peer} does not offer TLS, which is wanted"
                raise Faulted(Fault(code=Code.TLS_HANDSHAKE, message=message))
            return

        self.client_flag |= CLIENT.SSL
        charset = charset_by_name(self.charset).id
        self.write_packet(struct.pack("<iIB23s", self.client_flag, _LARGEST_PACKET, charset, b""))
        await upgrade(self._look, self._way, self._over)
        self._look.watch.enter(Phase.PROCESSING)
        self._secure = True

    async def _read_bytes(self, number: int) -> bytes:
        self._received += number
        if self._received > answer.MOST_BYTES:
            raise answer.refuse_bytes(self._look.peer)

        with talking(self._look):
            data: bytes = await self._reader.readexactly(number)

        return data


@contextmanager
def _explaining(look: Look, mask: Callable[[str], str]) -> Iterator[None]:
    try:
        yield
    except _NONSENSE as error:
        message = f"{look.peer} does not speak the protocol of MySQL as it should"
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message)) from error
    except pymysql.err.Error as error:
        raise _explain(error, look.peer, mask) from error


def _explain(error: Any, peer: str, mask: Callable[[str], str]) -> Faulted:
    number, said = (*error.args, 0, "")[:2]
    if not isinstance(number, int):
        number, said = 0, str(number)
    if number in _TOOK_TOO_LONG:
        return answer.took_too_long(peer)
    if number in _WRITES:
        return answer.refused_write(peer, str(said), mask)
    if number == _LOST:
        message = f"{peer} closed the connection in the middle of its answer"
        return Faulted(Fault(code=Code.CONNECTION_RESET, message=message))

    code = Code.CREDENTIALS if number in _NOT_LET_IN else Code.QUERY

    return answer.refused(peer, str(said), mask, code)


def _same(value: object) -> object:
    return value
