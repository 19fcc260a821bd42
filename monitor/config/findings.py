"""Reading parts of a document by their models, and gathering every mistake with its place."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import ValidationError

from monitor.config.document import Problem, shown
from monitor.config.suggest import suggest
from monitor.config.translate import Complaint, kind_of, step_into, translate, unknown_key
from monitor.core.expectations.shown import plain, quote
from monitor.fields import Options
from monitor.options import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from monitor.config.document import At, Document

_SHORTEST_HIDDEN: Final = 4
_LONGEST_MESSAGE: Final = 500
_USER: Final = re.compile(r"[^\s/@'\"]+:[^\s/@'\"]+@")  # user:password@ without a scheme
_WORD: Final = re.compile(r"\w{4,}")

Model = TypeVar("Model", bound=Options)


class Findings:
    """One reading of one document: what was complained about so far.

    Nothing is said about values that are unset or wrong already, and no message shows what a
    variable stands for.
    """

    def __init__(self, document: Document, cwd: Path) -> None:
        self.document = document
        self.cwd = cwd
        self.problems: list[Problem] = []
        self._bases: dict[str, Path] = {}
        self._around_unsettled = {
            at[:length] for at in document.unsettled for length in range(len(at))
        }
        self._with_variables = {at[:2] for at in document.sources}
        self._variables: dict[At, list[tuple[At, str, str]]] | None = None

    def read(
        self,
        model: type[Model],
        data: object,
        at: At,
        *,
        base: Path | None = None,
    ) -> Model | None:
        """Read a part by its model; None if anything is wrong with it.

        Validators find the folder of the configuration file as `info.context["base"]`.
        """
        context = {"base": base or self.base(at)}
        try:
            return model.model_validate(data, context=context)
        except ValidationError as error:
            for complaint in translate(error, model, data, at):
                self.take(complaint)
        except OSError as error:
            # a file that options name, and that cannot even be looked at
            self.complain(at, f"a file that it names cannot be read: {error.strerror}")

        return None

    def read_partly(self, model: type[Model], data: object, at: At) -> tuple[Model | None, bool]:
        """Read a part, and if anything is wrong with it, what is left without that.

        So that further mistakes are found at once: what is left is good for nothing else. The
        second value says whether it is whole.
        """
        context = {"base": self.base(at)}
        try:
            return model.model_validate(data, context=context), True
        except ValidationError as error:
            complaints = list(translate(error, model, data, at))

        rest = deepcopy(data)
        for complaint in complaints:
            self.take(complaint)
            _remove(rest, complaint.at[len(at) :])
        try:
            return model.model_validate(rest, context=context), False
        except ValidationError:
            return None, False

    def take(self, complaint: Complaint) -> None:
        """Take over one complaint."""
        self.complain(complaint.at, complaint.message, key=complaint.at_key)

    def complain(self, at: At, message: str, *, key: bool = False) -> None:
        """Report a mistake at a value, or with `key` at the key that leads to it."""
        if self.unsettled(at, below=not key):
            return

        position = self.document.key_position(at) if key else self.document.position(at)
        self.problems.append(Problem.at(position, plain(shown(at)), self._hide(message, at)))

    def dangling(
        self, at: At, what: str, name: str, known: Mapping[str, object], meant: str = ""
    ) -> None:
        """Complain of a name that nothing has, unless it may be in a file that was not read."""
        if not self.document.complete:
            return

        hint = meant or suggest(name, known)
        if not hint and known:
            hint = f", expected one such as {next(iter(known))}"
        self.complain(at, f"unknown {what} {plain(name)}{hint}")

    def unsettled(self, at: At, *, below: bool = True) -> bool:
        """Whether something here (or `below`) is unset, or wrong and reported already."""
        if not self.document.unsettled:
            return False

        return (below and at in self._around_unsettled) or any(
            at[:length] in self.document.unsettled for length in range(1, len(at) + 1)
        )

    def has_variables(self, at: At) -> bool:
        """Whether a variable was expanded anywhere in the same endpoint, notifier or service."""
        return at[:2] in self._with_variables

    def known_keys(
        self,
        data: Mapping[str, object],
        known: Sequence[str],
        at: At,
        say: Callable[[object], str] = lambda _key: "",
    ) -> bool:
        """Complain about each key that is not known, and say whether all are.

        What `say` gives of a key is told in place of the keys that there are.
        """
        unknown = [key for key in data if key not in known]
        for key in unknown:
            self.complain((*at, key), say(key) or unknown_key(key, known), key=True)

        return not unknown

    def mapping(self, data: object, at: At) -> dict[str, object]:
        """Give a part that has to be a map; nothing at all is an empty one."""
        if data is None:
            return {}
        if isinstance(data, dict):
            return data

        self.complain(at, f"expected a map, found {kind_of(data)}")

        return {}

    def base(self, at: At) -> Path:
        """Give the folder of the file in which something stands."""
        file = self.document.position(at).file
        if file not in self._bases:
            self._bases[file] = (self.cwd / file).parent

        return self._bases[file]

    def _hide(self, message: str, at: At) -> str:
        """Put the text as written in the place of what its variables stand for."""
        for place, value, source in self._expanded(at[:2]):
            if place[: len(at)] == at or at[: len(place)] == place:
                message = _as_written(message, value, source)

        return _USER.sub(f"{MASK}@", _one_line(message))

    def _expanded(self, section: At) -> list[tuple[At, str, str]]:
        if self._variables is None:
            self._variables = {}
            for at, source in self.document.sources.items():
                value = self._value(at)
                if isinstance(value, str | int | float) and str(value):
                    self._variables.setdefault(at[:2], []).append((at, str(value), source))

        if len(section) < 2:
            return [
                item
                for key, items in self._variables.items()
                if key[: len(section)] == section
                for item in items
            ]

        return self._variables.get(section, [])

    def _value(self, at: At) -> object:
        data: object = self.document.data
        for step in at:
            inner = step_into(data, step)
            if inner is None:
                return None
            data = inner[0]

        return data


def _remove(data: object, way: At) -> None:
    """Remove a value by its key; one in a list goes with its list, so that none moves up."""
    for index, step in enumerate(way):
        following = way[index + 1] if index + 1 < len(way) else None
        inner = step_into(data, step)
        if inner is None:
            return
        if following is None or isinstance(following, int):
            if isinstance(data, dict):
                del data[step]
            return
        data = inner[0]


def _one_line(message: str) -> str:
    """Escape what would break the line or act on a terminal, and cut what nobody reads."""
    cut = message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…"

    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)


def _as_written(message: str, value: str, source: str) -> str:
    """Put the text as written in the place of a value, however the message shows or cuts it."""
    for form in (quote(value), repr(value), plain(value), value):
        if len(form) >= _SHORTEST_HIDDEN or form[:1] in "'\"":
            message = message.replace(form, source)
    for word in _WORD.findall(value):
        if word not in source:
            message = message.replace(word, MASK)

    return message
