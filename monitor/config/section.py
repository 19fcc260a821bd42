"""What every part of the tree of settings has in common."""

from __future__ import annotations

from pydantic import field_validator

from monitor.fields import Options


class Section(Options):
    """A part of the tree; a key without a value is refused rather than taken for its default."""

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_nothing(cls, value: object) -> object:
        if value is None:
            raise ValueError("expected a value, found nothing; give it one or remove the key")

        return value
