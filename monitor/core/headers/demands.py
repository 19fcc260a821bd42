"""What may be written under `policies`: names, parameters and bundles, and what they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from monitor.core.expectations.shown import plain, show
from monitor.core.headers import clickjacking, csp, disclosure, isolation, referrer
from monitor.core.headers.result import Policy, PolicyRule, Terms, one_of
from monitor.options import DURATION_PATTERN, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class PolicyError(Exception):
    """What is written is no policy: where below the list, and what was wanted."""

    def __init__(
        self, message: str, path: tuple[str | int, ...] = (), *, at_key: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.at_key = at_key


class Shape(StrEnum):
    """What the value of a parameter looks like."""

    YES = "true"
    DURATION = "a duration"
    WORD = "one of"
    WORDS = "a list of"
    NAMES = "a list of names"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a policy; of its `words` one or several are written, the first is usual."""

    meaning: str
    shape: Shape = Shape.YES
    words: tuple[str, ...] = ()


_REQUIRED: Final = Parameter(meaning="absent is a failure too")

PARAMETERS: Final[Mapping[Policy, Mapping[str, Parameter]]] = {
    Policy.HSTS: {
        "min_max_age": Parameter(
            meaning="the shortest max-age, by default 180d", shape=Shape.DURATION
        ),
        "include_subdomains": Parameter(meaning="includeSubDomains is needed"),
        "preload": Parameter(meaning="preload is needed"),
    },
    Policy.CSP: {
        "level": Parameter(
            meaning="present, the default: any valid policy; no-unsafe: one that bounds scripts",
            shape=Shape.WORD,
            words=("present", csp.NO_UNSAFE),
        )
    },
    Policy.CLICKJACKING: {
        "level": Parameter(
            meaning="others, the default: no other site may frame it; nobody: not even itself",
            shape=Shape.WORD,
            words=("others", clickjacking.NOBODY),
        )
    },
    Policy.REFERRER_POLICY: {
        "required": _REQUIRED,
        "allow": Parameter(
            meaning="the values that pass, of which one is needed",
            shape=Shape.WORDS,
            words=referrer.STRICTEST_FIRST,
        ),
    },
    Policy.COOKIES: {"required": Parameter(meaning="every cookie needs a SameSite flag")},
    **{
        policy: {
            "required": _REQUIRED,
            "allow": Parameter(
                meaning="the values that pass, of which one is needed",
                shape=Shape.WORDS,
                words=header.values,
            ),
        }
        for policy, header in isolation.HEADERS.items()
    },
    Policy.PERMISSIONS_POLICY: {
        "require": Parameter(
            meaning="features that nobody may use, as in camera=()", shape=Shape.NAMES
        )
    },
    Policy.NO_DISCLOSURE: {
        "level": Parameter(
            meaning="versions, the default: none of a product; owasp: no such header at all",
            shape=Shape.WORD,
            words=("versions", disclosure.OWASP),
        )
    },
    Policy.CACHE_CONTROL: {
        "require": Parameter(
            meaning="directives that are needed, by default no-store", shape=Shape.NAMES
        )
    },
}
"""The parameters of each policy that has any."""

_POLICIES: Final = frozenset(Policy)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_TWO_YEARS: Final = timedelta(days=730)
BUNDLES: Final[Mapping[str, tuple[PolicyRule, ...]]] = {
    "observatory": (
        PolicyRule(policy=Policy.CSP, terms=Terms(level=csp.NO_UNSAFE)),
        PolicyRule(policy=Policy.COOKIES),
        PolicyRule(policy=Policy.CORS),
        PolicyRule(policy=Policy.HTTPS_REDIRECT),
        PolicyRule(policy=Policy.REFERRER_POLICY),
        PolicyRule(policy=Policy.HSTS),
        PolicyRule(policy=Policy.SRI),
        PolicyRule(policy=Policy.NOSNIFF),
        PolicyRule(policy=Policy.CLICKJACKING),
        PolicyRule(policy=Policy.CORP),
    ),
    "owasp": (
        PolicyRule(
            policy=Policy.HSTS, terms=Terms(min_max_age=_TWO_YEARS, include_subdomains=True)
        ),
        PolicyRule(policy=Policy.CSP, terms=Terms(level=csp.NO_UNSAFE)),
        PolicyRule(policy=Policy.CLICKJACKING, terms=Terms(level=clickjacking.NOBODY)),
        PolicyRule(policy=Policy.NOSNIFF),
        PolicyRule(policy=Policy.REFERRER_POLICY, terms=Terms(allow=("no-referrer",))),
        PolicyRule(policy=Policy.CORP, terms=Terms(allow=("same-origin",))),
        PolicyRule(policy=Policy.COOP, terms=Terms(allow=("same-origin",))),
        PolicyRule(policy=Policy.COEP, terms=Terms(allow=("require-corp",))),
        PolicyRule(policy=Policy.PERMISSIONS_POLICY),
        PolicyRule(policy=Policy.CACHE_CONTROL),
        PolicyRule(policy=Policy.NO_DISCLOSURE, terms=Terms(level=disclosure.OWASP)),
    ),
    "api": (
        PolicyRule(policy=Policy.HSTS),
        PolicyRule(policy=Policy.NOSNIFF),
        PolicyRule(policy=Policy.CLICKJACKING, terms=Terms(level=clickjacking.NOBODY)),
        PolicyRule(policy=Policy.CACHE_CONTROL),
    ),
}
"""Policies that are asked for together, under one name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demanded:
    """One policy that is asked for, the place where it is written, and the bundle it came with."""

    rule: PolicyRule
    index: int
    bundle: str = ""


def read_policies(
    raw: Sequence[object], complain: Callable[[PolicyError], None]
) -> tuple[Demanded, ...]:
    """Read a list of policies and bundles; each mistake is complained about and left out.

    What is named by itself counts before a bundle, and a later bundle before an earlier one.
    """
    bundled: dict[Policy, Demanded] = {}
    alone: dict[Policy, Demanded] = {}
    for index, item in enumerate(raw):
        if isinstance(item, str) and item in BUNDLES:
            bundled |= {
                rule.policy: Demanded(rule=rule, index=index, bundle=item) for rule in BUNDLES[item]
            }
            continue

        try:
            rule = _read_policy(item)
        except PolicyError as error:
            complain(PolicyError(error.message, (index, *error.path), at_key=error.at_key))
            continue

        if rule.policy in alone:
            complain(PolicyError(f"{rule.policy} is named twice", (index,)))
        alone[rule.policy] = Demanded(rule=rule, index=index)

    return tuple((bundled | alone).values())


def _read_policy(item: object) -> PolicyRule:
    match item:
        case str():
            return PolicyRule(policy=_name(item))
        case dict() if len(item) == 1:
            ((name, parameters),) = item.items()
        case _:
            raise PolicyError(f"expected a policy, or a map with one, found {show(item)}")

    if not isinstance(name, str) or name in BUNDLES:
        what = f"the bundle {name} has no parameters" if name in BUNDLES else "found no text"
        raise PolicyError(f"expected the name of a policy: {what}", at_key=True)

    policy = _name(name)
    if not isinstance(parameters, dict):
        raise PolicyError(f"expected a map of parameters, found {show(parameters)}", (name,))

    return PolicyRule(policy=policy, terms=_read_terms(policy, parameters))


def _name(name: str) -> Policy:
    if name in _POLICIES:
        return Policy(name)

    from difflib import get_close_matches

    known = (*Policy, *BUNDLES)
    close = get_close_matches(name, known, n=1)
    meant = f"; did you mean {close[0]}?" if close else f", expected one of {', '.join(known)}"
    raise PolicyError(f"unknown policy {plain(name)}{meant}")


def _read_terms(policy: Policy, written: Mapping[Any, object]) -> Terms:
    known = PARAMETERS.get(policy, {})
    values: dict[str, Any] = {}
    for name, value in written.items():
        if name not in known:
            expected = f"expected {one_of(list(known))}" if known else f"{policy} has none"
            raise PolicyError(
                f"unknown parameter {plain(str(name))}, {expected}", (policy, name), at_key=True
            )
        try:
            values[name] = _read_value(known[name], value)
        except ValueError as error:
            raise PolicyError(str(error), (policy, name)) from error

    return replace(Terms(), **values)


def _read_value(parameter: Parameter, value: object) -> object:
    """Read one value; raises ValueError that says what was expected."""
    words = parameter.words
    match parameter.shape:
        case Shape.YES:
            if isinstance(value, bool):
                return value
            expected = "true or false"
        case Shape.DURATION:
            return parse_duration(value)
        case Shape.WORD:
            if value in words:
                return "" if value == words[0] else value
            expected = " or ".join(words)
        case Shape.WORDS:
            if isinstance(value, list) and value and all(one in words for one in value):
                return tuple(word for word in words if word in value)
            expected = f"a list of {', '.join(words)}"
        case Shape.NAMES:
            if isinstance(value, list) and value and all(_is_name(one) for one in value):
                return tuple(dict.fromkeys(one.lower() for one in value))
            expected = "a list of names"

    raise ValueError(f"expected {expected}, found {show(value)}")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def policies_schema() -> dict[str, Any]:
    """Give the JSON Schema of one item under `policies`."""
    return {
        "anyOf": [
            {"enum": [*Policy, *BUNDLES]},
            {
                "type": "object",
                "properties": {
                    policy.value: {
                        "type": "object",
                        "properties": {
                            name: {"description": parameter.meaning} | _shape(parameter)
                            for name, parameter in parameters.items()
                        },
                        "additionalProperties": False,
                    }
                    for policy, parameters in PARAMETERS.items()
                },
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    }


def _shape(parameter: Parameter) -> dict[str, Any]:
    match parameter.shape:
        case Shape.YES:
            return {"type": "boolean"}
        case Shape.DURATION:
            return {"type": "string", "pattern": DURATION_PATTERN, "examples": ["365d"]}
        case Shape.WORD:
            return {"enum": list(parameter.words)}
        case Shape.WORDS:
            items: dict[str, Any] = {"enum": list(parameter.words)}
        case Shape.NAMES:
            items = {"type": "string", "pattern": f"^{_NAME.pattern}$"}

    return {"type": "array", "items": items, "minItems": 1}
