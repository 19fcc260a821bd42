"""Against Debian's nginx: what a real server does with our requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.http_probe import observe, observe_burst
from tests.support.nginx import serve_nginx
from tests.support.servers import HOST
from tests.support.verdicts import judge_health, metrics_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.authority import Authority

pytestmark = pytest.mark.needs("nginx")

PAGE = 'location / { default_type text/plain; return 200 "hello, hello, hello"; }'


def certificate(authority: Authority, folder: Path) -> str:
    cert, key = authority.write_server(folder)

    return f"ssl_certificate {cert}; ssl_certificate_key {key};"


async def test_8_a_server_that_would_speak_http_2_is_spoken_to_in_http_1_1(
    authority: Authority, tmp_path: Path
) -> None:
    """HTTP/2 is not spoken: it is not offered, so that no server chooses it."""
    ours = certificate(authority, tmp_path)
    async with serve_nginx(tmp_path, f"{ours} {PAGE}", listen="ssl http2") as port:
        seen = await observe(f"https://{HOST}:{port}/", tls={"ca_file": str(authority.file)})

    assert seen.fault is None
    assert seen.http_version == "1.1"
    assert metrics_of(seen)["probe_http_version"] == 1.1


async def test_a_server_that_demands_a_certificate_says_so_in_http(
    authority: Authority, tmp_path: Path
) -> None:
    demand = f"ssl_verify_client on; ssl_client_certificate {authority.file};"
    ours = certificate(authority, tmp_path)
    files = authority.write_client(tmp_path)
    async with serve_nginx(tmp_path, f"{ours} {demand} {PAGE}", listen="ssl") as port:
        url = f"https://{HOST}:{port}/"
        nobody = await observe(url, tls={"ca_file": str(authority.file)})
        somebody = await observe(
            url,
            tls={
                "ca_file": str(authority.file),
                "cert_file": str(files[0]),
                "key_file": str(files[1]),
            },
        )

    assert nobody.status == 400
    assert b"No required SSL certificate was sent" in nobody.body
    assert somebody.status == 200


async def test_a_rate_limit_answers_a_burst_with_429(tmp_path: Path) -> None:
    zone = "limit_req_zone $binary_remote_addr zone=a:1m rate=1r/s;"
    limit = "limit_req zone=a burst=9 nodelay; limit_req_status 429;"
    files = f"root {tmp_path}; {limit} location / {{ try_files /page =404; }}"
    (tmp_path / "page").write_text("hello")
    async with serve_nginx(tmp_path, files, http=zone) as port:
        within = await observe_burst(f"http://{HOST}:{port}/", 8)
        above = await observe_burst(f"http://{HOST}:{port}/", 8)

    assert judge_health(within, {"status": 200}).outcome == "pass"
    verdict = judge_health(above, {"status": 200})
    assert verdict.reasons[0].message in {
        f"status is 429, expected 200 ({number} of 8 requests at once)" for number in (5, 6)
    }


async def test_a_compression_that_is_configured_comes(tmp_path: Path) -> None:
    squeezing = f"gzip on; gzip_types text/plain; gzip_min_length 1; {PAGE}"
    async with serve_nginx(tmp_path, squeezing) as port:
        squeezed = await observe(f"http://{HOST}:{port}/", compression="gzip")
    async with serve_nginx(tmp_path, PAGE) as port:
        plain = await observe(f"http://{HOST}:{port}/", compression="gzip")

    assert squeezed.body == b"hello, hello, hello"
    assert plain.fault is not None
    assert "came uncompressed, and gzip was asked for" in plain.fault.message
