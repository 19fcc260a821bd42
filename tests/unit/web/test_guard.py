"""Who is local and who is of the same site: names that were made to point here are strangers."""

from __future__ import annotations

import pytest

from monitor.web.guard import _local_host, _same_site

HERE = ("127.0.0.1", "status.example")


@pytest.mark.parametrize(
    ("named", "known", "local"),
    [
        ("localhost", HERE, True),
        ("LOCALHOST:9797", HERE, True),
        ("127.0.0.1:9797", HERE, True),
        ("[::1]:9797", HERE, True),
        ("status.example", HERE, True),
        ("Status.Example:443", HERE, True),
        ("rebound.example", HERE, False),
        ("127.0.0.1.rebound.example", HERE, False),
        ("localhost@rebound.example", HERE, False),
        ("", HERE, False),
        ("", ("127.0.0.1", ""), False),
        ("[", HERE, False),
        ("0.0.0.0:9797", HERE, False),
    ],
)
def test_a_host_is_ours_or_a_strangers(named: str, known: tuple[str, ...], local: bool) -> None:
    assert _local_host(named, known) is local


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://127.0.0.1:9797", "127.0.0.1:9797", True),
        ("http://LOCALHOST:9797", "localhost:9797", True),
        ("https://status.example", "127.0.0.1:9797", True),
        ("http://127.0.0.1:9798", "127.0.0.1:9797", False),
        ("https://evil.example", "127.0.0.1:9797", False),
        ("null", "127.0.0.1:9797", False),
        ("", "127.0.0.1:9797", False),
        ("null", None, False),
        ("", "", False),
        ("http://[", "127.0.0.1:9797", False),
    ],
)
def test_a_page_is_ours_or_another_sites(origin: str, host: str | None, same: bool) -> None:
    assert _same_site(origin, (host, "https://status.example/")) is same
