"""A facet: one thing that a source tells, and by what it can be compared with what is healthy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monitor.core.expectations.record import Kind, Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from monitor.core.expectations.evidence import Evidence

    Path = tuple[str | int, ...]
    Read = Callable[[Evidence, Any], Sequence[object]]
    ReadFile = Callable[[str], str]

ORDER: Final = (Operator.LT, Operator.LTE, Operator.GT, Operator.GTE)
COMPARING: Final = (*ORDER, Operator.BETWEEN)
SAME: Final = (Operator.EQUALS, Operator.IN)
COUNTING: Final = (*SAME, *COMPARING)
"""The operators that can hold for a number of values."""

ABOUT_TEXT: Final = (
    *SAME,
    Operator.CONTAINS,
    Operator.STARTS_WITH,
    Operator.ENDS_WITH,
    Operator.MATCHES,
    Operator.IS_EMPTY,
)
ABOUT_NODES: Final = (Operator.EXISTS, Operator.COUNT, Operator.EVERY, Operator.ANY)
"""Operators on what was found as a whole; they have no `not_` form."""

ABOUT_VALUES: Final = (*ABOUT_TEXT, *COMPARING, Operator.TYPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operand:
    """What may be written behind an operator: how it is read, and its JSON Schema.

    Where more than one value is the same as what is written (`2xx`), `test` says which are, of
    the types `kinds`.
    """

    read: Callable[[object, Path], Any]
    shape: Mapping[str, Any]
    test: Callable[[Any], Callable[[Any], bool]] | None = None
    kinds: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """One thing that a source tells.

    `read` gives what there is of it: nothing where it is absent, several values where there are
    several; Nodes where a scalar operator needs exactly one, plain values where one of them is
    enough. `literal` is what it may be the same as, `ordered` what it is compared with by order.
    With `plain`, a literal alone means that it is the same. `anything` says that it may be of any
    type of JSON. `cuttable` says that what was not received belongs to it, `grows` that it is a
    number that would only be larger then.
    """

    name: str
    words: str
    read: Read
    operators: tuple[Operator, ...]
    literal: Operand
    ordered: Operand | None = None
    plain: bool = False
    anything: bool = False
    columns: bool = False
    cuttable: bool = False
    grows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The name that a source has, as written in the configuration.

    `read` gives it as it is shown, and what finds it, from what is written, its place, an example
    and what reads a file; `described` is for editors. A name that is `alone` has no operators: it
    says itself what is expected.
    """

    read: Callable[[object, Path, str, ReadFile], tuple[str, Any]]
    described: str
    alone: bool = False
