"""What breaks YAML itself, or has no place in a configuration, is said in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from monitor.config import scan
from tests.support.reading import complaints, read

if TYPE_CHECKING:
    from pathlib import Path

_VARIABLE = (
    'a variable inside {…} or […] has to be quoted, as in "${NAME}": { begins a mapping in YAML'
)
_HASH = (
    'found no value, for " #" begins a comment: quote a value that starts with #, as in "#on-call"'
)
_STAR = '* begins an alias in YAML: quote the value if it is text, as in "*.example"'
_AMPERSAND = "& begins an anchor in YAML: quote the value if it is text"
_EXCLAMATION = "! begins a tag in YAML: quote the value if it is text"
_SECOND_COLON = 'found a second ": ": quote the value if it is text, or check the indentation'
_NOT_CLOSED = "this quote is never closed"
_ESCAPE = 'found an unknown escape in "…": write \\\\ for a backslash, or use single quotes'
_MORE = "found more text after the value: quote all of it"
_TAB = "found a tab in the indentation: YAML indents with spaces"
_MARK = "save it as UTF-8 without BOM"

BROKEN = {
    "variable in a flow mapping": ("a: {b: ${X}}\n", f"1:8: a: {_VARIABLE}"),
    "variable in a flow sequence": ("a: [1, ${X}]\n", f"1:8: a: {_VARIABLE}"),
    "variable on a later line": ("a: {\n  b: '${Y}',\n  c: ${X}\n}\n", f"3:6: a: {_VARIABLE}"),
    "braces twice": (
        "a: {{ x }}\n",
        '1:5: a: expected a key, found { or [: quote a value such as "${NAME}"',
    ),
    "at": ("a: @name\n", "1:4: a: a value cannot start with @: quote it"),
    "backtick": ("a: `name`\n", "1:4: a: a value cannot start with `: quote it"),
    "percent": ("a: %name\n", "1:4: a: a value cannot start with %: quote it"),
    "at in a list": ("a:\n  - @name\n", "2:5: a[0]: a value cannot start with @: quote it"),
    "channel": ("a:\n  b: #channel\n", f"2:6: a.b: {_HASH}"),
    "channel in a list": ("a:\n  - #channel\n", f"2:5: a[0]: {_HASH}"),
    "channel in braces": ("a: {b: #channel}\nc: 1\n", f"1:8: a: {_HASH}"),
    "channel in braces at the end": ("a: {b: #channel}\n", f"1:8: a: {_HASH}"),
    "channel in brackets": ("a: [x, #channel]\nb: 1\n", f"1:8: a: {_HASH}"),
    "comment in braces is none of it": (
        "a: {b: 1, #fine\n  c: @x}\n",
        "2:6: a.c: a value cannot start with @: quote it",
    ),
    "what is quoted is none of it": (
        "a: {b: \"${X} '#x'\", c: 'x' d}\n",
        '1:28: expected "," or "}" to close the "{" of line 1, found other text',
    ),
    "star": ("a: *.example.org\n", f"1:4: a: {_STAR}"),
    "alias without an anchor": (
        "a: *name\n",
        f"1:4: a: found an alias without its anchor: {_STAR}",
    ),
    "ampersand": ("a: & b\n", f"1:4: a: {_AMPERSAND}"),
    "anchor without a value": ("a: &name\n", f"1:4: a: {_AMPERSAND}"),
    "exclamation": ("a: !name x\n", f"1:4: a: {_EXCLAMATION}"),
    "handle": ("a: !x!y z\n", f"1:4: a: {_EXCLAMATION}"),
    "exclamation before a list": ("a: !name [x]\n", f"1:4: a: {_EXCLAMATION}"),
    "tagged key": ("!name a: 1\n", f"1:1: a: {_EXCLAMATION}"),
    "python object": (
        "a: !!python/object/apply:os.system [ls]\n",
        "1:4: a: tags such as !!python/object/apply:os.system are not allowed",
    ),
    "binary": ("a: !!binary aGk=\n", "1:4: a: tags such as !!binary are not allowed"),
    "set": ("a: !!set {x}\n", "1:4: a: tags such as !!set are not allowed"),
    "second colon": ("a: Shop: public\n", f"1:8: {_SECOND_COLON}"),
    "key under a value": ("a: 1\n  b: 2\n", f"2:4: {_SECOND_COLON}"),
    "tab": ("a:\n\tb: 1\n", f"2:1: {_TAB}"),
    "tab after spaces": ("a:\n  b: 1\n  \tc: 2\n", f"3:3: {_TAB}"),
    "single quote": ("a: 'x\nb: 1\n", f"1:4: a: {_NOT_CLOSED}"),
    "double quote": ('a: "x\n', f"1:4: a: {_NOT_CLOSED}"),
    "unknown escape": ('a: "\\q"\n', f"1:5: a: {_ESCAPE}"),
    "half a surrogate": ('a: "\\ud800"\n', f"1:7: a: {_ESCAPE}"),
    "short hexadecimal escape": ('a: "\\x1"\n', f"1:7: a: {_ESCAPE}"),
    "text after a quote": ('a: "x" y\n', f"1:8: {_MORE}"),
    "text without a colon": ("a: 1\nb\n", '2:1: expected "key: value", found text without ": "'),
    "misaligned key": (
        "a:\n   b: 1\n  c: 2\n",
        '3:3: expected "key: value" in column 1 as on line 1, '
        "found text in column 3: check the indentation",
    ),
    "misaligned item": (
        "a:\n  - b: 1\n   c: 2\n",
        '3:4: expected an item "- …" in column 3 as on line 2, '
        "found text in column 4: check the indentation",
    ),
    "item among keys": (
        "a: 1\n- b\n",
        '2:1: expected "key: value" in column 1 as on line 1, found -',
    ),
    "item on the line of its key": (
        "a: - b\n",
        '1:4: found "- " after a key: put the list on its own lines, or use […]',
    ),
    "key among items": (
        "- a\nb: 1\n",
        '2:1: expected an item "- …" in column 1 as on line 1, found other text',
    ),
    "closing brace alone": ("a: }\n", "1:4: expected a value, found }"),
    "brace not closed": (
        "a: {b: 1\n",
        '2:1: expected "," or "}" to close the "{" of line 1, found nothing more',
    ),
    "bracket not closed": (
        "a: [1, 2\nb: 3\n",
        '2:2: expected "," or "]" to close the "[" of line 1, found :',
    ),
    "comma missing": (
        "a: ['x' y]\n",
        '1:9: expected "," or "]" to close the "[" of line 1, found other text',
    ),
    "brace too many": ("{a: 1}}\n", "1:7: expected the end of the file, found more text"),
    "block header": (
        "a: |x\n  b\n",
        "1:5: a: expected nothing after | or > but the text on the next lines",
    ),
    "yaml 3": ("%YAML 3.0\n---\na: 1\n", "1:1: expected no %YAML line, or version 1.1 or 1.2"),
    "list as key": (
        "? [a]\n: b\n",
        '1:3: expected a key, found { or [: quote a value such as "${NAME}"',
    ),
    "alias as key": ("a: &x b\n*x : 1\n", "2:1: expected a key, found an alias"),
    "no key": ("? \n: b\n", "1:2: expected a key, found nothing before the colon"),
    "empty key": ("'': b\n", "1:1: expected a key, found nothing before the colon"),
    "null key": ("~: b\n", "1:1: ~: expected a key, found nothing before the colon"),
    "variable in a key": (
        "${X}: b\n",
        "1:1: ${X}: variables are not expanded in keys, only in values",
    ),
    "merge key": (
        "a: &a {x: 1}\nb:\n  <<: *a\n",
        "3:3: b.<<: merge keys (<<) are not allowed: repeat the keys, or use overlays",
    ),
    "duplicate key": (
        "a:\n  b: 1\n  c: 2\n  b: 3\n",
        "4:3: a.b: this key is already set at m.yml:2:3",
    ),
    "duplicate in braces": (
        "a: {b: 1, 'b': 2}\n",
        "1:11: a.b: this key is already set at m.yml:1:5",
    ),
    "duplicate in a list": (
        "a:\n  - x: 1\n  - y: 1\n    y: [2]\n",
        "4:5: a[1].y: this key is already set at m.yml:3:5",
    ),
    "alias in itself": ("a: &x [*x]\n", "1:8: a[0]: an alias cannot stand inside what it repeats"),
    "second document": (
        "a: 1\n---\nb: 1\n",
        "2:1: expected one document, found a second one after ---",
    ),
    "empty": ("", "1:1: the file is empty"),
    "only a comment": ("# nothing\n", "1:1: the file is empty"),
    "only a document start": ("---\n", "1:1: the file is empty"),
    "list": ("- a\n", '1:1: expected keys such as "endpoints:", found a list'),
    "text": ("shop\n", '1:1: expected keys such as "endpoints:", found text'),
    "NUL": ("a: 1\nb: x\0y\n", "2:5: expected text, found a NUL character"),
    "escape character": ("a: \x1b[0m\n", "1:4: expected text, found the control character U+001B"),
    "byte order mark": ("\ufeffa: 1\n", f"1:1: the file starts with a byte order mark: {_MARK}"),
    "byte order mark inside": (
        "a: \ufeff\n",
        "1:4: expected text, found the control character U+FEFF",
    ),
    "UTF-16": (
        "a: 1\n".encode("utf-16"),
        "1:1: expected UTF-8 text, found UTF-16: save the file as UTF-8",
    ),
    "Latin-1": (b"a: 1\nb: \xe9t\xe9\n", "2:4: expected UTF-8 text, found the byte 0xe9"),
    "half a character": (b"\xc3\xa9: \xc3", "1:4: expected UTF-8 text, found the byte 0xc3"),
}
"""Each name: what the file holds, and the message after `m.yml:`."""


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_each_mistake_has_its_message(tmp_path: Path, content: str | bytes, message: str) -> None:
    document = read(tmp_path, content)

    assert complaints(document) == [f"m.yml:{message}"]


@pytest.mark.parametrize("content", [content for content, _ in BROKEN.values()], ids=BROKEN.keys())
def test_the_slower_parser_refuses_the_same(
    tmp_path: Path, content: str | bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "_LOADER", yaml.SafeLoader)

    document = read(tmp_path, content)

    assert document.problems
    assert all("<" not in problem.message.replace("<<", "") for problem in document.problems)


def test_reading_goes_on_after_what_can_be_skipped(tmp_path: Path) -> None:
    document = read(tmp_path, "a: yes\nb: #x\nc: 1\nc: {d: [2]}\ne: !x 1\nf: 2\n")

    assert document.data == {"a": "yes", "b": None, "c": 1, "e": "1", "f": 2}
    assert [problem.line for problem in document.problems] == [1, 2, 4, 5]
    assert document.unsettled == {("a",), ("b",), ("e",)}
    assert document.complete


def test_a_file_that_breaks_off_leaves_the_document_incomplete(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1\nb: @x\n")

    assert document.data == {}
    assert not document.complete


@pytest.mark.parametrize(
    "content",
    [
        "a:  # what follows is fine\n  b: 1\n",
        "a: # todo\nb: 1\n",
        "a:\n  #b: 1\n  c: 1\n",
        "a: x #comment\n",
        "a: 'it''s #1'\n",
        "%YAML 1.2\n---\na: 1\n...\n",
        "a: 50%\n",
        "a: x@y\n",
        "a: ${b}\n",
        'a: "\\u00e9"\r\nb: 1\r\n',
        "{}\n",
    ],
    ids=repr,
)
def test_what_is_fine_is_left_alone(tmp_path: Path, content: str) -> None:
    document = read(tmp_path, content, environ={"b": "1"})

    assert complaints(document) == []
