"""The options of whatever runs a program: an argument list and an environment."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, model_validator

from monitor.fields import Options, SecretText

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS: Final = re.compile(r"\$\{?MONITOR_[A-Z_]+\}?")
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ksh", "zsh"})
_LONGEST_VALUE: Final = 2_000
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "SHELL")


def _read_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"expected a variable name such as API_TOKEN, found {name!r}")
    if name.startswith("MONITOR_"):
        raise ValueError(f"{name}: names that start with MONITOR_ are set by the monitor")

    return name


def _read_argument(argument: str) -> str:
    if "\0" in argument:
        raise ValueError("expected an argument without NUL characters")
    return argument


Argument = Annotated[str, AfterValidator(_read_argument)]
VariableName = Annotated[str, AfterValidator(_read_name)]


class ProgramOptions(Options):
    """A program to run: `run` is an argument list, never a shell string.

    A program with a slash in it is relative to the configuration file, whose directory is also
    where it runs; a bare name is looked up in PATH. `env` is added to a small environment.
    """

    run: Annotated[list[Argument], Field(min_length=1)]
    env: dict[VariableName, SecretText] = Field(default_factory=dict)
    _base: Path = PrivateAttr(default_factory=Path)

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: object) -> object:
        if isinstance(value, list):
            return {"run": value}
        if isinstance(value, str):
            raise ValueError(
                f"expected an argument list such as [./restore.sh, --now], found {value!r}"
            )

        return value

    @model_validator(mode="after")
    def _check_program(self, info: ValidationInfo) -> Self:
        given: dict[str, Any] = info.context or {}
        self._base = Path(given.get("base") or ".").absolute()
        if problem := self.problem:
            raise ValueError(problem)
        found = _OURS.search(" ".join(self.run))
        if found and Path(self.run[0]).name not in _SHELLS:
            raise ValueError(
                f"found {found[0]}, in whose place nothing is put, since there is no shell: "
                "let the program read it from its environment"
            )

        return self

    @property
    def program(self) -> str:
        """The program as it is started: an absolute path, or a bare name for PATH."""
        return str(self._base / self.run[0]) if "/" in self.run[0] else self.run[0]

    @property
    def directory(self) -> Path:
        """Where it runs: beside the configuration file."""
        return self._base

    @property
    def problem(self) -> str | None:
        """Why the program cannot or must not be run now, or None."""
        return find_problem(self.program, bare="/" not in self.run[0])

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Offer the short form, a plain argument list, to editors as well."""
        short = {"type": "array", "items": {"type": "string"}, "minItems": 1}

        return {"anyOf": [short, handler(schema)]}


def find_problem(program: str, *, bare: bool) -> str | None:
    """Say why a program cannot or must not be run, or None.

    Whoever may write to it decides what the monitor runs, so only its owner may.
    """
    if bare:
        return None if shutil.which(program) else f"expected a program in PATH, found no {program}"

    path = Path(program)
    try:
        mode = path.stat().st_mode
        directory = path.parent.stat().st_mode
    except OSError as error:
        return f"expected a program at {program}: {os.strerror(error.errno or 0)}"

    if not stat.S_ISREG(mode):
        return f"expected a program at {program}, which is no file"
    if not os.access(path, os.X_OK):
        return f"expected an executable file, but {program} is not (chmod +x)"
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"{program} may be written by others than its owner (chmod go-w)"
    if directory & stat.S_IWOTH and not directory & stat.S_ISVTX:
        return f"the directory of {program} may be written by everyone (chmod o-w)"

    return None


def clean(value: str) -> str:
    """Give a text that may come from anywhere as a variable takes it: printable, and bounded."""
    printable = "".join(char if char.isprintable() else " " for char in value[:_LONGEST_VALUE])

    return printable.encode("utf-8", "replace").decode("utf-8")


def digest(parts: list[Any]) -> str:
    """Give what tells a command from any other; Any: whatever JSON can hold, without secrets."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def inherit_environment() -> dict[str, str]:
    """Read the few variables that a command gets from our own environment."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}
