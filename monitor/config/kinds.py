"""Choosing a kind of plug-in by its key, and reading its options."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from monitor.config.compiled import Plugin
from monitor.config.suggest import suggest
from monitor.config.translate import keys_of, kind_of, models_in
from monitor.core.expectations.shown import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.fields import Kind


def read_plugin(
    findings: Findings, kinds: Mapping[str, Kind], data: object, at: At, *, what: str
) -> Plugin | None:
    """Read a map whose one key names the kind and leads to its options; `what` is being read."""
    choice = ", ".join(kinds)
    if not isinstance(data, dict) or not data:
        findings.complain(at, f"expected a map with one of {choice}, found {_nothing(data)}")
        return None

    if unknown := [key for key in data if key not in kinds]:
        for key in unknown:
            findings.complain((*at, key), _unknown(str(key), kinds, what), key=True)
        return None

    if len(data) > 1:
        findings.complain(at, f"expected exactly one kind of {what}, found {' and '.join(data)}")
        return None

    ((name, options),) = data.items()

    return _read(findings, name, kinds[name], {} if options is None else options, (*at, name))


def read_flat(
    findings: Findings, name: str, kind: Kind, data: Mapping[str, object], at: At
) -> Plugin | None:
    """Read the options of a kind whose keys stand beside others."""
    own = {key: data[key] for key in keys_of(kind.options) if key in data}

    return _read(findings, name, kind, own, at)


def own_data(kind: Kind, name: str, data: Mapping[str, object]) -> object:
    """Give the part of an endpoint that belongs to its kind, as it was written."""
    if kind.flat:
        return {key: data[key] for key in keys_of(kind.options) if key in data}

    return data.get(name)


def _read(findings: Findings, name: str, kind: Kind, data: object, at: At) -> Plugin | None:
    options = findings.read(kind.options, data, at)

    return None if options is None else Plugin(kind=name, options=options)


def suggest_place(named: Sequence[str], kinds: Mapping[str, Kind]) -> str:
    """Say where a key belongs that names a kind itself, and an option of another that is named."""
    for owner, key in permutations(named, 2):
        for name, field in kinds[owner].options.model_fields.items():
            place = name if kinds[owner].flat else f"{owner}.{name}"
            if name == key:
                return f"; did you mean {place}?"
            if any(key in keys_of(model) for model in models_in(field.annotation)):
                return f"; did you mean {place}.{key}?"

    return ""


def _unknown(key: str, kinds: Mapping[str, Kind], what: str) -> str:
    """Say which kind was meant; the options of a kind may stand where the kind itself belongs."""
    shown = plain(key)
    meant = suggest(key, kinds)
    owners = [name for name, kind in kinds.items() if key in keys_of(kind.options)]
    if not meant and owners:
        example = " or ".join(f"{owner}: {{{shown}: …}}" for owner in owners)
        return f"{shown} belongs to a kind of {what}: expected {example}"

    choice = ", ".join(kinds)

    return f"unknown kind of {what} {shown}" + (meant or f", expected one of {choice}")


def _nothing(data: object) -> str:
    return "an empty one" if data == {} else kind_of(data)
