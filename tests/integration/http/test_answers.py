"""Cases A and B: status, version, lengths, compression and the limit of the body."""

from __future__ import annotations

import gzip
import resource
import zlib
from typing import TYPE_CHECKING

import pytest

from monitor.core.expectations import ExpectationError, compile_expectation
from monitor.core.model.observation import Code, Phase
from tests.support.http_probe import observe
from tests.support.servers import answers, answers_page, serve_script
from tests.support.verdicts import judge_health, metrics_of

if TYPE_CHECKING:
    import asyncio

HELLO = b"x" * 110


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        pytest.param(200, "pass", id="1: 200 without an expectation -> pass"),
        pytest.param(201, "pass", id="1: 201 without an expectation -> pass"),
        pytest.param(299, "pass", id="1: 299 without an expectation -> pass"),
        pytest.param(300, "fail", id="1: 300 without an expectation -> fail"),
        pytest.param(404, "fail", id="1: 404 without an expectation -> fail"),
        pytest.param(500, "fail", id="1: 500 without an expectation -> fail"),
    ],
)
async def test_2xx_is_wanted_by_default(status: int, outcome: str) -> None:
    async with serve_script(answers_page(status)) as server:
        seen = await observe(server.url())

    assert seen.fault is None
    assert seen.status == status
    assert judge_health(seen).outcome == outcome
    assert metrics_of(seen)["probe_http_status_code"] == status


@pytest.mark.parametrize(
    ("expected", "status", "outcome"),
    [
        pytest.param({"in": [200, 404]}, 200, "pass", id="2: 200 is in the list -> pass"),
        pytest.param({"in": [200, 404]}, 404, "pass", id="2: 404 is in the list -> pass"),
        pytest.param({"in": [200, 404]}, 201, "fail", id="2: a list replaces 2xx -> fail"),
        pytest.param(404, 404, "pass", id="3: the page is absent as it should be -> pass"),
        pytest.param(404, 200, "fail", id="3: the page is there -> fail"),
    ],
)
async def test_a_status_expectation_replaces_the_default(
    expected: object, status: int, outcome: str
) -> None:
    async with serve_script(answers_page(status)) as server:
        seen = await observe(server.url())

    assert judge_health(seen, {"status": expected}).outcome == outcome


async def test_4_an_expectation_about_something_else_leaves_2xx_required() -> None:
    async with serve_script(answers_page(404, b"hello")) as server:
        seen = await observe(server.url())

    verdict = judge_health(seen, {"body": {"contains": "hello"}})

    assert verdict.outcome == "fail"
    assert verdict.reasons[0].code is Code.STATUS


@pytest.mark.parametrize(
    ("line", "version"),
    [
        pytest.param("HTTP/1.1", "1.1", id="5: HTTP/1.1 -> 1.1"),
        pytest.param("HTTP/1.0", "1.0", id="5: HTTP/1.0 -> 1.0"),
    ],
)
async def test_the_version_of_the_answer_is_seen(line: str, version: str) -> None:
    async with serve_script(answers(f"{line} 200 OK\r\n\r\n".encode())) as server:
        seen = await observe(server.url())

    assert seen.http_version == version
    assert metrics_of(seen)["probe_http_version"] == float(version)


@pytest.mark.parametrize(
    ("allowed", "outcome"),
    [
        pytest.param((), "pass", id="5: any version -> pass"),
        pytest.param("1.1", "pass", id="5: 1.1 -> pass"),
        pytest.param({"in": ["1.1", "2"]}, "pass", id="5: 1.1 or 2 -> pass"),
        pytest.param("2", "fail", id="5: 2 -> fail"),
    ],
)
async def test_a_version_may_be_required(allowed: object, outcome: str) -> None:
    async with serve_script(answers_page(200)) as server:
        seen = await observe(server.url())

    verdict = judge_health(seen, *([{"http_version": allowed}] if allowed else []))

    assert verdict.outcome == outcome
    assert [reason.message for reason in verdict.reasons] == (
        ['HTTP version is "1.1", expected "2"'] if outcome == "fail" else []
    )


@pytest.mark.parametrize("raw", ["3", 3, {"in": ["1.1", "3.0"]}])
def test_6_a_version_that_is_never_spoken_is_refused_at_load(raw: object) -> None:
    with pytest.raises(ExpectationError, match="HTTP/3 is not spoken here"):
        compile_expectation({"http_version": raw}, "monitor.yml:1:1")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((), id="9: no encoding"),
        pytest.param((("Content-Encoding", "identity"),), id="10: identity"),
        pytest.param((("Content-Encoding", "xxx"),), id="11: an unknown encoding is passed on"),
        pytest.param((("Content-Encoding", "br"),), id="13: br was not asked for and is passed on"),
    ],
)
async def test_a_body_that_is_not_encoded_has_one_length(
    headers: tuple[tuple[str, str], ...],
) -> None:
    async with serve_script(answers_page(200, HELLO, *headers)) as server:
        seen = await observe(server.url())

    assert seen.fault is None
    assert seen.body == HELLO
    series = metrics_of(seen)
    assert series["probe_http_content_length"] == 110
    assert series["probe_http_uncompressed_body_length"] == 110
    assert series["probe_success"] == 1


async def test_12_the_lengths_survive_a_failure() -> None:
    async with serve_script(answers_page(404, b"not found")) as server:
        seen = await observe(server.url())

    series = metrics_of(seen)
    assert series["probe_success"] == 0
    assert series["probe_http_content_length"] == 9
    assert series["probe_http_uncompressed_body_length"] == 9


def raw_deflate(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)

    return squeezer.compress(data) + squeezer.flush()


@pytest.mark.parametrize(
    ("coding", "encoded"),
    [
        pytest.param("gzip", gzip.compress(HELLO), id="gzip"),
        pytest.param("x-gzip", gzip.compress(HELLO), id="gzip by its old name"),
        pytest.param("GZIP", gzip.compress(HELLO), id="gzip in capitals"),
        pytest.param(
            "gzip", gzip.compress(HELLO[:50]) + gzip.compress(HELLO[50:]), id="two gzip members"
        ),
        pytest.param("gzip", gzip.compress(HELLO) + b"\0" * 20, id="gzip with padding"),
        pytest.param("deflate", zlib.compress(HELLO), id="deflate"),
        pytest.param("deflate", raw_deflate(HELLO), id="deflate without its wrapping"),
    ],
)
async def test_a_compressed_body_is_decoded(coding: str, encoded: bytes) -> None:
    async with serve_script(answers_page(200, encoded, ("Content-Encoding", coding))) as server:
        seen = await observe(server.url())

    assert seen.fault is None
    assert seen.body == HELLO
    assert seen.content_length == len(encoded)


@pytest.mark.parametrize(
    ("encoded", "words"),
    [
        pytest.param(b"no gzip at all", "not valid gzip", id="not gzip"),
        pytest.param(gzip.compress(HELLO)[:-6], "ends early", id="cut gzip"),
        pytest.param(gzip.compress(b"x") * 101, "more than 100 gzip members", id="A6: members"),
    ],
)
async def test_a_body_that_cannot_be_decoded_is_a_bad_response(encoded: bytes, words: str) -> None:
    async with serve_script(answers_page(200, encoded, ("Content-Encoding", "gzip"))) as server:
        seen = await observe(server.url())

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert words in seen.fault.message
    assert seen.status == 200


async def test_a_head_request_may_declare_an_encoding_and_send_no_body() -> None:
    async with serve_script(
        answers(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 60\r\n\r\n")
    ) as server:
        seen = await observe(server.url(), method="HEAD")

    assert seen.fault is None
    assert seen.content_length == 60
    assert seen.body == b""


@pytest.mark.parametrize(
    ("size", "truncated"),
    [
        pytest.param(127, False, id="below"),
        pytest.param(128, False, id="at"),
        pytest.param(129, True, id="above"),
    ],
)
@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_the_limit_counts_decoded_bytes(size: int, truncated: bool, coding: str) -> None:
    body = b"y" * size
    headers = [("Content-Encoding", coding)] if coding else []
    sent = gzip.compress(body) if coding else body
    async with serve_script(answers_page(200, sent, *headers)) as server:
        seen = await observe(server.url(), body_limit=128)

    assert seen.fault is None
    assert seen.body_truncated is truncated
    assert len(seen.body) == min(size, 128)


async def test_19_a_gzip_bomb_is_cut_at_the_limit_with_bounded_memory() -> None:
    squeezer = zlib.compressobj(9, wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join(squeezer.compress(bytes(1 << 20)) for _ in range(200)) + squeezer.flush()
    async with serve_script(answers_page(200, bomb, ("Content-Encoding", "gzip"))) as server:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seen = await observe(server.url(), body_limit="1MiB")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert seen.body_truncated
    assert len(seen.body) == 1 << 20
    assert grown < 16 * 1024, "kilobytes"


async def test_a_body_that_is_larger_encoded_than_decoded_is_cut_too() -> None:
    squeezer = zlib.compressobj(0, wbits=16 + zlib.MAX_WBITS)
    empty = (
        squeezer.compress(b"")
        + b"".join(squeezer.flush(zlib.Z_FULL_FLUSH) for _ in range(1))
        + (b"\x00\x00\x00\xff\xff" * 40_000)
    )
    async with serve_script(answers_page(200, empty, ("Content-Encoding", "gzip"))) as server:
        seen = await observe(server.url(), body_limit=10)

    assert seen.body_truncated
    assert seen.body == b""


async def test_20_a_chunked_body_has_no_declared_length() -> None:
    raw = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n!!!\r\n0\r\n\r\n"
    )
    async with serve_script(answers(raw)) as server:
        seen = await observe(server.url())

    assert seen.content_length is None
    assert seen.body == b"hello!!!"
    series = metrics_of(seen)
    assert series["probe_http_content_length"] == -1
    assert series["probe_http_uncompressed_body_length"] == 8
    assert series["probe_success"] == 1


async def test_21_a_stall_in_the_body_ends_at_the_timeout_with_the_status_known() -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await reader.read(1)

    async with serve_script(stall) as server:
        seen = await observe(server.url(), timeout=0.3)

    assert seen.fault is not None
    assert seen.fault.code is Code.TIMEOUT
    assert "did not end within 300ms (4 bytes received)" in seen.fault.message
    assert seen.status == 200
    assert seen.body == b"half"
    assert seen.phases[Phase.TRANSFER].total_seconds() > 0.1
    assert judge_health(seen).outcome == "fail"
    assert metrics_of(seen)["probe_http_status_code"] == 200


async def test_22_a_body_shorter_than_declared_is_a_bad_response() -> None:
    async with serve_script(
        answers(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    ) as server:
        seen = await observe(server.url())

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert "broke off after 4 bytes" in seen.fault.message
    assert judge_health(seen).outcome == "fail"


async def test_header_lines_are_kept_as_they_came() -> None:
    async with serve_script(
        answers_page(200, b"", ("X-One", "a"), ("x-two", "b"), ("X-One", "c"))
    ) as server:
        seen = await observe(server.url())

    assert seen.headers[1:] == (("X-One", "a"), ("x-two", "b"), ("X-One", "c"))
    assert seen.header("x-one") == ("a", "c")


async def test_a_header_in_latin_1_is_read_as_such() -> None:
    async with serve_script(
        answers(
            b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nX-Utf: \xc3\xa9\r\nContent-Length: 0\r\n\r\n"
        )
    ) as server:
        seen = await observe(server.url())

    assert seen.header("X-Name") == ("café",)
    assert seen.header("X-Utf") == ("é",)
