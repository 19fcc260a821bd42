"""Steps of a dialogue: what is expected, what is captured of it, and what is sent in answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from monitor.core.expectations.regex import compile_pattern
from monitor.core.expectations.shown import plain, shorten
from monitor.fields import Options, SecretText
from monitor.options import found

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.options import Secret

_PLACE: Final = re.compile(
    r"\{ \{ (?P<literal> \w+ ) \} \} | \{ (?P<name> [A-Za-z_]\w* | [0-9]{1,3} ) \}", re.VERBOSE
)
_LABEL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,99}")
_OURS: Final = frozenset({"endpoint", "target", "service", "instance", "job"})
_LONGEST_LABEL: Final = 200
_LEADS_TO_A_SECRET: Final = re.compile(
    r"pass|auth|login|token|bearer|secret|identify|api.?key", re.IGNORECASE
)
_WORD: Final = re.compile(r"[^\s\"'{}:,;\0]{8,}")
"""What may be a credential: shorter words would be masked wherever they are written."""

_PLAIN_WORD: Final = re.compile(r"[A-Za-z]{1,11}")

MOST_STEPS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """An RE2 pattern whose groups are kept."""

    text: str
    # Any: the library's annotations do not say what it compiles to
    compiled: Any = field(repr=False, compare=False)

    @property
    def groups(self) -> int:
        """How many groups it has."""
        return int(self.compiled.groups)

    @property
    def names(self) -> Iterable[str]:
        """The names of those groups that have one."""
        return tuple(self.compiled.groupindex)


def read_pattern(value: object) -> Pattern:
    """Read a regular expression; raises ValueError that says what is wrong with it."""
    if isinstance(value, Pattern):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a regular expression, found {found(value)}; quote it")

    import re2

    try:
        return Pattern(text=value, compiled=compile_pattern(value, captures=True))
    except re2.error as error:
        said = error.args[0]
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"{found(value)} is no RE2 pattern: {plain(why)}") from error


PatternText = Annotated[
    Pattern,
    PlainValidator(read_pattern),
    PlainSerializer(lambda pattern: pattern.text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "regex"}),
]


def _read_label(name: str) -> str:
    if not _LABEL.fullmatch(name) or name in _OURS:
        also = f", other than {', '.join(sorted(_OURS))}"
        raise ValueError(f"expected a name of a label such as version{also}, found {name!r}")

    return name


LabelName = Annotated[str, AfterValidator(_read_label)]


class Step(Options):
    """One step: what is expected first, what is sent then."""

    expect: PatternText | None = None
    send: SecretText | None = Field(default=None, repr=False)


class Heard:
    """What the groups of patterns matched so far: names for good, numbers of the newest match."""

    __slots__ = ("_named", "_numbered")

    def __init__(self) -> None:
        self._named: dict[str, bytes] = {}
        self._numbered: Sequence[bytes | None] = ()

    def match(self, pattern: Pattern, said: bytes) -> bool:
        """Say whether the pattern matches anywhere, and keep what its groups do."""
        matched = pattern.compiled.search(said.decode(errors="replace").encode())
        if matched is None:
            return False

        self._numbered = (matched.group(0), *matched.groups())
        self._named |= {name: value or b"" for name, value in matched.groupdict().items()}

        return True

    def fill(self, template: str) -> bytes:
        """Put what was heard in the place of `{name}` and `{1}`; `{{name}}` is a text as it is."""
        parts: list[bytes] = []
        end = 0
        for place in _PLACE.finditer(template):
            parts += [_encode(template[end : place.start()]), self._fill_place(place)]
            end = place.end()
        parts.append(_encode(template[end:]))

        return b"".join(parts)

    def label(self, template: str) -> str:
        """Fill a template that becomes a label: short, and nothing in it that could act."""
        said = self.fill(template).decode(errors="replace")

        return shorten("".join(c if c.isprintable() else "�" for c in said), limit=_LONGEST_LABEL)

    def _fill_place(self, place: re.Match[str]) -> bytes:
        if place["literal"] is not None:
            return f"{{{place['literal']}}}".encode()

        name = place["name"]
        if not name.isdigit():
            return self._named.get(name, place[0].encode())
        number = int(name)

        return (self._numbered[number] or b"") if number < len(self._numbered) else b""


class Script:
    """The steps that were read so far, to see whether each place in a text will be filled."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._groups = -1

    def expects(self, pattern: Pattern) -> None:
        """Add what is expected next."""
        self._names.update(pattern.names)
        self._groups = pattern.groups

    def check(self, template: str) -> None:
        """Raise ValueError where a place names what no step before has captured."""
        for place in _PLACE.finditer(template):
            name = place["name"]
            if name is None or name in self._names:
                continue
            if not name.isdigit():
                raise ValueError(
                    f"no step up to here captures {{{name}}}: expected a group (?P<{name}>…) in "
                    f"an expect, or {{{{{name}}}}} for the text itself"
                )
            if int(name) > self._groups:
                raise ValueError(f"the expect before has no group {name} for {{{name}}}")


def secrets_of(sent: Iterable[Secret]) -> tuple[Secret, ...]:
    """Give what of texts that are sent must never be shown: each as a whole, and credentials.

    A plain word (`ping`, `status`) is none, since it would be masked wherever it is written.
    """
    found: list[Secret] = []
    for one in sent:
        if one.live or not _PLAIN_WORD.fullmatch(one.current):
            found.append(one)
        if one.live or not _PLAIN_WORD.fullmatch(one.current.strip()):
            found += one.parts(_without_space)
        found += one.parts(_credentials_in)

    return tuple(one for one in found if one.current)


def _without_space(text: str) -> list[str]:
    return [text.strip()]


def _credentials_in(text: str) -> list[str]:
    leads = _LEADS_TO_A_SECRET.search(text)

    return _WORD.findall(text, leads.end()) if leads else []


def _encode(text: str) -> bytes:
    return text.encode(errors="replace")
