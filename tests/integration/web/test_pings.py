"""Pings over HTTP: who may send them, in which forms, and what strangers learn."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from monitor.core.model.heartbeat import Heartbeat, PingKind
from tests.support.logs import capture_logs

if TYPE_CHECKING:
    from pathlib import Path

KEY = "kkkk-1111-2222-3333"
MORE = f"  backup:\n    heartbeat: {{period: 1d, key: {KEY}}}\n"
TOKENS = "tokens: [{name: eyes, scope: read, token: read-token-1}]"


def heard(served: Any) -> Heartbeat:
    heartbeat: Heartbeat = served.monitor.engine.situation.heartbeats["backup"]

    return heartbeat


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize(
    ("signal", "kind", "exit_code"),
    [
        ("", PingKind.SUCCESS, 0),
        ("/start", PingKind.START, None),
        ("/fail", PingKind.FAIL, None),
        ("/0", PingKind.SUCCESS, 0),
        ("/255", PingKind.FAIL, 255),
    ],
)
async def test_a_ping_is_heard_in_each_of_its_forms(
    serve: Any, method: str, signal: str, kind: PingKind, exit_code: int | None
) -> None:
    async with serve(more=MORE) as served:
        status, text, _ = await served.ask(method, f"/ping/{KEY}{signal}")
        (ping,) = heard(served).pings

    assert (status, text) == (200, "" if method == "HEAD" else "ok\n")
    assert (ping.kind, ping.exit_code) == (kind, exit_code)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        pytest.param("GET", f"/ping/{KEY}/256", 400, id="no exit code"),
        pytest.param("GET", f"/ping/{KEY}/-1", 400, id="a signal's number"),
        pytest.param("GET", f"/ping/{KEY}/stop", 400, id="another word"),
        pytest.param("GET", f"/ping/{KEY}/%C2%B2", 400, id="a digit of no number"),
        pytest.param("GET", f"/ping/{KEY}x", 404, id="another key"),
        pytest.param("GET", f"/ping/{KEY[:-1]}", 404, id="a part of the key"),
        pytest.param("GET", "/ping/backup", 404, id="the name of the endpoint"),
        pytest.param("GET", "/ping/%FF%00/start", 404, id="no text"),
        pytest.param("GET", f"/ping/{KEY}x/256", 404, id="a wrong key tells nothing of signals"),
        pytest.param("GET", "/ping/", 404, id="no key"),
        pytest.param("DELETE", f"/ping/{KEY}", 405, id="another method"),
    ],
)
async def test_what_is_no_ping_is_not_heard(serve: Any, method: str, path: str, code: int) -> None:
    async with serve(more=MORE) as served:
        status, text, _ = await served.ask(method, path)
        pings = heard(served).pings

    assert status == code
    assert pings == ()
    assert KEY not in text


async def test_a_ping_needs_no_token_where_everything_else_does(serve: Any) -> None:
    # A way to write 127.0.0.1 that the system knows, and that is no address by the rules.
    async with serve(more=MORE, listen="127.1:0", web=f"open: []\n  {TOKENS}") as served:
        unknown, *_ = await served.ask("GET", "/metrics")
        status, *_ = await served.ask("POST", f"/ping/{KEY}", headers={"Host": "monitor.example"})
        wrong, *_ = await served.ask("GET", "/ping/kkkk-1111-2222-3334", token="read-token-1")

    assert (unknown, status, wrong) == (401, 200, 404)


async def test_a_page_of_another_site_cannot_ping(serve: Any) -> None:
    async with serve(more=MORE) as served:
        elsewhere = {"Origin": "https://evil.example"}
        status, *_ = await served.ask("POST", f"/ping/{KEY}", headers=elsewhere)

        assert status == 403
        assert heard(served).pings == ()


async def test_who_tries_many_keys_has_to_wait_and_who_has_the_right_one_has_not(
    serve: Any,
) -> None:
    with capture_logs() as logs:
        async with serve(more=MORE) as served:
            tried = [(await served.ask("GET", f"/ping/wrong-{n}"))[0] for n in range(12)]
            right, *_ = await served.ask("GET", f"/ping/{KEY}")

    assert tried == [404] * 10 + [429] * 2
    assert right == 200
    assert "wrong-" not in str(logs)


async def test_the_end_of_a_long_output_is_kept_and_a_secret_in_it_is_not(serve: Any) -> None:
    body = b"begin\n" + b"x" * 300_000 + f"\n{KEY}\x07\nend\n".encode()
    async with serve(more=MORE) as served:
        status, *_ = await served.ask("POST", f"/ping/{KEY}", data=body)
        ended = heard(served).ended

    assert status == 200
    assert ended is not None
    assert len(ended.output) == 10 * 1024
    assert ended.output.endswith("x\n***\\x07\nend")


async def test_no_half_of_a_secret_is_kept_of_an_output(serve: Any) -> None:
    kept = "\n".join([KEY] * (10 * 1024 // len(KEY)))
    body = f"begin\n{KEY}{'x' * (20 * 1024 - len(KEY) // 2 - len(kept))}{kept}".encode()
    red = f"{KEY[:9]}\x1b[31m{KEY[9:]}".encode()
    async with serve(more=MORE) as served:
        outputs = []
        for said in (body, red):
            await served.ask("POST", f"/ping/{KEY}", data=said)
            ended = heard(served).ended
            outputs.append(ended.output if ended else "")

    assert outputs[1] == "***"
    assert [KEY[-9:] in output or KEY[:9] in output for output in outputs] == [False, False]


async def test_a_body_that_breaks_off_or_is_packed_is_no_reason_not_to_hear(serve: Any) -> None:
    async with serve(more=MORE) as served:
        packed = {"Content-Encoding": "gzip"}
        status, *_ = await served.ask("POST", f"/ping/{KEY}/1", data=b"\x1f\x8b", headers=packed)
        first = heard(served).ended
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        head = f"POST /ping/{KEY}/2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n"
        writer.write(head.encode() + b"disk")
        writer.write_eof()
        await reader.read()
        writer.close()
        async with asyncio.timeout(5):
            while len(heard(served).pings) < 2:
                await asyncio.sleep(0.01)
        second = heard(served).ended

    assert (status, first and first.output) == (200, "")
    assert second is not None
    assert second.output.startswith("disk")


async def test_a_ping_counts_from_its_arrival_and_its_body_is_not_waited_for_long(
    serve: Any,
) -> None:
    async with serve(more=MORE) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
        head = f"POST /ping/{KEY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode() + b"disk")
        sent = datetime.now(UTC)
        answer = await reader.readline()
        answered = datetime.now(UTC)
        writer.close()
        ended = heard(served).ended

    assert answer.startswith(b"HTTP/1.1 200")
    assert answered - sent < timedelta(seconds=8)
    assert ended is not None
    assert ended.at - sent < answered - ended.at
    assert ended.output == "disk\n(the rest did not arrive)"


async def test_a_key_of_a_file_is_read_again_and_half_a_key_opens_nothing(
    serve: Any, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    more = MORE.replace(KEY, f'"${{file:{file}}}"')
    async with serve(more=more) as served:
        codes = [(await served.ask("GET", f"/ping/{KEY}"))[0]]
        for written, asked in (("new-" + KEY, "new-" + KEY), ("new-" + KEY, KEY), ("n", "n")):
            file.write_text(written)
            codes.append((await served.ask("GET", f"/ping/{asked}"))[0])

    assert codes == [200, 200, 404, 404]


async def test_a_key_that_a_reload_changes_is_taken_at_once_and_no_ping_is_lost(
    serve: Any, tmp_path: Path
) -> None:
    async with serve(more=MORE) as served:
        await served.ask("GET", f"/ping/{KEY}")
        config = tmp_path / "monitor.yml"
        config.write_text(config.read_text().replace(KEY, "new-" + KEY))
        outcome = await served.monitor.reload()
        codes = [(await served.ask("GET", f"/ping/{key}"))[0] for key in (KEY, "new-" + KEY)]
        pings = heard(served).pings
        config.write_text(config.read_text().split("  backup:")[0])
        await served.monitor.reload()
        gone, *_ = await served.ask("GET", f"/ping/new-{KEY}")

        assert served.monitor.engine.situation.heartbeats == {}
    assert outcome.problems == ()
    assert (codes, gone) == ([404, 200], 404)
    assert len(pings) == 2


async def test_many_pings_at_once_are_all_heard(serve: Any) -> None:
    async with serve(more=MORE) as served:
        connector = aiohttp.TCPConnector(limit=20)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ping() -> int:
                async with session.get(f"{served.url}/ping/{KEY}") as answer:
                    return answer.status

            codes = await asyncio.gather(*(ping() for _ in range(20)))

        assert codes == [200] * 20
        assert len(heard(served).pings) == 20
