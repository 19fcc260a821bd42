"""A compiled expectation: where it looks, and what has to hold there."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from monitor.core.expectations.shown import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from monitor.core.expectations.evidence import Evidence
    from monitor.core.expectations.json_schema import Schema


class Source(StrEnum):
    """What an expectation looks at; what is known of each stands in the table of sources."""

    STATUS = "status"
    HEADER = "header"
    BODY = "body"
    JSON = "json"
    JSON_SCHEMA = "json_schema"
    HTML = "html"
    RESPONSE_TIME = "response_time"
    RESPONSE_SIZE = "response_size"
    REDIRECT = "redirect"
    CERTIFICATE = "certificate"
    HTTP_VERSION = "http_version"
    VALUE = "value"
    ROWS = "rows"
    DNS_ANSWER = "dns_answer"
    DNS_RECORDS = "dns_records"
    DNS_FLAGS = "dns_flags"
    RCODE = "rcode"
    EXIT_CODE = "exit_code"
    OUTPUT = "output"
    CONSOLE_ERRORS = "console_errors"
    FAILED_REQUESTS = "failed_requests"


class Operator(StrEnum):
    """How what was found is compared with what is healthy."""

    EQUALS = "equals"
    IN = "in"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    BETWEEN = "between"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    MATCHES = "matches"
    EXISTS = "exists"
    IS_EMPTY = "is_empty"
    TYPE = "type"
    COUNT = "count"
    EVERY = "every"
    ANY = "any"


class Kind(StrEnum):
    """The types of JSON; a header, a body and a status are one of them as well."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    NULL = "null"
    ARRAY = "array"
    OBJECT = "object"
    DURATION = "duration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One operator with its operand, ready to be applied to one value.

    `kinds` are the types that it may be applied to: anything else is a mismatch, which fails in
    the positive and in the negated form alike. `wanted` is what a person reads after "expected".
    `needs_whole` says that a truncated text cannot satisfy it.
    """

    operator: Operator
    negated: bool
    operand: object
    wanted: str
    kinds: frozenset[Kind]
    test: Callable[[object], bool] = field(compare=False, repr=False)
    needs_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Each:
    """The one value, or the lines of a header: one that matches satisfies, negated none may."""

    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantified:
    """Every value, or any one of them, meets all conditions; no value at all meets neither.

    With `column`, of each row it is what stands in that column that has to meet them.
    """

    every: bool
    conditions: tuple[Condition, ...]
    column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The number of values meets the condition."""

    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Existence:
    """There is a value (null is one), or there is none."""

    expected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fits:
    """The whole document has the shape that a schema describes."""

    schema: Schema


Requirement = Each | Quantified | Count | Existence | Fits


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """A source and what is healthy there; all requirements have to hold.

    `name` is the header in lower case, the JSONPath as written or the part of the source, else
    empty. `subject` is what a person reads first: `status`, `header content-type`, `json $.db`.
    `read` gives what there is, for the `selector` that the name became. `cuttable` says that what
    there is may have been cut. What is `optional` may be absent. `at` is `file:line:column` of the
    configuration.
    """

    source: Source
    requirements: tuple[Requirement, ...]
    subject: str
    read: Callable[[Evidence, object], Sequence[object]] = field(compare=False, repr=False)
    name: str = ""
    selector: object = field(default=None, compare=False, repr=False)
    cuttable: bool = False
    optional: bool = False
    at: str = ""


def schemas_of(expectations: Iterable[Expectation]) -> list[str]:
    """Give the digests of the schemas that are named: what is in their files is part of a rule."""
    return [
        requirement.schema.digest
        for expectation in expectations
        for requirement in expectation.requirements
        if isinstance(requirement, Fits)
    ]


class ExpectationError(Exception):
    """A raw expectation that cannot be compiled: where below it, and what was wanted.

    `at_key` says that the name itself is wrong, rather than what it leads to.
    """

    def __init__(self, path: tuple[str | int, ...], message: str, *, at_key: bool = False) -> None:
        super().__init__(message)
        self.path = path
        self.message = printable(message)
        self.at_key = at_key
