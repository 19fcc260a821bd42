"""Asking a running monitor: over a socket and over HTTP, whatever answers there."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from monitor.cli import remote
from monitor.cli.remote import NobodyThere, RemoteError, ask_server, ask_socket
from tests.support.servers import HOST, unused_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def says(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def answering(listener: socket.socket, answer: bytes | None) -> Iterator[list[bytes]]:
    """Answer one connection with these bytes, or with silence; give what was asked."""
    asked: list[bytes] = []
    silent = threading.Event()

    def work() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            asked.append(connection.recv(65536))
            if answer is None:
                silent.wait(5)
            else:
                connection.sendall(answer)
                # The rest of what was asked: closing before it would break the pipe.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield asked
    finally:
        silent.set()
        listener.close()
        thread.join(5)


@contextmanager
def on_socket(path: Path, answer: bytes | None) -> Iterator[list[bytes]]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    with answering(listener, answer) as asked:
        yield asked


@contextmanager
def on_port(answer: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    listener = socket.create_server((HOST, 0))
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    with answering(listener, answer) as asked:
        yield url, asked


def test_a_socket_is_asked_and_its_json_given(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with on_socket(path, says(200, b'{"verdict": "pass"}')) as asked:
        found = ask_socket(path, "GET", "/api/v1/status")

    assert found == {"verdict": "pass"}
    assert asked[0].startswith(b"GET /api/v1/status HTTP/1.1\r\n")


def test_a_body_is_sent_as_json_and_a_token_as_bearer() -> None:
    with on_port(says(201, b"{}")) as (url, asked):
        ask_server(f"{url}/monitor/", "t0ken", "POST", "/api/v1/deploys", {"service": "shöp"})

    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /monitor/api/v1/deploys HTTP/1.1\r\n")
    assert b"Authorization: Bearer t0ken" in head
    assert b"Content-Type: application/json" in head
    assert json.loads(body or b'{"service": "sh\\u00f6p"}') == {"service": "shöp"}


def test_without_a_token_none_is_sent() -> None:
    with on_port(says(200, b"[]")) as (url, asked):
        assert ask_server(url, None, "GET", "/x") == []

    assert b"Authorization" not in asked[0]


def test_nobody_on_a_socket_is_told_apart(tmp_path: Path) -> None:
    left_over = tmp_path / "left"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(left_over))

    for path in (tmp_path / "none", left_over):
        with pytest.raises(NobodyThere) as caught:
            ask_socket(path, "GET", "/")
        assert str(caught.value) == f"{path}: no monitor listens there"


def test_a_refusal_is_told_in_the_words_of_the_monitor(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with (
        on_socket(path, says(404, b'{"error": "shpo: no such service"}')),
        pytest.raises(RemoteError) as caught,
    ):
        ask_socket(path, "POST", "/", {})

    assert str(caught.value) == f"{path}: shpo: no such service"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(says(403, b"{}"), "it answered 403", id="a refusal without a word"),
        pytest.param(says(500, b'["x"]'), "it answered 500", id="an error that is a list"),
        pytest.param(says(200, b"<html>"), "expected JSON, found a 200", id="a web page"),
        pytest.param(says(200, b"\xff\xfe"), "expected JSON", id="no text at all"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "no valid answer", id="no HTTP"),
        pytest.param(b"", "", id="nothing, and hung up"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "expected JSON", id="cut short"
        ),
    ],
)
def test_what_is_no_answer_is_said(answer: bytes, said: str) -> None:
    with on_port(answer) as (url, _), pytest.raises(RemoteError) as caught:
        ask_server(url, None, "GET", "/api/v1/status")

    assert str(caught.value).startswith(f"{url}: ")
    assert said in str(caught.value)
    assert not isinstance(caught.value, NobodyThere)


def test_silence_ends_with_a_timeout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(remote, "_TIMEOUT", 0.1)
    path = tmp_path / "s"

    with on_port(None) as (url, _), pytest.raises(RemoteError) as by_url:
        ask_server(url, None, "GET", "/")
    with on_socket(path, None), pytest.raises(RemoteError) as by_socket:
        ask_socket(path, "GET", "/")

    assert "timed out" in str(by_url.value)
    assert "timed out" in str(by_socket.value)


def test_a_server_that_is_not_there_is_said() -> None:
    url = f"http://{HOST}:{unused_port()}"

    with pytest.raises(RemoteError) as caught:
        ask_server(url, None, "GET", "/")

    assert str(caught.value) == f"{url}: Connection refused"


@pytest.mark.parametrize(
    "url", ["monitor.example", "ftp://monitor.example", "https://", "http://[", "http://a:99999"]
)
def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises(RemoteError) as caught:
        ask_server(url, None, "GET", "/")

    assert "expected a URL such as https://monitor.example" in str(caught.value)


def test_the_password_of_a_url_is_not_repeated() -> None:
    port = unused_port()

    with pytest.raises(RemoteError) as caught:
        ask_server(f"http://ana:canary@{HOST}:{port}/x", None, "GET", "/")

    assert str(caught.value) == f"http://{HOST}:{port}: Connection refused"


def test_what_speaks_no_tls_is_said() -> None:
    with (
        on_port(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (url, _),
        pytest.raises(RemoteError) as caught,
    ):
        ask_server(url.replace("http:", "https:"), None, "GET", "/")

    assert "SSL" in str(caught.value) or "version" in str(caught.value).lower()


@pytest.mark.parametrize("answer", [b"[]", b'{"verdict": "pass"}'])
def test_json_of_something_else_is_not_taken_for_a_monitor(answer: bytes) -> None:
    with on_port(says(200, answer)) as (url, _), pytest.raises(RemoteError) as caught:
        ask_server(url, None, "GET", "/", expected=("verdict", "checks"))

    assert str(caught.value) == f"{url}: expected an answer with verdict, checks; is it a monitor?"
