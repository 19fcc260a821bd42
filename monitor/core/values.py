"""Values that a probe brought: whether they are healthy, and which are the worst where not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from monitor.core.expectations import Evidence
from monitor.core.expectations import check as check_expectation
from monitor.core.expectations.checking import find_nodes, holds, say_wanted, value_of
from monitor.core.expectations.json_body import BodyError, PathError
from monitor.core.expectations.record import Each, Operator
from monitor.core.expectations.rows import Cell
from monitor.core.expectations.shown import plain, shorten
from monitor.core.model.endpoint import ValueRule, ValueWindowRule
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.expectations import Expectation
    from monitor.core.model.endpoint import Check
    from monitor.core.model.observation import Observation

    Mask = Callable[[str], str]

_MOST_NAMED: Final = 5
_LONGEST_LABEL: Final = 60
_UPWARDS: Final = frozenset({Operator.GT, Operator.GTE})
_SERVER_FAULT: Final = 500


def carrier_fault(observation: Observation) -> Reason | None:
    """Say why nobody gave a value, None where somebody answered.

    What merely carries a figure and does not answer says nothing about the figure.
    """
    fault = observation.fault
    if fault is not None:
        return Reason(
            code=fault.code, message=fault.message, expected="a value", found=fault.message
        )
    if observation.no_figure:
        return Reason(
            code=Code.EXIT_CODE,
            message=f"{observation.no_figure}, and no value is known",
            expected="a value",
            found=observation.no_figure,
        )
    if observation.status is None or observation.status < _SERVER_FAULT:
        return None

    found = str(observation.status)

    return Reason(
        code=Code.STATUS,
        message=f"status is {found}, and no value is known",
        expected="a value",
        found=found,
    )


def judge_value(rule: ValueRule, evidence: Evidence) -> tuple[Reason, ...]:
    """Judge the one value, or in each row what stands in the column; no rows are healthy."""
    expectation = rule.expectation
    if not rule.column:
        reason = check_expectation(expectation, evidence)
        return () if reason is None else (reason,)

    cells = [node for node in find_nodes(expectation, evidence) if isinstance(node, Cell)]
    wrong = [cell for cell in cells if not is_healthy(expectation, value_of(cell))]
    if not wrong:
        return ()

    return (_name_offenders(expectation, wrong, len(cells), evidence.mask),)


def is_healthy(expectation: Expectation, value: object) -> bool:
    """Whether one value meets all that is expected of it."""
    return all(
        isinstance(one, Each) and holds(one.condition, value) for one in expectation.requirements
    )


def wanted_of(expectation: Expectation) -> str:
    """Say in words what is expected of a value."""
    return " and ".join(say_wanted(one) for one in expectation.requirements)


def kept_value(checks: tuple[Check, ...], observation: Observation) -> float | None:
    """Give the value that is kept of a probe, for the windows of one of its checks."""
    for check in checks:
        if isinstance(check.rule, ValueWindowRule):
            return read_number(check.rule.expectation, observation)

    return None


def read_number(expectation: Expectation, observation: Observation) -> float | None:
    """Read the one number that an answer has where it is looked for; None for anything else."""
    if carrier_fault(observation) is not None:
        return None

    try:
        nodes = find_nodes(expectation, Evidence(observation))
    except (BodyError, PathError):
        return None
    if len(nodes) != 1:
        return None

    value = value_of(nodes[0])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None

    try:
        number = float(value)
    except OverflowError:
        return None

    return number if math.isfinite(number) else None


def _name_offenders(expectation: Expectation, wrong: list[Cell], rows: int, mask: Mask) -> Reason:
    """Name the rows that are furthest from healthy, by what else stands in them."""
    upwards = any(
        isinstance(one, Each) and one.condition.operator in _UPWARDS
        for one in expectation.requirements
    )
    worst = sorted(wrong, key=lambda cell: _badness(cell.value, upwards=upwards))[:_MOST_NAMED]
    named = ", ".join(_name_offender(cell, mask) for cell in worst)
    more = f" and {len(wrong) - len(worst)} more" if len(wrong) > len(worst) else ""
    wanted = wanted_of(expectation)
    share = f"{len(wrong)} of {rows} row{'' if rows == 1 else 's'}"

    return Reason(
        code=Code.EXPECTATION,
        message=f"{plain(expectation.name)} is {named}{more} ({share}), expected {wanted}",
        expected=wanted,
        found=f"{named}{more}",
        at=expectation.at,
    )


def _badness(value: object, *, upwards: bool) -> tuple[int, float]:
    """Order values, the worst first: what is no number, then the furthest from healthy."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (0, 0)

    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf

    return (0, 0) if math.isnan(number) else (1, number if upwards else -number)


def _name_offender(cell: Cell, mask: Mask) -> str:
    value = cell.found(mask)
    labels = shorten(cell.labels(mask), limit=_LONGEST_LABEL)

    return f"{value} for {labels}" if labels else f"{value} in row {cell.number}"
