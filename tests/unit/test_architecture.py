"""The rules of the house that no linter knows: read from the source of every module."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).parents[2]
_PACKAGE: Final = _ROOT / "monitor"
_MODULES: Final = sorted(_PACKAGE.rglob("*.py"))
_SOURCES: Final = [*_MODULES, *sorted((_ROOT / "tests").rglob("*.py"))]
_LONGEST_FILE: Final = 450  # the aim is 350; this is the alarm
_CLOCKS: Final = {"now", "utcnow", "today", "fromtimestamp"}
_WORLD: Final = {"open", "print", "input", "breakpoint"}
_IGNORE: Final = re.compile(
    r"#\s*(?:noqa|type:\s*ignore|pragma|fmt|ruff:\s*noqa)\b(?P<rest>.*)", re.IGNORECASE
)
_CODES: Final = re.compile(r"^\s*(?::\s*[\w.-]+(?:,\s*[\w-]+)*|\[[\w, -]+\])?\s*")
_KIND_FOLDERS: Final = ("probes", "notifiers", "hooks")


def readings_of_the_world(tree: ast.Module) -> Iterator[str]:
    """Find what a pure module must not call: clocks, files, terminals."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id=owner))) if (
                name in _CLOCKS and owner in ("datetime", "date")
            ):
                yield f"line {node.lineno}: {owner}.{name}"
            case ast.Call(func=ast.Name(id=name)) if name in _WORLD:
                yield f"line {node.lineno}: {name}"


def defines_a_kind(tree: ast.Module) -> bool:
    """Say whether a module has a top-level `KIND`, and so is a plug-in."""
    return any(
        isinstance(target, ast.Name) and target.id == "KIND"
        for node in tree.body
        for target in (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
    )


def imported_modules(tree: ast.Module) -> set[str]:
    """Give the dotted names of all that is imported, at any depth; names from a package too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), names=names):
                found |= {module} | {f"{module}.{alias.name}" for alias in names}

    return found


def ignores_without_reason(text: str) -> Iterator[str]:
    """Find comments that silence a linter or the type checker and do not say why."""
    for number, line in enumerate(text.splitlines(), 1):
        found = _IGNORE.search(line)
        if found is None:
            continue

        reason = _CODES.sub("", found["rest"], count=1).strip(" -#—:")
        if len(reason.split()) < 2:
            yield f"line {number}: {line.strip()}"


def _name(path: Path) -> str:
    return str(path.relative_to(_ROOT))


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


@pytest.mark.parametrize("path", sorted((_PACKAGE / "core").rglob("*.py")), ids=_name)
def test_the_core_reads_no_clock_and_touches_no_file(path: Path) -> None:
    assert list(readings_of_the_world(_parse(path))) == []


@pytest.mark.parametrize("folder", _KIND_FOLDERS)
def test_only_the_table_of_a_folder_knows_its_kinds(folder: str) -> None:
    modules = {
        f"monitor.{folder}.{path.stem}": _parse(path)
        for path in (_PACKAGE / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    kinds = {name for name, tree in modules.items() if defines_a_kind(tree)}

    offenders = {name: sorted(imported_modules(tree) & kinds) for name, tree in modules.items()}

    assert kinds, f"no kind was found in monitor/{folder}"
    assert {name: found for name, found in offenders.items() if found} == {}


def test_memory_is_changed_by_the_engine_by_what_tells_and_by_the_store_that_fills_it() -> None:
    changers = {_name(path) for path in _MODULES if "situation.apply(" in path.read_text()}

    assert changers == {
        "monitor/core/engine.py",
        "monitor/dispatch/journal.py",
        "monitor/store/memory.py",
        "monitor/store/reading.py",
    }


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_a_file_has_one_subject(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= _LONGEST_FILE


@pytest.mark.parametrize("path", _SOURCES, ids=_name)
def test_every_ignore_carries_its_reason(path: Path) -> None:
    if path == Path(__file__):
        return  # the table below holds bad examples

    assert list(ignores_without_reason(path.read_text())) == []


@pytest.mark.parametrize("path", _MODULES, ids=_name)
def test_a_module_opens_with_one_sentence_saying_what_it_owns(path: Path) -> None:
    opening = (ast.get_docstring(_parse(path)) or "").split("\n\n")[0]

    assert opening.endswith("."), opening


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        pytest.param("x = datetime.now(UTC)", True, id="a clock"),
        pytest.param("x = date.today()", True, id="a calendar"),
        pytest.param("def f():\n    open('x')", True, id="a file inside a function"),
        pytest.param("x = now + timedelta(1)", False, id="time as an argument"),
        pytest.param("x = self.now()", False, id="a method that is called now"),
    ],
)
def test_the_rule_of_purity_catches(code: str, caught: bool) -> None:
    assert bool(list(readings_of_the_world(ast.parse(code)))) is caught


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        pytest.param("x = 1  # noqa", True, id="a bare noqa"),
        pytest.param("x = 1  # noqa: BLE001", True, id="a noqa with its rule alone"),
        pytest.param("x = 1  # noqa: BLE001, S101", True, id="a noqa with two rules alone"),
        pytest.param("x = 1  # noqa: BLE001 - told in `error`", False, id="a reason after noqa"),
        pytest.param("x = 1  # type: ignore[arg-type]", True, id="an ignore with its code alone"),
        pytest.param(
            "x = 1  # type: ignore[arg-type]  # the stub is wrong", False, id="a reason after it"
        ),
        pytest.param("x = 1  # pragma: no cover", True, id="a pragma alone"),
        pytest.param("x = 1  # pragma: no cover - only on macOS", False, id="a pragma's reason"),
        pytest.param("x = 1  # no quarrel here", False, id="an ordinary comment"),
    ],
)
def test_the_rule_of_reasons_catches(line: str, caught: bool) -> None:
    assert bool(list(ignores_without_reason(line))) is caught


def test_a_kind_is_told_by_its_table_entry() -> None:
    assert defines_a_kind(ast.parse("KIND = Kind(options=A, make=B)"))
    assert defines_a_kind(ast.parse("KIND: Final = Kind(options=A, make=B)"))
    assert not defines_a_kind(ast.parse("def f():\n    KIND = 1"))


def test_an_import_is_seen_in_every_form() -> None:
    tree = ast.parse(
        "import a.b\n"
        "from c import d\n"
        "def f():\n    from e.g import h\n"
        "if TYPE_CHECKING:\n    import i\n"
    )

    assert imported_modules(tree) == {"a.b", "c", "c.d", "e.g", "e.g.h", "i"}
