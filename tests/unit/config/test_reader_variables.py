"""Variables in values: from the environment, files and credentials, and what never shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.config.document import LiveText
from monitor.options import Redactor
from tests.support.reading import complaints, read, write

if TYPE_CHECKING:
    from pathlib import Path

_FORMS = "${NAME}, ${NAME:-default}, ${file:/path} or ${credential:NAME}"
_ENVIRON = {"HOST": "shop.example", "PORT": "80", "EMPTY": "", "YES": "yes", "T": "true"}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${HOST}", "shop.example"),
        ('"https://${HOST}:${PORT}/"', "https://shop.example:80/"),
        ("x${EMPTY}y", "xy"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("'${NONE:-default}'", "default"),
        ("${EMPTY:-default}", "default"),
        ("${HOST:-default}", "shop.example"),
        ("${NONE:-a:-b}", "a:-b"),
        ("${NONE:-file:x}", "file:x"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$${HOST}"),
        ("$HOST $ $$ 5$", "$HOST $ $$ 5$"),
        ("a${HOST}$${b}", "ashop.example${b}"),
        ("|\n  one ${HOST}\n  two", "one shop.example\ntwo"),
        ("${PORT}", 80),
        ("'${PORT}'", "80"),
        ("!!str ${PORT}", "80"),
        ("1${PORT}", 180),
        ("${T}", True),
        ("${YES}", "yes"),
        ("${NONE:-010}", "010"),
        ("${NONE:-null}", "null"),
        ("${NONE:-1.5}", 1.5),
    ],
)
def test_a_variable_is_expanded_once(tmp_path: Path, written: str, value: object) -> None:
    document = read(tmp_path, f"key: {written}", environ=_ENVIRON)

    assert complaints(document) == []
    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


def test_what_a_variable_holds_is_not_expanded_again(tmp_path: Path) -> None:
    document = read(tmp_path, "key: '${A}'", environ={"A": "${B} # {x: [", "B": "no"})

    assert document.data == {"key": "${B} # {x: ["}
    assert document.sources == {("key",): "${A}"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("${NONE}", "variable NONE is not set: export it"),
        ("${HOTS}", "variable HOTS is not set; did you mean HOST?"),
        ("${host}", "variable host is not set; did you mean HOST?"),
        ("${HOST", 'found "${" without its "}": write $${ for a literal "${"'),
        ("x ${", 'found "${" without its "}": write $${ for a literal "${"'),
        ("${}", f"expected the name of a variable, as in {_FORMS}"),
        ("${:-x}", f"expected the name of a variable, as in {_FORMS}"),
        ("${1A}", f"expected {_FORMS}, found ${{1A}}"),
        ("${HOST }", f"expected {_FORMS}, found ${{HOST }}"),
        ("${HOST:?}", f"expected {_FORMS}, found ${{HOST:?}}"),
        ("${env:HOST}", f"expected {_FORMS}, found ${{env:HOST}}"),
        ("${É}", f"expected {_FORMS}, found ${{É}}"),
        ("${" + "1" * 90 + "}", f"expected {_FORMS}, found ${{{'1' * 39}…}}"),
        ("${A:-${B}}", "a variable cannot stand inside another one"),
        ("${file:}", "expected the path of a file, as in ${file:/path}"),
        ("${file:none}", "file none does not exist"),
        ("${file:folder}", "file folder is a directory"),
        ("${file:m.yml/x}", "file m.yml/x cannot be read: not a directory"),
        ("${file:/dev/zero}", "file /dev/zero is not a regular file"),
        ("${file:large}", "file large is larger than 64 KiB"),
        ("${file:binary}", "file binary is not UTF-8 text"),
        ('"${file:a\\0b}"', "file a\\x00b cannot be read"),
        (
            "${credential:}",
            "expected the name of a credential without slashes, as in ${credential:NAME}",
        ),
        (
            "${credential:../m.yml}",
            "expected the name of a credential without slashes, as in ${credential:NAME}",
        ),
        (
            "${credential:token}",
            "credential token is not there: $CREDENTIALS_DIRECTORY is not set, "
            "as systemd does for a unit with LoadCredential=token",
        ),
    ],
    ids=lambda value: value[:30],
)
def test_a_variable_that_cannot_be_expanded_says_why(
    tmp_path: Path, written: str, message: str
) -> None:
    write(tmp_path, {"folder/x": "", "large": "s" * 70_000, "binary": b"hush\xff"})
    document = read(tmp_path, f"a:\n  - {written}\n", environ=_ENVIRON)

    assert complaints(document) == [f"m.yml:2:5: a[0]: {message}"]
    assert document.unsettled == {("a", 0)}
    assert document.complete


def test_each_variable_of_a_value_is_judged(tmp_path: Path) -> None:
    document = read(tmp_path, "a: ${X} ${HOST} ${Y}\n", environ=_ENVIRON)

    assert complaints(document) == [
        "m.yml:1:4: a: variable X is not set: export it",
        "m.yml:1:4: a: variable Y is not set: export it",
    ]


def test_what_is_unset_may_be_allowed(tmp_path: Path) -> None:
    content = (
        "a: ${URL}\nb: ${URL}/health\nc: x ${Y} z\nd: '${file:none}'\ne: ${credential:x}\n"
        "f: ${HOST}\ng: ${credential:../x}\nh: '${file:here} ${Y}'\n"
    )
    write(tmp_path, {"here": "hush"})
    document = read(tmp_path, content, environ=_ENVIRON, allow_unset=True)

    assert [problem.path for problem in document.problems] == ["g"]
    assert document.data == {
        "a": "https://unset.example/URL",
        "b": "https://unset.example/health",
        "c": "x unset z",
        "d": "https://unset.example/file",
        "e": "https://unset.example/x",
        "f": "shop.example",
        "g": "${credential:../x}",
        "h": "hush unset",
    }
    assert document.unsettled == {(name,) for name in "abcdegh"}


def test_an_unset_credential_in_its_folder_may_be_allowed(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}

    document = read(tmp_path, "a: ${credential:x}", environ=environ, allow_unset=True)

    assert complaints(document) == []


def test_a_file_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    write(tmp_path, {"m.yml": "", "etc/a.yml": "a: ${file:keys/token}\n", "etc/keys/token": "t\n"})

    document = read(tmp_path, "include: [etc/a.yml]\nb: '${file:etc/keys/token}'\n")

    assert complaints(document) == []
    assert document.data == {"a": "t", "b": "t"}
    assert len(document.secrets) == 1


@pytest.mark.parametrize(
    ("content", "value"),
    [("t\n", "t"), ("t\r\n", "t"), ("t\n\n", "t\n"), (" t ", " t "), ("", ""), ("80", "80")],
)
def test_one_newline_at_the_end_of_a_file_is_not_part_of_it(
    tmp_path: Path, content: str, value: str
) -> None:
    write(tmp_path, {"token": content})

    document = read(tmp_path, "a: ${file:token}\n")

    assert document.data == {"a": value}


def test_a_file_is_read_again_when_it_is_needed(tmp_path: Path) -> None:
    write(tmp_path, {"token": "first\n"})
    document = read(
        tmp_path, "a: Bearer ${file:token}, ${X}\nb: ${file:token}\n", environ={"X": "x"}
    )
    whole, alone = document.data["a"], document.data["b"]
    assert isinstance(whole, LiveText)
    assert isinstance(alone, LiveText)
    redactor = Redactor(document.secrets)

    write(tmp_path, {"token": "second"})

    assert whole == "Bearer first, x"
    assert whole.secret.current == "Bearer first, x"
    assert whole.secret.reveal() == "Bearer second, x"
    assert alone.secret.reveal() == "second"
    assert redactor.mask("first second") == "*** ***"


def test_a_file_that_has_gone_leaves_its_last_value(tmp_path: Path) -> None:
    write(tmp_path, {"token": "first"})
    document = read(tmp_path, "a: x ${file:token}\n")
    live = document.data["a"]
    assert isinstance(live, LiveText)

    (tmp_path / "token").write_bytes(b"\xff")
    assert live.secret.reveal() == "x first"

    (tmp_path / "token").unlink()
    assert live.secret.reveal() == "x first"


def test_a_credential_comes_from_its_directory_and_needs_a_restart(tmp_path: Path) -> None:
    write(tmp_path, {"credentials/token": "hush\n"})
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    content = "a: ${credential:token}\nb: x ${credential:token}\nc: ${credential:tokens}\n"

    document = read(tmp_path, content, environ=environ)

    assert complaints(document) == [
        "m.yml:3:4: c: credential tokens is not in $CREDENTIALS_DIRECTORY; did you mean token?"
    ]
    assert document.data["a"] == "hush"
    assert document.data["b"] == "x hush"
    assert not isinstance(document.data["a"], LiveText)
    assert [secret.current for secret in document.secrets] == ["hush"]


def test_a_credential_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    write(tmp_path, {"credentials/token/x": ""})
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}

    document = read(tmp_path, "a: ${credential:token}\n", environ=environ)

    assert complaints(document) == ["m.yml:1:4: a: credential token is a directory"]


def test_a_credentials_directory_that_is_not_there_is_no_crash(tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}

    document = read(tmp_path, "a: ${credential:token}\n", environ=environ)

    assert complaints(document) == [
        "m.yml:1:4: a: credential token is not in $CREDENTIALS_DIRECTORY"
    ]


def test_the_source_of_each_expanded_value_is_kept(tmp_path: Path) -> None:
    content = "a: [x, 'y ${HOST}']\nb: $${z}\nc: plain\n"

    document = read(tmp_path, content, environ=_ENVIRON)

    assert document.sources == {("a", 1): "y ${HOST}", ("b",): "$${z}"}


def test_no_message_shows_what_a_variable_holds(tmp_path: Path) -> None:
    environ = {"SECRET": "hunter2", "NUMBER": "0x1F"}
    write(tmp_path, {"token": "hunter2"})
    content = (
        "include: ['${SECRET}', '${SECRET}/*/[', '${file:token}']\n"
        "a: ${SECRET} ${UNSET}\nb: ${SECRET} ${\nc: ${NUMBER}\nd: ${file:token} ${file:none}\n"
    )

    document = read(tmp_path, content, environ=environ)

    assert len(document.problems) == 4
    assert "hunter2" not in "".join(complaints(document))
    assert "hunter2" not in repr(document.secrets)
