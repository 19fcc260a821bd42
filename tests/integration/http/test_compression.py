"""Cases B 13 to 18: what is asked for, what has to come, and how much of it is kept."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import brotli
import pytest
from pydantic import ValidationError

from monitor.core.model.observation import Code
from monitor.probes._http import compression
from tests.support.http_probe import make_probe, observe
from tests.support.servers import answers, answers_page, serve_script
from tests.support.verdicts import judge_health, metrics_of

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = b"Always look on the bright side. " * 8
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
}

each_coding = pytest.mark.parametrize("coding", ENCODERS)


def encoded_page(coding: str, text: bytes = TEXT, *, says: str | None = None) -> tuple[object, int]:
    body = ENCODERS[coding](text)

    return answers_page(200, body, ("Content-Encoding", says or coding)), len(body)


@each_coding
async def test_13_what_was_not_asked_for_in_particular_is_decoded_if_it_was_offered(
    coding: str,
) -> None:
    """blackbox_exporter decodes nothing then; what we say that we accept, we read."""
    script, sent = encoded_page(coding)
    async with serve_script(script) as server:  # type: ignore[arg-type]  # a script
        seen = await observe(server.url())

    assert seen.fault is None
    assert b"Accept-Encoding: gzip, deflate\r\n" in server.heads[0]
    series = metrics_of(seen)
    assert series["probe_http_content_length"] == sent
    assert series["probe_http_uncompressed_body_length"] == (sent if coding == "br" else len(TEXT))


@each_coding
async def test_14_what_was_asked_for_is_decoded(coding: str) -> None:
    script, sent = encoded_page(coding)
    async with serve_script(script) as server:  # type: ignore[arg-type]  # a script
        seen = await observe(server.url(), compression=coding)

    assert seen.fault is None
    assert seen.body == TEXT
    assert f"Accept-Encoding: {coding}\r\n".encode() in server.heads[0]
    series = metrics_of(seen)
    assert series["probe_http_content_length"] == sent
    assert series["probe_http_uncompressed_body_length"] == len(TEXT)


@pytest.mark.parametrize(
    ("wanted", "came", "words"),
    [
        ("deflate", "gzip", "came as 'gzip', and deflate was asked for"),
        ("br", "gzip", "came as 'gzip', and br was asked for"),
        ("identity", "gzip", "came as 'gzip', and identity was asked for"),
        ("gzip", "", "came uncompressed, and gzip was asked for"),
        ("gzip", "x" * 500, f"came as '{'x' * 40}', and gzip was asked for"),
    ],
)
async def test_15_another_compression_than_was_asked_for_fails(
    wanted: str, came: str, words: str
) -> None:
    body = ENCODERS[came](TEXT) if came in ENCODERS else TEXT
    headers = [("Content-Encoding", came)] if came else []
    async with serve_script(answers_page(200, body, *headers)) as server:
        seen = await observe(server.url(), compression=wanted)

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert seen.fault.message == f"the body of 127.0.0.1:{server.port} {words}"
    assert judge_health(seen).outcome == "fail"
    assert metrics_of(seen)["probe_http_content_length"] == len(body)


async def test_15_identity_may_be_asked_for_and_gzip_by_its_old_name_is_gzip() -> None:
    script, _ = encoded_page("gzip", says="x-gzip")
    async with serve_script(script) as old:  # type: ignore[arg-type]  # a script
        assert (await observe(old.url(), compression="gzip")).fault is None
    async with serve_script(answers_page(200, TEXT)) as plain:
        assert (await observe(plain.url(), compression="identity")).fault is None


async def test_15_what_is_wrong_with_the_status_is_told_before_the_compression() -> None:
    async with serve_script(answers_page(503, b"down")) as server:
        seen = await observe(server.url(), compression="gzip")

    assert judge_health(seen).reasons[0].message == "status is 503, expected 2xx"


async def test_15_an_empty_answer_needs_no_compression() -> None:
    for raw in (
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ):
        async with serve_script(answers(raw)) as server:
            assert (await observe(server.url(), compression="gzip")).fault is None


@pytest.mark.parametrize(
    ("header", "wanted", "accepted"),
    [
        ("gzip", "gzip", True),
        ("br, gzip", "gzip", True),
        ("*", "gzip", True),
        ("GZip ; q=0.5", "gzip", True),
        ("deflate;q=1, *;q=0.1", "gzip", True),
        ("x-gzip", "gzip", True),
        ("gzip;q=0", "gzip", False),
        ("gzip; q=0.000", "gzip", False),
        ("*;q=0", "gzip", False),
        ("*;q=0, gzip", "gzip", True),
        ("br", "gzip", False),
        ("", "gzip", False),
        ("", "identity", True),
        ("gzip", "identity", True),
        ("identity;q=0", "identity", False),
        ("*;q=0", "identity", False),
        ("br", "any", True),
    ],
)
def test_16_a_header_of_ones_own_has_to_accept_what_is_demanded(
    header: str, wanted: str, accepted: bool
) -> None:
    assert compression.accepts(header, compression.Compression(wanted)) is accepted


async def test_16_a_header_of_ones_own_is_sent_as_it_is_or_refused_at_load() -> None:
    script, _ = encoded_page("gzip")
    async with serve_script(script) as server:  # type: ignore[arg-type]  # a script
        seen = await observe(
            server.url(), compression="gzip", headers={"accept-encoding": "br, gzip"}
        )
    with pytest.raises(ValidationError) as caught:
        make_probe("http://shop.test/", compression="gzip", headers={"ACCEPT-Encoding": "*;q=0"})

    assert seen.body == TEXT
    assert b"accept-encoding: br, gzip\r\n" in server.heads[0]
    assert "the header Accept-Encoding does not accept it" in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(("size", "truncated"), [(127, False), (128, False), (129, True)])
async def test_17_a_body_above_the_limit_is_cut_and_its_length_told(
    size: int, truncated: bool
) -> None:
    async with serve_script(answers_page(200, b"x" * size)) as server:
        seen = await observe(server.url(), body_limit=128)

    assert seen.body_truncated is truncated
    assert metrics_of(seen)["probe_http_content_length"] == size
    assert judge_health(seen, {"body": {"contains": "y"}}).outcome == "fail"
    # of what is cut it cannot be said what it does not hold
    assert (judge_health(seen, {"body": {"not_contains": "y"}}).outcome == "fail") is truncated


@each_coding
@pytest.mark.parametrize("size", [127, 129])
async def test_18_the_limit_counts_decoded_bytes(coding: str, size: int) -> None:
    script, _ = encoded_page(coding, b"x" * size)
    async with serve_script(script) as server:  # type: ignore[arg-type]  # a script
        seen = await observe(server.url(), compression=coding, body_limit=128)

    assert seen.fault is None
    assert seen.body == b"x" * min(size, 128)
    assert seen.body_truncated is (size > 128)


async def test_19_a_brotli_bomb_is_cut_at_the_limit() -> None:
    bomb = brotli.compress(bytes(100_000_000), quality=1)
    assert len(bomb) < 100_000
    async with serve_script(answers_page(200, bomb, ("Content-Encoding", "br"))) as server:
        tracemalloc.start()
        seen = await observe(server.url(), compression="br")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert seen.body_truncated
    assert len(seen.body) == 1024 * 1024
    assert peak < 10 * 1024 * 1024


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"no brotli at all, I fear", "not valid br"),
        (brotli.compress(TEXT * 50)[:-4], "br data ends early"),
    ],
)
async def test_brotli_that_cannot_be_decoded_is_a_bad_response(body: bytes, words: str) -> None:
    async with serve_script(answers_page(200, body, ("Content-Encoding", "br"))) as server:
        seen = await observe(server.url(), compression="br")

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert words in seen.fault.message


async def test_brotli_comes_in_pieces_and_with_padding() -> None:
    body = brotli.compress(TEXT) + b"\0" * 10
    chunks = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in body)
    raw = (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunks
        + b"0\r\n\r\n"
    )
    async with serve_script(answers(raw)) as server:
        seen = await observe(server.url(), compression="br")

    assert seen.body == TEXT


def test_a_compression_that_is_not_spoken_is_refused_at_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def complaint(value: object) -> str:
        with pytest.raises(ValidationError) as caught:
            make_probe("http://shop.test/", compression=value)
        return caught.value.errors()[0]["msg"]

    assert "expected one of any, gzip, deflate, br, identity, found 'zstd'" in complaint("zstd")
    monkeypatch.setattr(compression, "find_spec", lambda _name: None)
    assert "pip install production-monitor[brotli]" in complaint("br")
