"""The kind `sql`: values, rows and what goes wrong, against real databases."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from monitor.core.model.observation import Code, Phase
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from tests.support.databases import (
    PASSWORD,
    QUOTED,
    DatabaseServer,
    serve_mariadb,
    serve_postgresql,
)
from tests.support.http_probe import make_context
from tests.support.probing import ask, judge_health, measured
from tests.support.servers import serve_script, unused_port
from tests.support.shortage import descriptors_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from monitor.core.model.observation import Observation

EVENTS = """
CREATE TABLE webhook_events (
  client_id varchar(20), status varchar(10), created_at timestamp, sent_at timestamp NULL
);
INSERT INTO webhook_events VALUES
  ('acme', 'failed', '2026-01-01 00:00:00', NULL),
  ('globex', 'failed', '2026-01-01 00:00:00', NULL),
  ('globex', 'failed', '2026-01-01 00:00:00', NULL),
  ('acme', 'sent', '2026-01-01 00:00:00', '2026-01-01 00:00:30');
"""
CLEAR = """
DELIMITER //
CREATE FUNCTION clear_events() RETURNS int
BEGIN DELETE FROM webhook_events; RETURN 1; END //
DELIMITER ;
"""
FAILED = (
    "SELECT client_id, count(*) AS failed FROM webhook_events WHERE status = 'failed' "
    "GROUP BY client_id ORDER BY client_id"
)
postgresql_needed = pytest.mark.needs("pg_ctlcluster", "setpriv")
mariadb_needed = pytest.mark.needs("mariadbd", "setpriv")
each = pytest.mark.parametrize(
    "engine",
    [
        pytest.param("postgresql", marks=postgresql_needed),
        pytest.param("mysql", marks=mariadb_needed),
        "sqlite",
    ],
)
each_server = pytest.mark.parametrize(
    "engine",
    [
        pytest.param("postgresql", marks=postgresql_needed),
        pytest.param("mysql", marks=mariadb_needed),
    ],
)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[DatabaseServer]:
    with serve_postgresql() as server:
        server.run(f"\\c shop\nSET client_min_messages = error;{EVENTS}")
        yield server


@pytest.fixture(scope="module")
def mysql() -> Iterator[DatabaseServer]:
    with serve_mariadb() as server:
        server.run(f"USE shop; {EVENTS}{CLEAR}")
        yield server


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(EVENTS)
    connection.close()

    return path


@pytest.fixture
def url(engine: str, request: pytest.FixtureRequest) -> str:
    place = request.getfixturevalue(engine)

    return place.url() if isinstance(place, DatabaseServer) else f"sqlite:///{place}"


@pytest.fixture
def server(engine: str, request: pytest.FixtureRequest) -> DatabaseServer:
    found = request.getfixturevalue(engine)
    assert isinstance(found, DatabaseServer)

    return found


async def query(url: str, text: str, *, timeout: float = 5, **more: object) -> Observation:
    return await ask("sql", {"url": url, "query": text, **more}, timeout=timeout)


def fault_of(seen: Observation) -> tuple[Code, str]:
    assert seen.fault is not None
    assert not seen.fault.own, seen.fault.message
    assert PASSWORD not in seen.fault.message
    assert QUOTED not in seen.fault.message

    return seen.fault.code, seen.fault.message


def rows_of(seen: Observation) -> list[dict[str, object]]:
    rows = seen.values["rows"]
    assert isinstance(rows, list)

    return rows


# What a query gives


@each
async def test_one_row_of_one_column_is_the_value(url: str) -> None:
    seen = await query(url, "SELECT count(*) FROM webhook_events WHERE status = 'failed'")

    assert seen.fault is None
    assert seen.values["value"] == 3
    assert judge_health("sql", seen, {"value": {"lt": 10}}).outcome is Outcome.PASS
    assert judge_health("sql", seen, {"value": {"lt": 3}}).outcome is Outcome.FAIL
    assert measured(seen, "probe_sql_rows") == 1
    assert measured(seen, "probe_sql_duration_seconds", phase="processing") is not None


@each
async def test_rows_keep_their_order_and_name_the_worst_offender(url: str) -> None:
    seen = await query(url, FAILED)
    every = {"rows": {"every": {"column": "failed", "lt": 2}}}

    assert seen.values["rows"] == [
        {"client_id": "acme", "failed": 1},
        {"client_id": "globex", "failed": 2},
    ]
    assert "value" not in seen.values
    assert 'client_id "globex"' in judge_health("sql", seen, every).reasons[0].message


@each
async def test_no_rows_are_no_value(url: str) -> None:
    seen = await query(url, "SELECT client_id FROM webhook_events WHERE status = 'lost'")

    assert seen.fault is None
    assert seen.values["rows"] == []
    assert "value" not in seen.values
    assert judge_health("sql", seen).outcome is Outcome.PASS
    (reason,) = judge_health("sql", seen, {"value": {"lt": 1}}).reasons
    assert reason.message == "value is absent, expected less than 1: the query gave no row"


@each
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "SELECT 1 AS n UNION SELECT 2",
            "the query gave 2 rows, judge each by value: {column: n}",
        ),
        (
            "SELECT 1 AS n, 2 AS m",
            "the query gave 2 columns, choose one by value: {column: n}",
        ),
    ],
)
async def test_where_there_is_more_than_one_value_it_is_said_what_to_write(
    url: str, text: str, said: str
) -> None:
    seen = await query(url, text)

    (reason,) = judge_health("sql", seen, {"value": {"lt": 1}}).reasons
    assert reason.message == f"value is absent, expected less than 1: {said}"


@each
async def test_columns_of_the_same_name_are_told_apart(url: str) -> None:
    seen = await query(url, "SELECT 1 AS n, 2 AS n, NULL AS n")

    assert seen.values["rows"] == [{"n": 1, "n_2": 2, "n_3": None}]


@postgresql_needed
async def test_types_of_postgresql_become_what_json_knows(postgresql: DatabaseServer) -> None:
    postgresql.run("\\c shop\nDROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('good', 'bad');")
    cases: dict[str, object] = {
        "1.50::numeric": 1.5,
        "12::numeric": 12,
        "interval '1 minute 30.5 seconds'": 90.5,
        "interval '2 days'": 172_800,
        "true": True,
        "NULL::int": None,
        "date '2026-01-02'": "2026-01-02",
        "timestamptz '2026-01-02 03:04:05+00'": "2026-01-02T03:04:05+00:00",
        "'\\xdeadbeef'::bytea": "deadbeef",
        "'text'::bytea": "text",
        "ARRAY[1, 2]": [1, 2],
        """'{"a": [1]}'::jsonb""": {"a": [1]},
        "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "'good'::mood": "good",
        "'192.0.2.1'::inet": "192.0.2.1",
        "9223372036854775808": 9_223_372_036_854_775_808,
        "1.5::float8": 1.5,
    }
    columns = ", ".join(f"{text} AS c{number}" for number, text in enumerate(cases))
    seen = await query(postgresql.url(), f"SELECT {columns}")

    assert seen.fault is None
    (row,) = rows_of(seen)
    assert list(row.values()) == list(cases.values())


@mariadb_needed
async def test_types_of_mariadb_become_what_json_knows(mysql: DatabaseServer) -> None:
    cases: dict[str, object] = {
        "1.50": 1.5,
        "CAST(12 AS DECIMAL)": 12,
        "TIMEDIFF('00:01:30.5', '00:00:00')": 90.5,
        "TIMESTAMPDIFF(SECOND, '2026-01-01 00:00:00', '2026-01-01 00:01:30')": 90,
        "TRUE": 1,
        "NULL": None,
        "DATE '2026-01-02'": "2026-01-02",
        "TIMESTAMP '2026-01-02 03:04:05'": "2026-01-02T03:04:05",
        "X'DEADBEEF'": "deadbeef",
        "'Grüße 😀'": "Grüße 😀",
    }
    columns = ", ".join(f"{text} AS c{number}" for number, text in enumerate(cases))
    seen = await query(mysql.url(), f"SELECT {columns}")

    assert seen.fault is None
    (row,) = rows_of(seen)
    assert list(row.values()) == list(cases.values())


# The session only reads


@each
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE webhook_events SET status = 'sent'",
        "  /* SELECT */ DELETE FROM webhook_events",
        "-- SELECT\nDROP TABLE webhook_events",
        "SET GLOBAL read_only = 0",
        "",
    ],
)
def test_a_statement_that_plainly_writes_is_refused_when_it_is_read(
    url: str, statement: str
) -> None:
    with pytest.raises(ValueError, match=r"expected a query that reads|at least 1"):
        KINDS["sql"].options.model_validate({"url": url, "query": statement})


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 'x' INTO OUTFILE '/tmp/x'",
        "SELECT 'x' into/**/DumpFile '/tmp/x'",
        "SELECT 'it''s' INTO -- x\n OUTFILE '/tmp/x'",
        "SELECT 'a\\' INTO OUTFILE '/tmp/x' -- '",
        "SELECT 'a\\'' INTO OUTFILE '/tmp/x'",
        "SELECT \"it's\" INTO OUTFILE '/tmp/x'",
        "SELECT 1 # don't\n INTO OUTFILE '/tmp/x'",
        "SELECT 1.5INTO OUTFILE'/tmp/x'",
        "/*! SET GLOBAL read_only = 0; */ SELECT 1",
        "/*!50000 SET GLOBAL read_only = 0 */ SELECT",
        "/*M! SET GLOBAL read_only = 0 */ SELECT",
        "SELECT 1 /*!, sleep(9) */",
    ],
)
def test_what_a_server_of_mysql_would_write_is_refused_when_it_is_read(statement: str) -> None:
    with pytest.raises(ValueError, match=r"writes a file|executes what stands in a comment"):
        KINDS["sql"].options.model_validate({"url": "mysql://u@db/shop", "query": statement})


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM t WHERE note = 'into outfile /*! not */'",
        'SELECT `outfile`, "/*!" FROM t -- into outfile',
        "SELECT /*+ MAX_EXECUTION_TIME(5) */ 1",
        "SELECT 1 /* into outfile */",
    ],
)
def test_what_only_looks_like_writing_is_asked(statement: str) -> None:
    KINDS["sql"].options.model_validate({"url": "mysql://u@db/shop", "query": statement})


PRAGMAS = [
    "hard_heap_limit = 20000",
    "hard_heap_limit(1)",
    "soft_heap_limit",
    "main.user_version=1",
]


@pytest.mark.parametrize("pragma", [*PRAGMAS, '"user_version"', "wal_checkpoint"])
def test_a_pragma_that_does_more_than_read_is_refused(pragma: str) -> None:
    with pytest.raises(ValueError, match="expected a pragma that reads"):
        KINDS["sql"].options.model_validate({"url": "sqlite:///x.db", "query": f"PRAGMA {pragma}"})


async def test_sqlite_itself_refuses_pragmas_that_do_more_than_read(sqlite: Path) -> None:
    url = f"sqlite:///{sqlite}"
    hidden = await query(url, "EXPLAIN PRAGMA hard_heap_limit = 9999999999")
    set_by_it = await query(url, "SELECT * FROM pragma_user_version")
    info = await query(url, "PRAGMA table_info(webhook_events)")
    version = await query(url, "PRAGMA user_version;")

    assert "not authorized" in fault_of(hidden)[1]
    assert set_by_it.values["value"] == version.values["value"] == 0
    assert len(rows_of(info)) == 4


WRITES = {
    "postgresql": "WITH gone AS (DELETE FROM webhook_events RETURNING 1) SELECT * FROM gone",
    "mysql": "SELECT clear_events()",
    "sqlite": "WITH one AS (SELECT 1) DELETE FROM webhook_events",
}


@each
async def test_the_database_refuses_what_writes(url: str, engine: str) -> None:
    before = (await query(url, "SELECT count(*) FROM webhook_events")).values["value"]
    written = WRITES[engine]
    code, message = fault_of(await query(url, written))

    assert code is Code.QUERY
    assert "may only read" in message
    after = await query(url, "SELECT count(*) FROM webhook_events")
    assert after.values["value"] == before == 4


@each
async def test_a_second_statement_is_refused(url: str) -> None:
    code, _ = fault_of(await query(url, "SELECT 1; DELETE FROM webhook_events"))

    assert code is Code.QUERY


@each
async def test_what_the_database_says_of_a_bad_query_is_told(url: str) -> None:
    code, message = fault_of(await query(url, "SELECT missing FROM nowhere"))

    assert code is Code.QUERY
    assert "nowhere" in message


# Time


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
SLOW = {
    "postgresql": "SELECT pg_sleep(30)",
    "mysql": "SELECT SLEEP(30) FROM webhook_events",
    "sqlite": f"{ENDLESS} SELECT max(i) FROM n",
}


@each
async def test_a_slow_query_ends_at_the_deadline(url: str, engine: str) -> None:
    began = time.monotonic()
    seen = await query(url, SLOW[engine], timeout=0.5)

    assert fault_of(seen)[0] is Code.TIMEOUT
    assert time.monotonic() - began < 1


async def count_slow(server: DatabaseServer, engine: str) -> int:
    """Give how many slow queries of ours the server works on now."""
    running = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%SLEEP(30%'"
    running += " AND user = 'monitor'"
    if engine == "postgresql":
        running = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE application_name = 'production-monitor' AND query ~ '[s]leep'"
        )

    return int(await asyncio.to_thread(server.run, running))


@each_server
async def test_nothing_runs_on_behind_us(server: DatabaseServer, engine: str) -> None:
    asked = asyncio.create_task(query(server.url(), SLOW[engine], timeout=0.6))
    async with asyncio.timeout(5):
        while not await count_slow(server, engine):
            await asyncio.sleep(0.01)
        await asked
        while await count_slow(server, engine):
            await asyncio.sleep(0.01)


async def test_a_locked_file_ends_at_the_deadline(sqlite: Path) -> None:
    holder = sqlite3.connect(sqlite, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        seen = await query(f"sqlite:///{sqlite}", "SELECT 1 FROM webhook_events", timeout=0.3)
    finally:
        holder.close()

    assert fault_of(seen)[0] is Code.TIMEOUT
    assert "locked" in fault_of(seen)[1]


@each_server
async def test_no_server_complains_of_us_in_its_log(server: DatabaseServer) -> None:
    before = server.complaints()
    for mode in ("disable", "prefer"):
        for text in ("SELECT 1", "SELECT missing FROM nowhere"):
            await query(server.url(rest=f"?sslmode={mode}"), text)

    assert server.complaints() == before


async def test_a_file_that_hangs_holds_one_thread_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "hangs.db"
    os.mkfifo(path)
    options: Any = KINDS["sql"].options.model_validate(
        {"url": f"sqlite:///{path}", "query": "SELECT 1"}
    )
    probe = KINDS["sql"].make(options, make_context(0.2))
    before = threading.active_count()
    first = await probe.observe()
    again = await probe.observe()
    held = threading.active_count() - before
    await probe.close()
    with path.open("wb"):
        while threading.active_count() > before:
            await asyncio.sleep(0.01)

    assert fault_of(first)[0] is Code.TIMEOUT
    assert "previous query" in fault_of(again)[1]
    assert held == 1


# Size


MANY = {
    "postgresql": "SELECT * FROM generate_series(1, 1000000)",
    "mysql": "SELECT seq FROM seq_1_to_1000000",
    "sqlite": f"{ENDLESS} SELECT i FROM n",
}
LARGE = {
    "postgresql": "SELECT repeat('x', 10000000)",
    "mysql": "SELECT REPEAT('x', 10000000)",
    "sqlite": "SELECT hex(zeroblob(5000000))",
}


@each
async def test_a_million_rows_are_not_read(url: str, engine: str) -> None:
    code, message = fault_of(await query(url, MANY[engine]))

    assert code is Code.QUERY
    assert "more than 10000 rows" in message or "longer than 1024 KiB" in message


@each
async def test_a_value_of_ten_megabytes_is_not_read(url: str, engine: str) -> None:
    code, message = fault_of(await query(url, LARGE[engine]))

    assert code is Code.QUERY
    assert "longer than 1024 KiB" in message


# Who is let in


def packet(payload: bytes, number: int = 0) -> bytes:
    """Wrap what is said in the protocol of MySQL."""
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


MYSQL_WITHOUT_TLS = packet(
    b"\x0a8.0.1\0\1\0\0\0saltsalt\0\x09\xa2\x08\2\0\x08\0\x15"
    + b"\0" * 10
    + b"salt" * 3
    + b"\0mysql_native_password\0"
)


async def test_who_only_says_to_be_the_server_is_not_told_the_password() -> None:
    heard: list[bytes] = []

    async def ask_for_it(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(MYSQL_WITHOUT_TLS)
        heard.append(await reader.read(4096))
        writer.write(packet(b"\xfemysql_clear_password\0", 2))
        heard.append(await reader.read(4096))

    async with serve_script(ask_for_it, reads_head=False) as fake:
        url = f"mysql://monitor:{QUOTED}@127.0.0.1:{fake.port}/shop"
        code, message = fault_of(await query(url, "SELECT 1"))

    assert code is Code.CREDENTIALS
    assert "mysql_clear_password" in message
    assert len(heard) == 2
    assert PASSWORD.encode() not in b"".join(heard)


async def test_a_server_that_is_starting_says_so() -> None:
    async def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        said = b"SFATAL\0C57P03\0Mthe database system is starting up\0\0"
        writer.write(b"E" + (len(said) + 4).to_bytes(4, "big") + said)
        await reader.read()

    async with serve_script(start, reads_head=False) as fake:
        url = f"postgresql://monitor@127.0.0.1:{fake.port}/shop?sslmode=disable"
        code, message = fault_of(await query(url, "SELECT 1"))

    assert code is Code.QUERY
    assert message.endswith("refuses: the database system is starting up")


@each_server
async def test_a_wrong_password_is_a_matter_of_credentials(server: DatabaseServer) -> None:
    wrong = server.url().replace(QUOTED, "no")
    code, message = fault_of(await query(wrong, "SELECT 1"))

    assert code is Code.CREDENTIALS
    assert "monitor" in message


@each_server
async def test_a_database_that_does_not_exist_is_named(server: DatabaseServer) -> None:
    code, message = fault_of(await query(server.url().replace("/shop", "/nowhere"), "SELECT 1"))

    assert code is Code.QUERY
    assert "nowhere" in message


@postgresql_needed
async def test_too_many_connections_are_told(postgresql: DatabaseServer) -> None:
    code, message = fault_of(await query(postgresql.url("broken"), "SELECT 1"))

    assert code is Code.QUERY
    assert "too many connections" in message


# The way there


@each_server
async def test_tls_that_is_offered_is_spoken(server: DatabaseServer) -> None:
    seen = await query(server.url(), "SELECT 1")

    assert seen.values["value"] == 1
    assert seen.tls_version is not None
    assert seen.certificate is not None
    assert not seen.certificate.verified
    assert set(seen.phases) == set(Phase)


@each_server
async def test_a_verified_certificate_is_seen(server: DatabaseServer) -> None:
    tls = {"ca_file": str(server.authority.file)}
    seen = await query(server.url(host="localhost"), "SELECT 1", tls=tls)
    stranger = await query(server.url(host="localhost"), "SELECT 1", tls=True)
    mistaken = await query(server.url(), "SELECT 1", tls={**tls, "server_name": "db.example"})

    assert seen.fault is None
    assert seen.certificate is not None
    assert seen.certificate.verified
    assert fault_of(stranger)[0] is Code.TLS_CERT_UNTRUSTED
    assert fault_of(mistaken)[0] is Code.TLS_CERT_HOSTNAME


@each_server
async def test_without_tls_nothing_is_encrypted(server: DatabaseServer) -> None:
    seen = await query(server.url(rest="?sslmode=disable"), "SELECT 1")

    assert seen.values["value"] == 1
    assert seen.tls_version is None
    assert Phase.TLS not in seen.phases


@each_server
async def test_a_socket_leads_there_as_well(server: DatabaseServer) -> None:
    url = f"{server.scheme}://monitor:{QUOTED}@/shop?socket={server.socket}"
    seen = await query(url, "SELECT 1")

    assert seen.fault is None
    assert set(seen.phases) == {Phase.CONNECT, Phase.PROCESSING, Phase.TRANSFER}


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_server_without_tls_is_refused_where_it_is_wanted(scheme: str) -> None:
    greeting = b"N" if scheme == "postgresql" else MYSQL_WITHOUT_TLS

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()

    async with serve_script(greet, reads_head=False) as fake:
        url = f"{scheme}://monitor@127.0.0.1:{fake.port}/shop?sslmode=require"
        code, message = fault_of(await query(url, "SELECT 1"))

    assert code is Code.TLS_HANDSHAKE
    assert "does not offer TLS" in message


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
async def test_a_port_where_nobody_listens_refuses(scheme: str) -> None:
    url = f"{scheme}://monitor@127.0.0.1:{unused_port()}/shop"

    assert fault_of(await query(url, "SELECT 1"))[0] is Code.CONNECTION_REFUSED


# Servers that are none, or die


async def _nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(range(256)) * 64)
    await reader.read()


async def _web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await reader.read()


async def _endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\xff\xff\xff\0" + b"N" * 100_000)
    while True:
        writer.write(b"\xff\xff\xff\1" + b"D\x7f\xff\xff\xff" + b"x" * 65_536)
        await writer.drain()


@pytest.mark.parametrize("mode", ["prefer", "disable"])
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
@pytest.mark.parametrize("script", [_nothing, _garbage, _web, _endless])
async def test_what_is_no_database_is_a_fault_of_its_own(
    scheme: str, script: Callable[..., Any], mode: str
) -> None:
    async with serve_script(script, reads_head=False) as fake:
        url = f"{scheme}://monitor@127.0.0.1:{fake.port}/shop?sslmode={mode}"
        began = time.monotonic()
        code, _ = fault_of(await query(url, "SELECT 1", timeout=0.3))

    assert code in {Code.TIMEOUT, Code.BAD_RESPONSE, Code.QUERY, Code.CONNECTION_RESET}
    assert time.monotonic() - began < 1


@each_server
async def test_a_server_that_is_killed_in_the_middle_is_a_fault(engine: str) -> None:
    serve = serve_postgresql if engine == "postgresql" else serve_mariadb
    slow = "SELECT pg_sleep(30)" if engine == "postgresql" else "SELECT SLEEP(30)"
    with serve() as server:
        asked = asyncio.create_task(query(server.url(), slow))
        async with asyncio.timeout(5):
            while not await count_slow(server, engine):
                await asyncio.sleep(0.01)
        server.kill()
        code, message = fault_of(await asked)

    assert code is Code.CONNECTION_RESET
    assert str(server.port) in message


async def test_a_file_that_is_not_there_or_none_of_sqlite_is_told(tmp_path: Path) -> None:
    missing = await query(f"sqlite:///{tmp_path}/none.db", "SELECT 1")
    (tmp_path / "text.db").write_text("hello, this is no database at all\n" * 100)
    other = await query(f"sqlite:///{tmp_path}/text.db", "SELECT * FROM sqlite_master")

    assert "unable to open" in fault_of(missing)[1]
    assert not (tmp_path / "none.db").exists()
    assert "not a database" in fault_of(other)[1]


@pytest.mark.parametrize("free", [0, 1])
def test_a_file_that_we_have_no_descriptor_for_is_our_own_fault(sqlite: Path, free: int) -> None:
    with closing(sqlite3.connect(sqlite)) as keeper:
        keeper.execute("PRAGMA journal_mode = WAL")
        keeper.execute("INSERT INTO webhook_events (client_id) VALUES ('acme')")
        keeper.commit()
        options = KINDS["sql"].options.model_validate(
            {"url": f"sqlite:///{sqlite}", "query": "SELECT count(*) FROM webhook_events"}
        )

        async def look() -> Observation:
            probe = KINDS["sql"].make(options, make_context(5))
            with descriptors_left(free):
                seen: Observation = await probe.observe()
            return seen

        seen = asyncio.run(look())

    assert seen.fault is not None
    assert (seen.fault.own, seen.fault.code) == (True, Code.INTERNAL)
    assert seen.fault.message == "the monitor has no free file descriptor"


# URLs


@dataclass(frozen=True)
class Bad:
    url: str
    says: str


@pytest.mark.parametrize(
    "bad",
    [
        Bad("oracle://monitor:hunter22@db.example/shop", "scheme 'oracle'"),
        Bad("db.example:5432", "expected a URL such as"),
        Bad("postgresql://monitor:hunter22@db.example:port/shop", "host or port cannot be read"),
        Bad("postgresql://monitor:hunter22/x@db.example/shop", "written as %2F"),
        Bad("postgresql://db.example/shop", "found no user"),
        Bad("mysql://monitor:hunter22@/shop", "found no host"),
        Bad("mysql://monitor:hunter22@db.example/shop?charset=latin1", "'charset'"),
        Bad("postgresql://monitor:hunter22@db.example/shop?sslmode=verify-ca", "verify-full"),
        Bad("postgresql://monitor:hunter22@db.example/shop?sslmode=yes", "found 'yes'"),
        Bad("sqlite://shop.db", "sqlite:///shop.db"),
    ],
    ids=lambda bad: bad.says,
)
def test_a_url_that_cannot_be_used_says_why_and_not_the_password(bad: Bad) -> None:
    with pytest.raises(ValidationError) as raised:
        KINDS["sql"].options.model_validate({"url": bad.url, "query": "SELECT 1"})

    said = str([error["msg"] for error in raised.value.errors()])
    assert bad.says in said
    assert "hunter22" not in said


@pytest.mark.parametrize(
    ("url", "target", "witnessed"),
    [
        ("postgres://ana:pw@db.example/shop", "postgresql://db.example:5432/shop", True),
        ("mariadb://ana:pw@[::1]/shop", "mysql://[::1]:3306/shop", False),
        (
            "postgresql://ana@/shop?host=/run/postgresql",
            "postgresql:///shop?socket=/run/postgresql/.s.PGSQL.5432",
            False,
        ),
        ("sqlite:////srv/shop.db", "sqlite:////srv/shop.db", False),
    ],
)
def test_what_is_asked_is_shown_without_who_asks(url: str, target: str, *, witnessed: bool) -> None:
    options: Any = KINDS["sql"].options.model_validate({"url": url, "query": "SELECT 1"})

    assert (options.target, options.witnessed) == (target, witnessed)


async def test_a_file_is_beside_the_configuration_that_names_it(sqlite: Path) -> None:
    data = {"url": "sqlite:///shop.db", "query": "SELECT count(*) FROM webhook_events"}
    seen = await ask("sql", data, base=sqlite.parent)

    assert seen.values["value"] == 4


@each_server
async def test_a_port_of_a_database_can_be_watched_for_its_certificate_alone(
    engine: str, server: DatabaseServer
) -> None:
    protocol = {"postgresql": "postgres", "mysql": "mysql"}[engine]
    trust = {"ca_file": str(server.authority.file)}
    place = {"address": f"127.0.0.1:{server.port}", "starttls": protocol, "tls": trust}
    seen = await ask("tcp", place)

    assert seen.fault is None
    assert seen.certificate is not None
    assert seen.certificate.verified
