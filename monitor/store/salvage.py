"""Taking a bundle apart, to find the one record in it that cannot be stored."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from monitor.core.model.changes import Changes

if TYPE_CHECKING:
    from collections.abc import Sequence


def halves(bundle: Changes) -> tuple[Changes, ...]:
    """Split the records of a bundle in two, in their order; one record or none stays whole."""
    records = [
        (field.name, record) for field in fields(bundle) for record in getattr(bundle, field.name)
    ]
    if len(records) < 2:
        return (bundle,)

    middle = len(records) // 2

    return _bundle(records[:middle]), _bundle(records[middle:])


def _bundle(records: Sequence[tuple[str, Any]]) -> Changes:
    parts: dict[str, tuple[Any, ...]] = {}
    for name, record in records:
        parts[name] = (*parts.get(name, ()), record)

    return Changes(**parts)
