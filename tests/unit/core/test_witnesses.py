"""What witnesses and resolvers say decides whose fault it is that a target gave no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.observation import Code, Fault
from monitor.core.witnesses import Heard, attribute, doubts_names

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSED = Fault(code=Code.CONNECTION_REFUSED, message="shop refused the connection")
NO_SUCH_NAME = Fault(code=Code.DNS, message="shop did not resolve")
SILENCE = replace(NO_SUCH_NAME, unanswered="shop")

MUTE, GONE, UP = Heard.NOTHING, Heard.REFUSAL, Heard.ADDRESSES
OF_WITNESSES = frozenset({"witness", "second"})


def stays(fault: Fault, names: Mapping[str, Heard] | None, **facts: Any) -> bool:
    """Say whether the fault stays the target's, where a witness answers unless told otherwise."""
    seen = {"witnessed": True, "there": True, "was_there": True, **facts}
    found = attribute(fault, names=names, of_witnesses=OF_WITNESSES, **seen)
    assert found == fault or (found.own and found.code is Code.WITNESS)
    assert fault.message in found.message

    return not found.own


@pytest.mark.parametrize(
    ("fault", "names", "its_own"),
    [
        pytest.param(SILENCE, {}, False, id="silence, and nothing to compare with"),
        pytest.param(SILENCE, {"shop": UP}, False, id="the name itself is no proof"),
        pytest.param(SILENCE, {"a": MUTE, "b": UP}, True, id="another resolves"),
        pytest.param(SILENCE, {"a": GONE}, True, id="another is known not to exist"),
        pytest.param(SILENCE, {"a": MUTE, "b": MUTE}, False, id="silence about all"),
        pytest.param(SILENCE, {"witness": UP}, True, id="a witness resolves"),
        pytest.param(SILENCE, {"witness": GONE}, True, id="a witness is known not to exist"),
        pytest.param(SILENCE, {"witness": MUTE}, False, id="no witness does"),
        pytest.param(SILENCE, {"witness": MUTE, "second": UP}, True, id="one of two does"),
        pytest.param(SILENCE, {"witness": MUTE, "a": UP}, False, id="but what is near"),
        pytest.param(NO_SUCH_NAME, {}, True, id="no such name is an answer"),
        pytest.param(NO_SUCH_NAME, {"a": MUTE}, True, id="also amid silence"),
        pytest.param(NO_SUCH_NAME, {"witness": GONE}, False, id="nor a witness's name"),
        pytest.param(NO_SUCH_NAME, {"witness": UP}, True, id="but a witness's name"),
        pytest.param(NO_SUCH_NAME, {"witness": GONE, "a": UP}, False, id="whatever of others"),
        pytest.param(SILENCE, None, False, id="nothing can be asked"),
    ],
)
def test_whose_fault_it_is_where_a_witness_answers(
    fault: Fault, names: Mapping[str, Heard] | None, its_own: bool
) -> None:
    assert stays(fault, names) is its_own


@pytest.mark.parametrize(
    ("fault", "names", "its_own"),
    [
        pytest.param(SILENCE, {}, True, id="silence counts"),
        pytest.param(SILENCE, {"a": MUTE}, False, id="unless it is about all names"),
        pytest.param(SILENCE, {"a": UP}, True, id="and not about this one alone"),
        pytest.param(SILENCE, {"witness": MUTE, "a": UP}, True, id="whatever of witnesses"),
        pytest.param(NO_SUCH_NAME, {}, True, id="no such name"),
        pytest.param(REFUSED, {}, True, id="no connection"),
    ],
)
def test_whose_fault_it_is_where_witnesses_say_nothing_of_the_way(
    fault: Fault, names: Mapping[str, Heard], its_own: bool
) -> None:
    assert stays(fault, names, witnessed=False, there=False, was_there=False) is its_own


@pytest.mark.parametrize("fault", [REFUSED, NO_SUCH_NAME, SILENCE])
def test_a_monitor_that_was_cut_off_blames_no_target(fault: Fault) -> None:
    assert stays(fault, {"witness": UP})
    assert not stays(fault, {"witness": UP}, there=False)
    assert not stays(fault, {"witness": UP}, was_there=False)


def test_other_names_are_asked_for_only_where_a_name_is_in_doubt() -> None:
    assert doubts_names(SILENCE, witnessed=False)
    assert doubts_names(NO_SUCH_NAME, witnessed=True)
    assert not doubts_names(NO_SUCH_NAME, witnessed=False)
    assert not doubts_names(REFUSED, witnessed=True)
