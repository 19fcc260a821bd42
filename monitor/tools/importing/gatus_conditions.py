"""The conditions of Gatus, such as `[STATUS] == 200`, as expectations."""

from __future__ import annotations

import re
from typing import Any, Final

_CONDITION: Final = re.compile(r"\s*(.+?)\s*(==|!=|<=|>=|<|>)\s*(.*?)\s*", re.DOTALL)
_FUNCTION: Final = re.compile(r"(any|pat|len|has|age)\((.*)\)", re.DOTALL)
_BODY: Final = re.compile(r"\[BODY\](.*)", re.DOTALL)
_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_PLAIN: Final = re.compile(r"[A-Za-z_]\w*")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
_ORDER: Final = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_CONSTANTS: Final = {"true": True, "false": False, "null": None}
_ORDER_BACK: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


class NoCounterpart(ValueError):
    """There is no expectation for a condition; the text says why."""


def draft_condition(condition: str, kind: str) -> list[dict[str, Any]]:
    """Give the expectations that hold where the condition does, for an endpoint of a kind.

    Raises NoCounterpart.
    """
    found = _CONDITION.fullmatch(condition)
    if found is None:
        raise NoCounterpart("it compares nothing")

    left, operator, right = found[1], found[2], found[3]
    if "[" in right and "[" not in left:
        left, operator, right = right, _ORDER_BACK[operator], left
    if re.search(r"\[[A-Z_]+\]", right):
        raise NoCounterpart("both sides are of the answer")
    if left == "[CONNECTED]" and (operator, right.lower()) == ("==", "true"):
        return []

    return [_draft(left, operator, right, kind)]


def _draft(left: str, operator: str, right: str, kind: str) -> dict[str, Any]:
    match left:
        case "[STATUS]" if kind == "url":
            return {"status": _compare(operator, right, _integer)}
        case "[RESPONSE_TIME]":
            return {"response_time": _order(operator, _duration(right))}
        case "[CERTIFICATE_EXPIRATION]":
            return {"certificate": {"expires_in": _order(operator, _duration(right))}}
        case "[DNS_RCODE]" if kind == "dns":
            return {"rcode": _compare(operator, right, str)}
        case "[BODY]" if kind == "dns":
            return {"dns_answer": {"any": _compare(operator, right, str)}}
        case "[BODY]":
            return {"body": _compare(operator, right, str)}
        case "[IP]":
            raise NoCounterpart("the address that answered is not compared")
        case "[DOMAIN_EXPIRATION]":
            raise NoCounterpart("the expiry of domains is not looked up")

    if body := _BODY.fullmatch(left):
        return {"json": _path(body[1]), **_compare(operator, right, _value)}
    if function := _FUNCTION.fullmatch(left):
        return _draft_function(function[1], function[2], operator, right)

    raise NoCounterpart(f"{left} is not known here")


def _draft_function(name: str, argument: str, operator: str, right: str) -> dict[str, Any]:
    body = _BODY.fullmatch(argument.strip())
    if body is None:
        raise NoCounterpart(f"{name}({argument}) is not known here")

    match name:
        case "has":
            wanted = (right.lower() == "true") is (operator == "==")
            return {"json": _path(body[1]), "exists": wanted}
        case "len" if not body[1]:
            return {"response_size": _count(operator, right)}
        case "len":
            return {"json": f"{_path(body[1])}[*]", "count": _count(operator, right)}
        case _:
            raise NoCounterpart(f"{name}() is not known here")


def _compare(operator: str, right: str, read: Any) -> dict[str, Any]:
    """Give operators for a comparison. Any: `read` gives what a value may be written as."""
    negated = operator == "!="
    if operator in _ORDER:
        return _order(operator, _number(right))

    function = _FUNCTION.fullmatch(right)
    if function and function[1] == "pat":
        return {"not_matches" if negated else "matches": _glob(function[2])}
    if function and function[1] == "any":
        values = [_read(one.strip(), read) for one in function[2].split(",")]
        flat = [one for value in values for one in value]
        return {"not_in" if negated else "in": flat}
    if function:
        raise NoCounterpart(f"{function[1]}() is not known on this side")

    values = _read(right, read)
    if len(values) == 1:
        return {"not_equals" if negated else "equals": values[0]}

    return {"not_in" if negated else "in": values}


def _read(text: str, read: Any) -> list[Any]:
    value = read(text)

    return value if isinstance(value, list) else [value]


def _value(text: str) -> list[Any]:
    """Give what a value in JSON may be to be the same: to Gatus, 42 and "42" are."""
    if _NUMBER.fullmatch(text):
        return [float(text) if "." in text else int(text), text]
    if text in _CONSTANTS:
        return [_CONSTANTS[text], text]

    return [text]


def _order(operator: str, value: Any) -> dict[str, Any]:
    if operator not in _ORDER:
        raise NoCounterpart(f"{operator} is not known for this")

    return {_ORDER[operator]: value}


def _count(operator: str, right: str) -> dict[str, Any]:
    number = _integer(right)
    if operator in _ORDER:
        return {_ORDER[operator]: number}

    return {"not_equals" if operator == "!=" else "equals": number}


def _integer(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise NoCounterpart(f"expected a whole number, found {text!r}")

    return int(text)


def _number(text: str) -> int | float:
    if not _NUMBER.fullmatch(text):
        raise NoCounterpart(f"expected a number, found {text!r}")

    return float(text) if "." in text else int(text)


def _duration(text: str) -> str:
    return f"{text}ms" if text.isdigit() else text


def _glob(pattern: str) -> str:
    """Write a pattern with stars as a regular expression."""
    inner = "".join(".*" if char == "*" else re.escape(char) for char in pattern)
    begin = "" if pattern.startswith("*") else "^"
    end = "" if pattern.endswith("*") else "$"
    inner = inner.removeprefix(".*").removesuffix(".*") or ".*"

    return f"(?s){begin}{inner}{end}"


def _path(rest: str) -> str:
    """Write the way into a body as a JSONPath of RFC 9535."""
    steps, end = ["$"], 0
    for step in _STEP.finditer(rest):
        if step.start() != end:
            break
        end = step.end()
        if step[2] is not None:
            steps.append(f"[{step[2]}]")
        elif _PLAIN.fullmatch(step[1]):
            steps.append(f".{step[1]}")
        else:
            quoted = step[1].replace("\\", "\\\\").replace("'", "\\'")
            steps.append(f"['{quoted}']")
    if end != len(rest):
        raise NoCounterpart(f"[BODY]{rest} is no way into a body that is known here")

    return "".join(steps)
