"""`/metrics` over real connections: shared by who asks at once, packed, and left half-way."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING, Any

from tests.support.logs import capture_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

MEGABYTE = 1_000_000
LINE = b"# " + 98 * b"x"


async def test_fifty_scrapes_at_once_render_one_page(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as served:
        write, begun, all_asked = served.monitor.metrics.parts, [], asyncio.Event()

        def counted(**asked: Any) -> Iterator[bytes]:
            begun.append(asked)
            while not all_asked.is_set():
                yield b""
            yield from write(**asked)

        monkeypatch.setattr(served.monitor.metrics, "parts", counted)
        connections = [
            await asyncio.open_connection("127.0.0.1", served.server.port) for _ in range(50)
        ]
        for _, writer in connections:
            writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        await served.ask("GET", "/-/healthy")  # whatever came before it was read before it
        all_asked.set()
        answers = await asyncio.gather(*(reader.read() for reader, _ in connections))
        for _, writer in connections:
            writer.close()

    assert len(begun) == 1
    assert answers[0].startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"probe_success" in answers[0]
    assert {answer.partition(b"\r\n\r\n")[2] for answer in answers} == {
        answers[0].partition(b"\r\n\r\n")[2]
    }


async def test_a_page_is_packed_where_that_is_asked_for(serve: Any) -> None:
    async with serve() as served:
        plain, packed = [
            await served.session.get(
                f"{served.url}/metrics", headers={"Accept-Encoding": coding}, auto_decompress=False
            )
            for coding in ("identity", "gzip")
        ]
        texts = await plain.read(), gzip.decompress(await packed.read())
        _, nothing, head = await served.ask("HEAD", "/metrics")

    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"])
    assert [text.count(b"\n# TYPE ") for text in texts] == [texts[0].count(b"\n# TYPE ")] * 2
    assert (nothing, head.headers["Content-Type"]) == ("", plain.headers["Content-Type"])


async def test_a_scrape_that_is_broken_off_harms_nobody(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as served:
        large = [LINE * 10_000 for _ in range(20)]
        monkeypatch.setattr(served.monitor.metrics, "parts", lambda **_: iter(large))
        with capture_logs() as log:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.server.port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readexactly(2 * MEGABYTE)
            writer.close()
            status, text, _ = await served.ask("GET", "/metrics")

    assert (status, len(text)) == (200, 20 * MEGABYTE)
    assert log == []
