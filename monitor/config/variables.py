"""Expands `${NAME}`, `${NAME:-default}`, `${file:/path}` and `${credential:NAME}` inside one text.

`$${` is a literal `${`; any other dollar is itself. What a variable holds may be a secret: messages
name variables and files, and never show what came out of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from monitor.config.files import Unreadable, read_regular, why
from monitor.config.suggest import suggest
from monitor.options import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPENING: Final = re.compile(r"\$\$\{|\$\{")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9_.@-]+")
_OF_COMMANDS: Final = (
    "MONITOR_DEPLOY_",
    "MONITOR_FROM_",
    "MONITOR_INCIDENT_",
    "MONITOR_REASON",
    "MONITOR_ROLLBACK_",
    "MONITOR_TO_",
)
"""What the variables of commands begin with, which nobody sets beforehand."""

_FORMS: Final = "${NAME}, ${NAME:-default}, ${file:/path} or ${credential:NAME}"
_LARGEST_SECRET: Final = 64 * 1024
_LONGEST_SHOWN: Final = 40
_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """Reads a secret from its file; one newline at the end is not part of it."""

    path: Path

    def __call__(self) -> str:
        """Raise Unreadable (a ValueError) or OSError, without any of the content."""
        content = read_regular(self.path, _LARGEST_SECRET)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise Unreadable("is not UTF-8 text") from None

        return text.removesuffix("\n").removesuffix("\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What a text became.

    `secret` reads its files again; `typed` says that it came from the environment alone, so that
    an unquoted one may be a number, true or false. `unset` marks a stand-in.
    """

    text: str
    secret: Secret | None = None
    typed: bool = True
    unset: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Joined:
    """Puts a text together again from its literal parts and the secrets in it."""

    parts: tuple[str | Secret, ...]

    def __call__(self) -> str:
        return "".join(part if isinstance(part, str) else part.reveal() for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Unset:
    """A stand-in for what is not set here, but will be where the configuration is used."""

    name: str


class _Wrong(Exception):
    """A variable that cannot be expanded; the message is for the user."""


class Variables:
    """Expands texts from one environment, and remembers every secret that it met."""

    def __init__(self, environ: Mapping[str, str], *, allow_unset: bool) -> None:
        self._environ = environ
        self._allow_unset = allow_unset
        self._files: dict[Path, Secret] = {}
        self._credentials: dict[str, Secret] = {}

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that came from a file or a credential."""
        return (*self._files.values(), *self._credentials.values())

    def expand(self, text: str, folder: Path) -> Expansion:
        """Expand the variables of a text; files are relative to a folder."""
        parts: list[str | Secret | _Unset] = []
        problems: list[str] = []
        typed, end = True, 0
        while opening := _OPENING.search(text, end):
            parts.append(text[end : opening.start()])
            end = opening.end()
            if opening[0] == "$${":
                parts.append("${")
                continue

            closing = text.find("}", end)
            if closing < 0:
                problems.append('found "${" without its "}": write $${ for a literal "${"')
                break

            inside, end = text[end:closing], closing + 1
            try:
                part = self._value(inside, folder)
            except _Wrong as wrong:
                problems.append(str(wrong))
                if "${" in inside:
                    break  # the rest of the text belongs to the variable within
            else:
                typed = typed and not isinstance(part, Secret)
                parts.append(part)
        else:
            parts.append(text[end:])

        if problems:
            return Expansion(text=text, problems=tuple(problems))

        return _join([part for part in parts if part != ""], typed=typed)

    def _value(self, inside: str, folder: Path) -> str | Secret | _Unset:
        if "${" in inside:
            raise _Wrong("a variable cannot stand inside another one")

        scheme, colon, rest = inside.partition(":")
        match scheme if colon and not rest.startswith("-") else "":
            case "file":
                return self._file(rest, folder)
            case "credential":
                return self._credential(rest)
            case _:
                return self._variable(inside)

    def _variable(self, inside: str) -> str | _Unset:
        name, has_default, default = inside.partition(":-")
        if not name:
            raise _Wrong(f"expected the name of a variable, as in {_FORMS}")
        if not _NAME.fullmatch(name):
            raise _Wrong(f"expected {_FORMS}, found ${{{_short(inside)}}}")

        value = self._environ.get(name)
        if has_default:
            return value or default
        if value is not None:
            return value
        if self._allow_unset:
            return _Unset(name)

        meant = suggest(name, self._environ) or ": export it"
        if name.startswith(_OF_COMMANDS):
            meant = ": a command finds it in its environment when it runs, and reads it there"
        raise _Wrong(f"variable {_short(name)} is not set{meant}")

    def _file(self, name: str, folder: Path) -> Secret | _Unset:
        if not name:
            raise _Wrong("expected the path of a file, as in ${file:/path}")

        path = folder / name
        known = self._files.get(path)
        if known is not None:
            return known

        read = SecretFile(path=path)
        try:
            secret = Secret(read(), refresh=read)
        except FileNotFoundError:
            if self._allow_unset:
                return _Unset("file")
            raise _Wrong(f"file {_short(name)} does not exist") from None
        except (OSError, ValueError) as error:
            # One that is for somebody else to read is as good as not there: it may be there for
            # the service, and not for you, or for the monitor, and not for its runner of probes.
            if self._allow_unset and isinstance(error, PermissionError):
                return _Unset("file")
            raise _Wrong(f"file {_short(name)} {why(error)}") from None

        self._files[path] = secret

        return secret

    def _credential(self, name: str) -> Secret | _Unset:
        if not _CREDENTIAL.fullmatch(name) or name in (".", ".."):
            raise _Wrong(
                "expected the name of a credential without slashes, as in ${credential:NAME}"
            )

        known = self._credentials.get(name)
        if known is not None:
            return known

        directory = self._environ.get(_DIRECTORY)
        if not directory:
            if self._allow_unset:
                return _Unset(name)
            raise _Wrong(
                f"credential {_short(name)} is not there: ${_DIRECTORY} is not set, "
                f"as systemd does for a unit with LoadCredential={_short(name)}"
            )

        try:
            secret = Secret(SecretFile(path=Path(directory) / name)())
        except FileNotFoundError:
            if self._allow_unset:
                return _Unset(name)
            raise _Wrong(
                f"credential {_short(name)} is not in ${_DIRECTORY}{_alike(name, Path(directory))}"
            ) from None
        except (OSError, ValueError) as error:
            raise _Wrong(f"credential {_short(name)} {why(error)}") from None

        self._credentials[name] = secret

        return secret


def _join(parts: list[str | Secret | _Unset], *, typed: bool) -> Expansion:
    if any(isinstance(part, _Unset) for part in parts):
        return Expansion(text=_stand_in(parts), typed=False, unset=True)

    known = tuple(part for part in parts if not isinstance(part, _Unset))
    text = "".join(part if isinstance(part, str) else part.current for part in known)
    live = any(isinstance(part, Secret) and part.live for part in known)
    whole = known[0] if len(known) == 1 else None
    if not live:
        return Expansion(text=text, typed=typed)

    secret = whole if isinstance(whole, Secret) else Secret(text, refresh=_Joined(known))

    return Expansion(text=text, secret=secret, typed=False)


def _stand_in(parts: list[str | Secret | _Unset]) -> str:
    """Write something that passes for most of what could be meant: an address, or a word."""
    return "".join(
        part
        if isinstance(part, str)
        else part.current
        if isinstance(part, Secret)
        else f"https://unset.example/{part.name}"
        if len(parts) == 1
        else "https://unset.example"
        if number == 0
        else "unset"
        for number, part in enumerate(parts)
    )


def _alike(name: str, directory: Path) -> str:
    try:
        return suggest(name, [path.name for path in directory.iterdir()])
    except OSError:
        return ""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
