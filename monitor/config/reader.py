"""Reads configuration files into one document: includes added, overlays merged, variables expanded.

Nothing is raised for what is in the files: every mistake becomes a problem with its place.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.config.document import Document, Position, Problem
from monitor.config.files import LARGEST, Wrong, decode, read_any, read_regular, why
from monitor.config.places import Sources, make_place
from monitor.config.scan import scan
from monitor.config.settle import Places, Settling
from monitor.config.suggest import suggest
from monitor.config.tree import Mapping, Node, Scalar, Sequence, add, overlay
from monitor.config.variables import Variables
from monitor.core.expectations.shown import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Mapping as MappingOf
    from collections.abc import Sequence as SequenceOf

    from monitor.config.document import At

INCLUDE: Final = "include"
DEEPEST_INCLUDE: Final = 10
MOST_FILES: Final = 1_000

_WILD: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One name or pattern of files to include: as expanded, as written, and where."""

    pattern: str
    written: str
    place: Position
    at: At


@dataclass(slots=True, kw_only=True)
class _Reading:
    """One run over all files."""

    cwd: Path
    variables: Variables
    sources: Sources = field(default_factory=Sources)
    problems: list[Problem] = field(default_factory=list)
    unsettled: set[At] = field(default_factory=set)
    files: list[Path] = field(default_factory=list)
    complete: bool = True

    def tree(
        self, name: str, above: tuple[str, ...] = (), by: _Entry | None = None
    ) -> Mapping | None:
        """Read a file and all that it includes; `by` is the entry that includes it, if any."""
        text = self._text(name, by)
        if text is None:
            return None

        found = scan(text, name, self.sources)
        self.problems += found.problems
        self.unsettled |= found.unsettled
        if found.tree is None:
            self.complete = False
            return None

        return self._with_includes(found.tree, name, (*above, name))

    def _with_includes(self, tree: Mapping, name: str, above: tuple[str, ...]) -> Mapping:
        if INCLUDE not in tree.items:
            return tree

        whole, seen = tree.without(INCLUDE), set[str]()
        for entry in self._entries(tree.items[INCLUDE]):
            for included in self._matches(entry, name, above):
                if self._real(included) in seen:
                    continue

                seen.add(self._real(included))
                extra = self.tree(included, above, entry)
                if extra is not None:
                    whole = add(whole, extra, (), self.problems, self.sources)

        return whole

    def _entries(self, node: Node) -> Iterator[_Entry]:
        several = isinstance(node, Sequence)
        for index, item in enumerate(node.items if isinstance(node, Sequence) else [node]):
            place = self.sources.position(item.place)
            at: At = (INCLUDE, index) if several else (INCLUDE,)
            settling = Settling(self.variables, self.cwd, self.sources, at)
            pattern = settling.value(item)
            self.problems += settling.found.problems
            if settling.found.unsettled:
                self.complete = False
            elif pattern is None and not several:
                return  # an empty `include:`
            elif _is_pattern(pattern) and isinstance(item, Scalar):
                yield _Entry(pattern=str(pattern), written=plain(item.text), place=place, at=at)
            else:
                self._report(place, at, "expected a file or a pattern such as conf.d/*.yml")

    def _matches(self, entry: _Entry, name: str, above: tuple[str, ...]) -> Iterator[str]:
        if len(above) > DEEPEST_INCLUDE:
            message = f"expected at most {DEEPEST_INCLUDE} files that include one another"
            self._report(entry.place, entry.at, message)
            return

        folder = Path(name).parent
        busy = {self._real(other) for other in above}
        if not _WILD.isdisjoint(entry.pattern):
            found = (str(folder / match) for match in self._glob(entry.pattern, folder))
            yield from (included for included in found if self._real(included) not in busy)
            return

        included = str(folder / entry.pattern)
        if self._real(included) in busy:
            message = f"{entry.written} is being read already: a file cannot include itself"
            self._report(entry.place, entry.at, message)
            return

        yield included

    def _glob(self, pattern: str, folder: Path) -> list[str]:
        # Path.glob would match hidden files, which editors leave behind, and no absolute pattern.
        return sorted(
            glob.glob(  # noqa: PTH207 - see above
                pattern, root_dir=self.cwd / folder, recursive=True
            )
        )

    def _text(self, name: str, by: _Entry | None) -> str | None:
        place, at = (by.place, by.at) if by is not None else (Position(name, 1, 1), ())
        if len(self.files) >= MOST_FILES:
            self._report(place, at, f"expected at most {MOST_FILES:,} files")
            return None

        path = self.cwd / name
        try:
            content = read_any(path, LARGEST) if by is None else read_regular(path, LARGEST)
        except FileNotFoundError:
            self._report(place, at, _missing(path, by))
            return None
        except (OSError, ValueError) as error:
            subject = "the file" if by is None else by.written
            self._report(place, at, f"{subject} {why(error)}")
            return None

        self.files.append(path)
        text = decode(content)
        if isinstance(text, Wrong):
            self._report(Position(name, text.line, text.column), (), text.message)
            return None

        return text

    def _report(self, place: Position, at: At, message: str) -> None:
        """Report that a file is not read."""
        self.complete = False
        self.problems.append(Problem.at(place, at, message))

    def _real(self, name: str) -> str:
        return os.path.realpath(self.cwd / name)


def read_document(
    paths: SequenceOf[Path],
    *,
    environ: MappingOf[str, str],
    allow_unset: bool = False,
    cwd: Path | None = None,
) -> Document:
    """Read configuration files, later ones laid over earlier ones.

    Relative paths start at `cwd`. With `allow_unset`, variables, files and credentials that are
    not there become stand-ins instead of problems. Content is never raised about: problems say
    what is wrong, sorted by place, each once.
    """
    variables = Variables(environ, allow_unset=allow_unset)
    reading = _Reading(cwd=cwd or Path.cwd(), variables=variables)
    root: Node | None = None
    for path in paths:
        tree = reading.tree(str(path))
        if tree is not None:
            root = tree if root is None else overlay(root, tree)

    if not isinstance(root, Mapping):
        begin = reading.sources.begin(str(paths[0]) if paths else "")
        root = Mapping(make_place(begin, 1, 1))
    settling = Settling(variables, reading.cwd, reading.sources)
    data = settling.mapping(root)

    return Document(
        data=data,
        positions=Places(root, reading.sources, of_keys=False),
        keys=Places(root, reading.sources, of_keys=True),
        problems=_once([*reading.problems, *settling.found.problems]),
        secrets=variables.secrets,
        sources=settling.found.sources,
        unsettled=frozenset(reading.unsettled | settling.found.unsettled),
        complete=reading.complete and bool(paths),
        files=tuple(reading.files),
    )


def _once(problems: list[Problem]) -> tuple[Problem, ...]:
    """Sort problems; of those that say the same about the same place, as aliases do, keep one."""
    kept = {
        (problem.file, problem.line, problem.column, problem.message): problem
        for problem in sorted(problems, reverse=True)
    }

    return tuple(reversed(kept.values()))


def _is_pattern(value: object) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _missing(path: Path, by: _Entry | None) -> str:
    try:
        others = list(path.parent.iterdir())
    except OSError:
        others = []

    # Names alike but for an ending that all have, such as a.yml and b.yml, are not alike.
    alike = [
        other.name
        for other in others
        if other.stem == path.stem or suggest(path.stem, [other.stem])
    ]

    return (
        f"{by.written if by is not None else 'the file'} does not exist{suggest(path.name, alike)}"
    )
