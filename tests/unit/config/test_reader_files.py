"""Overlays, includes, and files that cannot be read."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from monitor.config import reader
from monitor.config.document import Document
from monitor.config.files import LARGEST
from monitor.config.reader import DEEPEST_INCLUDE, read_document
from tests.support.reading import complaints, read, read_all, write

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_a_later_file_merges_maps_and_replaces_the_rest(tmp_path: Path) -> None:
    base = "a: {x: 1, y: [1, 2], z: {p: 1}, w: {q: 1}}\nb: 1\n"
    later = "a:\n  y: [3]\n  z: {r: 2}\n  w: off it goes\nc: 3\n"
    write(tmp_path, {"base.yml": base, "prod/later.yml": later})

    document = read_all(tmp_path, "base.yml", "prod/later.yml")

    assert complaints(document) == []
    assert document.data == {
        "a": {"x": 1, "y": [3], "z": {"p": 1, "r": 2}, "w": "off it goes"},
        "b": 1,
        "c": 3,
    }
    assert str(document.positions["a", "x"]) == "base.yml:1:8"
    assert str(document.positions["a", "y", 0]) == "prod/later.yml:2:7"
    assert str(document.keys["a", "y"]) == "prod/later.yml:2:3"
    assert str(document.keys["a", "z", "p"]) == "base.yml:1:26"
    assert str(document.positions["a", "z", "r"]) == "prod/later.yml:3:10"
    assert document.files == (tmp_path / "base.yml", tmp_path / "prod/later.yml")


def test_an_overlay_with_nothing_in_a_section_leaves_it_alone(tmp_path: Path) -> None:
    base = "a: {x: 1}\nb: {x: 1}\nc: 1\n"
    write(tmp_path, {"base.yml": base, "later.yml": "a:\n#  x: 2\nb: null\nc:\n"})

    document = read_all(tmp_path, "base.yml", "later.yml")

    assert document.data == {"a": {"x": 1}, "b": None, "c": None}


def test_what_an_overlay_replaces_is_not_expanded(tmp_path: Path) -> None:
    write(tmp_path, {"base.yml": "a: ${UNSET}\n", "later.yml": "a: 1\n"})

    document = read_all(tmp_path, "base.yml", "later.yml")

    assert complaints(document) == []
    assert document.data == {"a": 1}


def test_an_anchored_map_is_overlaid_in_one_place_only(tmp_path: Path) -> None:
    write(tmp_path, {"base.yml": "a: &m {x: 1}\nb: *m\n", "later.yml": "a: {x: 2}\n"})

    document = read_all(tmp_path, "base.yml", "later.yml")

    assert document.data == {"a": {"x": 2}, "b": {"x": 1}}


def test_each_file_has_its_own_anchors(tmp_path: Path) -> None:
    write(tmp_path, {"base.yml": "a: &m 1\n", "later.yml": "b: *m\n"})

    document = read_all(tmp_path, "base.yml", "later.yml")

    assert [problem.file for problem in document.problems] == ["later.yml"]


def test_includes_add_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "etc/m.yml": "include: [conf.d/*.yml, extra.yml]\nendpoints: {a: 1}\nservices:\n",
            "etc/conf.d/20.yml": "endpoints: {c: 3}\n",
            "etc/conf.d/10.yml": "endpoints: {b: 2}\nservices: {s: {}}\n",
            "etc/conf.d/.hidden.yml": "endpoints: {b: 4}\n",
            "etc/extra.yml": "routes: [1]\nservices:\n",
        },
    )

    document = read_all(tmp_path, "etc/m.yml")

    assert complaints(document) == []
    assert document.data == {
        "endpoints": {"a": 1, "b": 2, "c": 3},
        "services": {"s": {}},
        "routes": [1],
    }
    assert str(document.positions["endpoints", "c"]) == "etc/conf.d/20.yml:1:16"
    assert str(document.keys["services", "s"]) == "etc/conf.d/10.yml:2:12"
    assert [str(path.relative_to(tmp_path)) for path in document.files] == [
        "etc/m.yml",
        "etc/conf.d/10.yml",
        "etc/conf.d/20.yml",
        "etc/extra.yml",
    ]


def test_an_include_cannot_set_a_key_again(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "m.yml": "include: a.yml\nendpoints:\n  shop:\n    every: 1s\n",
            "a.yml": "endpoints:\n  shop:\n    every: 2s\n    timeout: 1s\n",
        },
    )

    document = read_all(tmp_path, "m.yml")

    assert complaints(document) == [
        "a.yml:3:5: endpoints.shop.every: an included file may add keys but not set one again: "
        "already set at m.yml:4:5"
    ]
    assert document.data == {"endpoints": {"shop": {"every": "1s", "timeout": "1s"}}}


def test_two_includes_cannot_set_the_same_key(tmp_path: Path) -> None:
    files = {"m.yml": "include: ['?.yml']\n", "a.yml": "x: 1\n", "b.yml": "x: [1]\n"}
    write(tmp_path, files)

    document = read_all(tmp_path, "m.yml")

    assert complaints(document) == [
        "b.yml:1:1: x: an included file may add keys but not set one again: "
        "already set at a.yml:1:1"
    ]


def test_an_overlay_may_change_what_was_included(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "m.yml": "include: [a.yml]\n",
            "a.yml": "x: {y: 1}\n",
            "prod/o.yml": "include: [b.yml]\nx: {y: 2}\n",
            "prod/b.yml": "z: 3\n",
        },
    )

    document = read_all(tmp_path, "m.yml", "prod/o.yml")

    assert complaints(document) == []
    assert document.data == {"x": {"y": 2}, "z": 3}


def test_an_include_may_include(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"m.yml": "include: [a/a.yml]\n", "a/a.yml": "include: b/*.yml\n", "a/b/b.yml": "x: 1\n"},
    )

    document = read_all(tmp_path, "m.yml")

    assert document.data == {"x": 1}
    assert document.position(("x",)).file == "a/b/b.yml"


def test_a_file_included_twice_by_one_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, {"m.yml": "include: [a.yml, '*.yml', ./a.yml]\n", "a.yml": "x: 1\n"})

    document = read_all(tmp_path, "m.yml")

    assert complaints(document) == []
    assert len(document.files) == 2


def test_an_absolute_include_and_one_named_by_a_variable(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "m.yml": f"include: ['{tmp_path}/a.y*', '${{WHERE}}.yml']\n",
            "a.yml": "x: 1\n",
            "prod.yml": "y: 2\n",
        },
    )

    document = read_all(tmp_path, "m.yml", environ={"WHERE": "prod"})

    assert complaints(document) == []
    assert document.data == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ("[nothing-*.yml]", None),
        ("", None),
        ("[]", None),
        ("[a.yml]", "1:11: include[0]: a.yml does not exist"),
        ("a.yml", "1:10: include: a.yml does not exist"),
        ("[other.yaml]", "1:11: include[0]: other.yaml does not exist; did you mean other.yml?"),
        ("['${S}.yml']", "1:11: include[0]: ${S}.yml does not exist"),
        ("[m.yml]", "1:11: include[0]: m.yml is being read already: a file cannot include itself"),
        ("[folder]", "1:11: include[0]: folder is a directory"),
        ("[pipe]", "1:11: include[0]: pipe is not a regular file"),
        ("[other.yml/x]", "1:11: include[0]: other.yml/x cannot be read: not a directory"),
        ("[5]", "1:11: include[0]: expected a file or a pattern such as conf.d/*.yml"),
        ("{a: b}", "1:10: include: expected a file or a pattern such as conf.d/*.yml"),
        ("['']", "1:11: include[0]: expected a file or a pattern such as conf.d/*.yml"),
        ('["a\\0*"]', "1:11: include[0]: expected a file or a pattern such as conf.d/*.yml"),
        ("['${UNSET}']", "1:11: include[0]: variable UNSET is not set: export it"),
        (
            "[no]",
            "1:11: include[0]: found no, which YAML may take for true or false: "
            "write true or false, or quote it",
        ),
    ],
    ids=str,
)
def test_what_can_be_wrong_with_an_include(
    tmp_path: Path, include: str, message: str | None
) -> None:
    write(tmp_path, {"other.yml": "x: 1\n", "folder/x.yml": "y: 1\n"})
    os.mkfifo(tmp_path / "pipe")

    document = read(tmp_path, f"include: {include}\n", environ={"S": "hush"})

    assert complaints(document) == ([f"m.yml:{message}"] if message else [])
    assert document.complete is (message is None)
    assert "include" not in document.data


def test_files_that_include_one_another_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"m.yml": "include: [a.yml]\n", "a.yml": "include: [m.yml]\nx: 1\n"})

    document = read_all(tmp_path, "m.yml")

    assert complaints(document) == [
        "a.yml:1:11: include[0]: m.yml is being read already: a file cannot include itself"
    ]


def test_includes_are_bounded_in_depth(tmp_path: Path) -> None:
    write(tmp_path, {f"{n}.yml": f"include: [{n + 1}.yml]\n" for n in range(DEEPEST_INCLUDE + 5)})

    document = read_all(tmp_path, "0.yml")

    assert complaints(document) == [
        "10.yml:1:11: include[0]: expected at most 10 files that include one another"
    ]


def test_includes_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_FILES", 3)
    write(tmp_path, {f"{n}.yml": f"x{n}: 1\n" for n in range(9)})

    document = read(tmp_path, "include: ['[0-9].yml']\n")

    assert complaints(document) == ["m.yml:1:11: include[0]: expected at most 3 files"]
    assert document.data == {"x0": 1, "x1": 1}
    assert not document.complete


def test_a_mistake_in_an_included_file_is_told_there(tmp_path: Path) -> None:
    write(tmp_path, {"m.yml": "include: [a.yml]\nx: 1\n", "a.yml": "y: @z\n"})

    document = read_all(tmp_path, "m.yml")

    assert complaints(document) == ["a.yml:1:4: y: a value cannot start with @: quote it"]
    assert document.data == {"x": 1}
    assert not document.complete


def test_the_mistakes_of_all_files_are_told_together(tmp_path: Path) -> None:
    write(tmp_path, {"b.yml": "x: yes\n", "a.yml": "y: {\n"})

    document = read_all(tmp_path, "b.yml", "none.yml", "a.yml")

    assert [problem.file for problem in document.problems] == ["a.yml", "b.yml", "none.yml"]
    assert document.data == {"x": "yes"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.txt", "none.txt:1:1: the file does not exist"),
        ("moniter.yml", "moniter.yml:1:1: the file does not exist; did you mean monitor.yml?"),
        ("no/none.yml", "no/none.yml:1:1: the file does not exist"),
        ("folder", "folder:1:1: the file is a directory"),
        ("monitor.yml/x", "monitor.yml/x:1:1: the file cannot be read: not a directory"),
        ("a\0b", "a\\x00b:1:1: the file cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path, {"monitor.yml": "x: 1\n", "folder/x": ""})

    document = read_all(tmp_path, name)

    assert complaints(document) == [message]
    assert not document.complete
    assert document.files == ()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Let root, who may read everything, be somebody else for a moment."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    write(tmp_path, {"m.yml": "x: 1\n"})
    (tmp_path / "m.yml").chmod(0)

    with as_nobody():
        document = read_all(tmp_path, "m.yml")

    assert complaints(document) == ["m.yml:1:1: the file cannot be read: permission denied"]


def test_a_secret_that_somebody_else_reads_is_as_one_that_is_not_set() -> None:
    with TemporaryDirectory() as name:  # which others can come to, unlike `tmp_path`
        folder = Path(name)
        folder.chmod(0o755)
        write(folder, {"m.yml": "a: '${file:key}'\nb: 1\n", "key": "hush\n"})
        (folder / "key").chmod(0)
        with as_nobody():
            wanted = read_document([Path("m.yml")], environ={}, cwd=folder)
            allowed = read_document([Path("m.yml")], environ={}, cwd=folder, allow_unset=True)

    assert complaints(wanted) == ["m.yml:1:4: a: file key cannot be read: permission denied"]
    assert complaints(allowed) == []
    assert allowed.unsettled == {("a",)}


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    document = read(tmp_path, b"a: 1\n" + b"#" * LARGEST)

    assert complaints(document) == ["m.yml:1:1: the file is larger than 16384 KiB"]


def test_a_device_without_end_is_refused() -> None:
    document = read_document([Path("/dev/zero")], environ={})

    assert complaints(document) == ["/dev/zero:1:1: the file is larger than 16384 KiB"]


def test_a_pipe_may_be_the_configuration(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a: 1\n")
    os.close(writing)

    document = read_document([Path(f"/dev/fd/{reading}")], environ={}, cwd=tmp_path)
    os.close(reading)

    assert document.data == {"a": 1}


def test_a_pipe_is_read_until_its_writer_is_gone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.yml")

    def write_slowly() -> None:
        with (tmp_path / "m.yml").open("w") as pipe:
            for line in ("a: 1\n", "b: 2\n"):
                pipe.write(line)
                pipe.flush()
                time.sleep(0.02)

    with ThreadPoolExecutor() as others:
        others.submit(write_slowly)
        document = read_document([Path("m.yml")], environ={}, cwd=tmp_path)

    assert document.data == {"a": 1, "b": 2}


def test_a_pipe_whose_writer_said_nothing_is_empty(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.yml")

    with ThreadPoolExecutor() as others:
        others.submit((tmp_path / "m.yml").write_text, "")
        document = read_document([Path("m.yml")], environ={}, cwd=tmp_path)

    assert complaints(document) == ["m.yml:1:1: the file is empty"]


def test_a_pipe_without_a_writer_keeps_nobody_waiting_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.config.files._PATIENCE", timedelta(milliseconds=50))
    os.mkfifo(tmp_path / "m.yml")

    document = read_document([Path("m.yml")], environ={}, cwd=tmp_path)

    assert complaints(document) == ["m.yml:1:1: the file is a pipe into which nobody writes"]


def test_names_are_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"etc/m.yml": "x: yes\n"})
    monkeypatch.chdir(tmp_path)

    document = read_document([Path("./etc/m.yml")], environ={})

    assert document.problems[0].file == "etc/m.yml"
    assert document.files == (tmp_path / "etc/m.yml",)


def test_no_file_at_all_is_incomplete() -> None:
    document = read_document([], environ={})

    assert isinstance(document, Document)
    assert document.data == {}
    assert not document.complete
