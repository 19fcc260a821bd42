"""Whose fault it is that a target gave no answer, by what witnesses and resolvers said then."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from monitor.core.model.observation import Code, Fault

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Heard(StrEnum):
    """What became of asking for a name: nothing, that there is no address, or addresses."""

    NOTHING = "nothing"
    REFUSAL = "refusal"
    ADDRESSES = "addresses"


def doubts_names(fault: Fault, *, witnessed: bool) -> bool:
    """Say whether it may be the resolver's fault, so that other names have to be asked for.

    A DNS server that an endpoint names is a part of what is asked, and none of ours.
    """
    if fault.nameserver:
        return False

    return bool(fault.unanswered) or (fault.code is Code.DNS and witnessed)


def attribute(
    fault: Fault,
    *,
    witnessed: bool,
    there: bool,
    was_there: bool,
    names: Mapping[str, Heard] | None,
    of_witnesses: Collection[str],
) -> Fault:
    """Give the fault of a target without an answer, or one of our own in its place.

    `witnessed` is whether witnesses say something about the way to the target, `there` whether one
    of them answers now, `was_there` whether one did when that began which failed. `names` are the
    other names that were asked for, as far as they are in doubt; None where nothing can be asked.
    """
    if witnessed and not there:
        return _cut_off(fault, "no witness answered either")
    if witnessed and not was_there:
        return _cut_off(fault, "no witness answered when it began")
    if names is None:
        return _unresolved(fault)
    if doubts_names(fault, witnessed=witnessed) and not _resolver_works(
        fault, names, of_witnesses, witnessed=witnessed
    ):
        return _unresolved(fault)

    return fault


def _resolver_works(
    fault: Fault, names: Mapping[str, Heard], of_witnesses: Collection[str], *, witnessed: bool
) -> bool:
    """Whether the resolver works for other names than that of the target.

    The names of witnesses tell, where there are any: a resolver may still know what is near. One
    that says of the target that there is no such name is believed, unless it does not know a
    witness either. One that says nothing is at fault where it says nothing of any name.
    """
    others = {name: heard for name, heard in names.items() if name != fault.unanswered}
    by_witnesses = [heard for name, heard in others.items() if name in of_witnesses]
    if not fault.unanswered:
        return not by_witnesses or Heard.ADDRESSES in by_witnesses
    if not others:
        return not witnessed  # a witness answered, so that nothing but the resolver is left

    telling = by_witnesses if witnessed and by_witnesses else others.values()

    return any(heard is not Heard.NOTHING for heard in telling)


def _cut_off(fault: Fault, why: str) -> Fault:
    message = f"{why}, so the monitor may be cut off ({fault.message})"

    return Fault(code=Code.WITNESS, message=message, own=True)


def _unresolved(fault: Fault) -> Fault:
    message = (
        "no name resolves that should, so the resolver of this machine may be down "
        f"({fault.message})"
    )

    return Fault(code=Code.WITNESS, message=message, own=True)
