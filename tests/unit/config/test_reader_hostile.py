"""Hostile text: refused in bounded time and memory, and never with an exception."""

from __future__ import annotations

import time
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.config import scan
from monitor.config.scan import DEEPEST, MOST_ALIASED, MOST_VALUES
from tests.support.reading import complaints, read
from tests.unit.config.test_reader_syntax import BROKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

_MiB = 1024 * 1024
_FRAGMENTS = [
    *"{}[]:,-?&*!|>'\"%@`#\n \t\r~<=$\\",
    "${",
    "$${",
    "${A}",
    "${file:",
    "${credential:x}",
    "- ",
    ": ",
    " #x",
    "---\n",
    "...\n",
    "&a ",
    "*a ",
    "!!str ",
    "!!int ",
    "<<: ",
    "include: ",
    "include: ['*', m.yml]\n",
    "yes",
    "010",
    "1:30",
    "9" * 30,
    "key: ",
    "\n  ",
    "\n- ",
    "é",
    "\u2028",
    "\x85",
    "\ufeff",
    "\0",
    '"\\0"',
    '"\\ud800"',
    "%YAML 1.1\n",
    "%TAG ! x\n",
]


@contextmanager
def at_most(*, seconds: float, memory: int) -> Iterator[None]:
    tracemalloc.start()
    started = time.process_time()
    try:
        yield
        took, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert took < seconds
    assert peak < memory


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("a: " + "[" * 100_000, "1:53"),
        ("[" * 100_000 + "]" * 100_000, "1:51"),
        ("a: " + "{a: " * 100_000, "1:200"),
        ("a: " + "[\n" * 100_000, "50:1"),
        ("".join(" " * depth + "a:\n" for depth in range(3_000)), "51:51"),
        ("a:\n  " + "- " * 100_000, "2:101"),
        ("? " * 100_000, "1:3"),
    ],
    ids=["brackets", "closed", "braces", "lines", "block", "items", "complex keys"],
)
def test_deep_nesting_is_refused_at_once(tmp_path: Path, content: str, where: str) -> None:
    with at_most(seconds=3, memory=50 * _MiB):
        document = read(tmp_path, content)

    [problem] = document.problems
    assert f"{problem.line}:{problem.column}" == where
    assert problem.message in (
        f"expected at most {DEEPEST} levels of nesting",
        'expected a key, found { or [: quote a value such as "${NAME}"',
    )


def test_nesting_up_to_the_limit_is_fine(tmp_path: Path) -> None:
    depth = DEEPEST - 1

    document = read(tmp_path, "a: " + "[" * depth + "]" * depth)

    assert complaints(document) == []
    assert ("a", *[0] * (depth - 1)) in document.positions


def test_a_bomb_of_aliases_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]

    with at_most(seconds=3, memory=20 * _MiB):
        document = read(tmp_path, "\n".join(lines))

    [problem] = document.problems
    assert problem.message == f"aliases repeat more than {MOST_ALIASED:,} values"
    assert problem.line == 5


def test_many_aliases_of_one_list_are_refused(tmp_path: Path) -> None:
    content = "a: &a [" + "x," * 1_000 + "]\nb: [" + "*a, " * 100_000 + "]\n"

    with at_most(seconds=3, memory=20 * _MiB):
        document = read(tmp_path, content)

    assert [problem.message for problem in document.problems] == [
        f"aliases repeat more than {MOST_ALIASED:,} values"
    ]


def test_aliases_that_nest_deeper_than_they_look_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [[[[[[[[[*a{n - 1}]]]]]]]]]" for n in range(1, 100)]

    document = read(tmp_path, "\n".join(lines))

    [problem] = document.problems
    assert problem.message == f"expected at most {DEEPEST} levels of nesting"
    assert problem.line == 7


def test_a_bomb_of_merge_keys_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 {k0: x}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: x}}" for n in range(1, 70)]

    with at_most(seconds=3, memory=20 * _MiB):
        document = read(tmp_path, "\n".join(lines))

    assert document.problems
    assert {problem.message.split(":")[0] for problem in document.problems} <= {
        "merge keys (<<) are not allowed",
        f"expected at most {DEEPEST} levels of nesting",
        f"aliases repeat more than {MOST_ALIASED:,} values",
    }


def test_300_000_keys_are_read(tmp_path: Path) -> None:
    content = "endpoints:\n" + "".join(f"  key-{n}: {n}\n" for n in range(300_000))

    started = time.process_time()
    document = read(tmp_path, content)

    assert time.process_time() - started < 20
    assert complaints(document) == []
    assert document.data["endpoints"] == {f"key-{n}": n for n in range(300_000)}


def test_10_000_endpoints_are_read_in_a_moment(tmp_path: Path) -> None:
    endpoint = (
        "  shop-{0}:\n    url: https://shop-{0}.example/health\n    every: 30s\n"
        "    tags: [smoke, region-{0}]\n    health:\n      expect:\n        - status: 200\n"
        "        - json: $.database.status\n          equals: connected\n"
    )
    content = "endpoints:\n" + "".join(endpoint.format(n) for n in range(10_000))

    started = time.process_time()
    document = read(tmp_path, content)

    assert time.process_time() - started < 8  # 0.7 s on an idle core
    assert complaints(document) == []
    assert document.positions["endpoints", "shop-9999", "health", "expect", 1, "equals"].line == (
        10_000 * 9 + 1
    )


def test_too_many_values_are_refused(tmp_path: Path) -> None:
    content = "a: [" + "1," * (MOST_VALUES + 1) + "]"

    document = read(tmp_path, content)

    assert [problem.message for problem in document.problems] == [
        f"expected at most {MOST_VALUES:,} values in a file"
    ]


@pytest.mark.parametrize(
    "content",
    [
        "a: " + "9" * 5_000_000,
        "a: 0." + "9" * 5_000_000,
        "a: " + "1:30" * 1_000_000,
        "a: " + "_" * 5_000_000,
        "a: 1" + "_" * 5_000_000 + "x",
        "a: '" + "${A}" * 200_000 + "'",
        "a: '" + "${" * 1_000_000 + "'",
        "a: '" + "$" * 5_000_000 + "'",
        "a" * 5_000_000 + ": 1",
        "{" + "'x" * 1_000_000,
        "a: {b: '" + '"' * 1_000_000,
        "a: {" + "\\" * 1_000_000 + '"\n',
        "a: [\n" + "'x' # y\n" * 200_000,
        'a: {b: "' + '\\"' * 1_000_000,
        "a: {b: " + " #x" * 1_000_000 + "\n@",
        "a: {b: " + "#" * 1_000_000 + "\n@",
        "\n" * 5_000_000,
        " " * 5_000_000,
        "#" * 5_000_000,
        "a:\n" + "\n" * 1_000_000 + "  @",
        "- \n" * 100_000,
        "a: 1\n" * 50_000,
        "&" + "a" * 1_000_000,
        "a: !" + "a" * 1_000_000 + " x",
        "? " + "x" * 2_000_000,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_long_text_takes_no_long_time(tmp_path: Path, content: str) -> None:
    started = time.process_time()

    read(tmp_path, content, environ={"A": "x"})

    assert time.process_time() - started < 5


def _check(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        started = time.process_time()
        document = read(Path(folder), content, environ={"A": "{a: ${A}"})
        took = time.process_time() - started

        assert took < 2

        for problem in document.problems:
            assert problem.file
            assert problem.line >= 1
            assert problem.column >= 1
            assert str(problem).isprintable()
            assert len(str(problem)) < 2_000
        assert document.problems or document.complete
        assert all(at in document.positions for at in document.positions)
        assert all(at in document.keys for at in document.keys)
        assert all(at in document.positions for at in document.sources)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(content: bytes) -> None:
    _check(content)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=25).map("".join))
@example("a: &a\n- *a")
@example("a: {b: #")
@example("\x85\u2028 a: {${")
def test_no_text_that_looks_like_yaml_raises(content: str) -> None:
    _check(content.encode("utf-8", "surrogatepass"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=25).map("".join))
def test_neither_does_it_in_the_slower_parser(content: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "_LOADER", yaml.SafeLoader)
        _check(content.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([text for text, _ in BROKEN.values() if isinstance(text, str)]),
    st.integers(0, 40),
    st.sampled_from(_FRAGMENTS),
)
def test_no_mistake_beside_another_raises(content: str, at: int, fragment: str) -> None:
    _check((content[:at] + fragment + content[at:]).encode("utf-8", "surrogatepass"))
