"""The settings of checklists: what is to be done at each stage, and what ticks it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from monitor.config.section import Section
from monitor.config.settings_fields import Line
from monitor.config.suggest import suggest
from monitor.config.translate import found
from monitor.core.model.checklist import Item, Seen, Stage
from monitor.fields import ShortForm


def _read_seen(value: object) -> Seen:
    if isinstance(value, str) and value in set(Seen):
        return Seen(value)

    meant = suggest(value, Seen) if isinstance(value, str) else ""
    raise ValueError(f"expected one of {', '.join(Seen)}, found {found(value)}{meant}")


SeenName = Annotated[
    Seen,
    PlainValidator(_read_seen),
    WithJsonSchema({"type": "string", "enum": [str(word) for word in Seen]}),
]


class ItemSettings(ShortForm):
    """One thing to do: a text, or one with what shows the monitor that it is done."""

    short_form: ClassVar[str] = "text"
    text: Line
    done: SeenName | None = None

    @property
    def item(self) -> Item:
        """The same in the terms of the core."""
        return Item(text=self.text, seen=self.done)


class ChecklistSettings(Section):
    """What is to be done before, while and after it is rolled back; left out, defaults hold."""

    before: list[ItemSettings] | None = Field(default=None)
    during: list[ItemSettings] | None = Field(default=None)
    after: list[ItemSettings] | None = Field(default=None)

    @property
    def items(self) -> dict[Stage, tuple[Item, ...]]:
        """What stands in it."""
        written = {Stage.BEFORE: self.before, Stage.DURING: self.during, Stage.AFTER: self.after}

        return {
            stage: tuple(one.item for one in items)
            for stage, items in written.items()
            if items is not None
        }
