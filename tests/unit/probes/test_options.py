"""What the options of an HTTP endpoint accept, refuse and show."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from monitor import probes
from monitor.config.document import LiveText
from monitor.options import Redactor, Secret
from monitor.probes import KINDS
from monitor.probes._http.options import HttpOptions
from monitor.probes._http.urls import show_location
from monitor.probes._net.options import TlsVersion
from monitor.probes.http import KIND

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

URL = "https://shop.example/"


def read(**request: object) -> HttpOptions:
    return HttpOptions.model_validate({"url": URL, "request": request})


def refusal(raw: object, **context: object) -> str:
    """Give the words of the one thing that is wrong."""
    with pytest.raises(ValidationError) as caught:
        HttpOptions.model_validate(raw, context=context or None)

    (error,) = caught.value.errors()
    place = ".".join(str(step) for step in error["loc"])

    return f"{place}: {error['msg'].removeprefix('Value error, ')}"


def test_the_table_names_the_kind_by_its_key() -> None:
    assert probes.KINDS["url"] is KIND
    assert KIND.flat


def test_everything_has_a_default() -> None:
    request = read().request

    assert request.method == "GET"
    assert request.follow_redirects
    assert request.max_redirects == 10
    assert request.body_limit == 1024 * 1024
    assert request.tls.verify


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("", "expected a URL such as https://shop.example/, found ''", id="nothing"),
        pytest.param(
            "shop.example", "expected a URL such as https://shop.example/, found", id="no scheme"
        ),
        pytest.param("ftp://shop.example/", "found 'ftp://shop.example/'", id="another scheme"),
        pytest.param("http:///path", "expected a URL", id="no host"),
        pytest.param("https://shop.example:0/", "expected a port of 1 to 65535", id="port 0"),
        pytest.param("https://shop.example:99999/", "expected a URL", id="a port too high"),
        pytest.param("https://shop.example/a b", "found white space in it", id="a blank"),
        pytest.param("https://shop.example/\n", "found white space in it", id="a line break"),
        pytest.param("https://[::1/", "expected a URL such as", id="a broken address"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused(url: str, words: str) -> None:
    assert words in refusal({"url": url})


def test_67_the_scheme_ignores_case() -> None:
    assert HttpOptions(url="HtTpS://shop.example/").target == URL


@pytest.mark.parametrize(
    ("request_options", "words"),
    [
        pytest.param({"method": "GE T"}, "request.method: expected a method", id="method"),
        pytest.param({"methd": "GET"}, "request.methd: Extra inputs", id="an unknown key"),
        pytest.param(
            {"headers": {"bad name": "x"}}, "expected a header name such as", id="header name"
        ),
        pytest.param(
            {"headers": {"Content-Length": "3"}}, "is set by the monitor itself", id="a length"
        ),
        pytest.param({"headers": {"X-A": 5}}, "expected a string, found 5; quote it", id="number"),
        pytest.param(
            {"headers": {"X-A": "a\r\nX-B: b"}}, "found a line break", id="a header within one"
        ),
        pytest.param({"headers": {"X-A": "\ud800"}}, "found a lone surrogate", id="surrogate"),
        pytest.param(
            {"headers": {"X-A": "1", "x-a": "2"}}, "header x-a is given twice", id="repeated"
        ),
        pytest.param({"body": 5}, "request.body: expected a string, found 5", id="a number"),
        pytest.param({"form": {"a": True}}, "form.a: expected a string, found True", id="a flag"),
        pytest.param(
            {"body": "a", "form": {}}, "at most one of body, body_file, json, form", id="two bodies"
        ),
        pytest.param({"body": "a", "json": None}, "found body and json", id="json null is one"),
        pytest.param(
            {"auth": {"bearer": "t"}, "headers": {"authorization": "x"}},
            "expected either auth or a header Authorization, found both",
            id="two authorizations",
        ),
        pytest.param(
            {"auth": {"bearer": "t", "basic": {"username": "a", "password": "b"}}},
            "expected exactly one of basic, bearer",
            id="two ways of authentication",
        ),
        pytest.param({"auth": {}}, "expected exactly one of basic, bearer", id="no way"),
        pytest.param(
            {"auth": {"basic": {"username": "a:b", "password": "c"}}},
            "cannot contain a colon",
            id="a colon",
        ),
        pytest.param({"max_redirects": 51}, "less than or equal to 50", id="redirects"),
        pytest.param({"max_redirects": "5"}, "valid integer", id="nothing is coerced"),
        pytest.param({"body_limit": "1 MB"}, "expected a size such as 512KiB", id="limit"),
        pytest.param(
            {"tls": {"min_version": "TLS14"}}, "expected one of TLS10, TLS11", id="TLS version"
        ),
        pytest.param(
            {"tls": {"min_version": "TLS13", "max_version": "TLS12"}},
            "min_version TLS13 is above max_version TLS12",
            id="no TLS version is left",
        ),
        pytest.param({"tls": {"server_name": ""}}, "at least 1 character", id="no server name"),
        pytest.param(
            {"tls": {"ca_file": "/nowhere/ca.pem"}},
            "expected an existing file, found none at /nowhere/ca.pem",
            id="no CA file",
        ),
        pytest.param(
            {"body_file": "/nowhere/body"},
            "expected an existing file, found none at /nowhere/body",
            id="32: no body file",
        ),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    request_options: dict[str, object], words: str
) -> None:
    assert words in refusal({"url": URL, "request": request_options})


def test_32_a_body_and_a_body_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "order").write_text("x")

    assert "found body and body_file" in refusal(
        {"url": URL, "request": {"body": "a", "body_file": str(tmp_path / "order")}}
    )


def test_files_are_relative_to_the_configuration_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "order").write_text("x")
    (tmp_path / "ca.pem").write_text("y")

    options = HttpOptions.model_validate(
        {"url": URL, "request": {"body_file": "order", "tls": {"ca_file": "ca.pem"}}},
        context={"base": tmp_path},
    )

    assert options.request.body_file == str(tmp_path / "order")
    assert options.request.tls.ca_file == str(tmp_path / "ca.pem")
    assert f"found none at {tmp_path}/gone" in refusal(
        {"url": URL, "request": {"body_file": "gone"}}, base=tmp_path
    )


def live(text: str) -> LiveText:
    """Make text that came from a file and carries the secret that reads it again."""
    return LiveText(text, Secret(text, refresh=lambda: text))


def test_a_credential_that_lives_in_a_file_stays_alive() -> None:
    token, key = live("token"), live("key")
    request = read(auth={"bearer": token}, headers={"X-Key": key}).request

    assert request.auth is not None
    assert request.auth.bearer is token.secret
    assert request.headers["X-Key"] is key.secret
    assert "found a line break" in refusal(
        {"url": URL, "request": {"headers": {"X-Key": live("a\nb")}}}
    )


def test_versions_of_tls_have_their_names_on_the_wire() -> None:
    options = read(tls={"min_version": "TLS12", "max_version": TlsVersion.TLS13}).request.tls

    assert options.min_version is not None
    assert options.min_version.wire is ssl.TLSVersion.TLSv1_2
    assert options.max_version is TlsVersion.TLS13


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("https://shop.example/a?b=c", "https://shop.example/a?b=c", id="plain"),
        pytest.param("https://ana:pw@shop.example/", "https://shop.example/", id="a person"),
        pytest.param("https://shop.example/#x", "https://shop.example/", id="a fragment"),
        pytest.param(
            "https://shop.example/?api_key=abc&q=1",
            "https://shop.example/?api_key=***&q=1",
            id="a secret parameter",
        ),
    ],
)
def test_a_target_is_shown_without_secrets(url: str, shown: str) -> None:
    assert HttpOptions(url=url).target == shown


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        pytest.param("/next?q=1", "/next?q=1", id="as it was written"),
        pytest.param("/next?x=%2f&token=abc", "/next?x=/&token=***", id="a token"),
        pytest.param("https://a:b@s3.test/?sig=abc", "https://s3.test/?sig=***", id="a person"),
        pytest.param("http://[::1", "http://[::1", id="what is no URL"),
    ],
)
def test_where_a_redirect_points_is_shown_without_secrets(location: str, shown: str) -> None:
    assert show_location(location) == shown


def test_no_secret_shows_in_the_repr_of_options() -> None:
    options = HttpOptions.model_validate(
        {
            "url": "https://ana:hunter22@shop.example/",
            "request": {
                "auth": {"bearer": "hunter23"},
                "headers": {"X-Token": "hunter24"},
                "body": "hunter25",
            },
        }
    )

    assert "hunter" not in repr(options)


def live_in(file: Path, value: str) -> LiveText:
    """Write a text into a file, and give it as the configuration reads it."""
    file.write_text(value)

    return LiveText(value, Secret(value, refresh=file.read_text))


@pytest.mark.parametrize(
    ("kind", "options", "was", "becomes", "sent"),
    [
        pytest.param(
            "redis",
            lambda text: {"address": "cache.example:6379", "password": text},
            "first-password",
            "other-password",
            "other-password",
            id="password",
        ),
        pytest.param(
            "url",
            lambda text: {
                "url": "http://shop.example/",
                "request": {"auth": {"basic": {"username": "ana", "password": text}}},
            },
            "first-password",
            "other-password",
            "YW5hOm90aGVyLXBhc3N3b3Jk",
            id="pair",
        ),
        pytest.param(
            "url",
            lambda text: {
                "url": "http://shop.example/",
                "request": {"headers": {"Authorization": text}},
            },
            "Bearer first-token",
            "Bearer other-token",
            "other-token",
            id="word of a header",
        ),
        pytest.param(
            "url",
            lambda text: {"url": "http://shop.example/", "request": {"proxy": text}},
            "http://ana:first-password@proxy.example:3128",
            "http://ana:other-password@proxy.example:3128",
            "other-password",
            id="proxy",
        ),
        pytest.param(
            "sql",
            lambda text: {"url": text, "query": "SELECT 1"},
            "postgresql://ana:first%2Fpassword@db.example/shop",
            "postgresql://ana:other%2Fpassword@db.example/shop",
            "other/password",
            id="url of a database",
        ),
        pytest.param(
            "tcp",
            lambda text: {"address": "mail.example:25", "dialogue": [{"send": text}]},
            "PASS first-password\r\n",
            "PASS other-password\r\n",
            "other-password",
            id="dialogue",
        ),
    ],
)
def test_what_is_masked_follows_a_file_that_changed(
    tmp_path: Path,
    kind: str,
    options: Callable[[LiveText], object],
    was: str,
    becomes: str,
    sent: str,
) -> None:
    file = tmp_path / "secret"
    text = live_in(file, was)
    read = KINDS[kind].options.model_validate(options(text))
    again = KINDS[kind].options.model_validate(options(text))
    mask = Redactor(read.secrets).mask

    assert mask(sent) == sent
    file.write_text(becomes)
    text.secret.reveal()

    assert mask(sent) == "***"
    assert set(read.secrets) == set(again.secrets)


def test_secrets_are_given_to_a_redactor() -> None:
    options = HttpOptions.model_validate(
        {
            "url": "https://ana:from-url@shop.example/",
            "request": {
                "auth": {"basic": {"username": "ana", "password": "from-auth"}},
                "headers": {"Cookie": "from-cookie", "X-Api-Key": "from-key", "X-Plain": "open"},
            },
        }
    )

    assert {one.reveal() for one in options.secrets} == {
        "from-url",
        "from-auth",
        "YW5hOmZyb20tYXV0aA==",  # the same as it is sent
        "from-cookie",
        "from-key",
    }
    assert read(auth={"bearer": "from-bearer"}).secrets == (Secret("from-bearer"),)
    assert read().secrets == ()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        pytest.param("localhost", True, id="localhost"),
        pytest.param("LOCALHOST.", True, id="localhost in full"),
        pytest.param("shop.localhost", True, id="below localhost"),
        pytest.param("127.0.0.1", True, id="127.0.0.1"),
        pytest.param("127.8.9.1", True, id="all of 127/8"),
        pytest.param("::1", True, id="::1"),
        pytest.param("::ffff:127.0.0.1", True, id="mapped"),
        pytest.param("192.0.2.1", False, id="another address"),
        pytest.param("2001:db8::1", False, id="another IPv6 address"),
        pytest.param("shop.example", False, id="a name"),
        pytest.param("localhost.example", False, id="a name that begins like it"),
    ],
)
def test_no_witness_is_asked_about_loopback(host: str, loopback: bool) -> None:
    shown = f"[{host}]" if ":" in host else host

    assert HttpOptions(url=f"http://{shown}/").witnessed is not loopback
