"""The settings of rollbacks and remedies: when, by which steps, and what proves that it helped."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from monitor.config.section import Section
from monitor.config.settings_fields import (
    Count,
    Line,
    ModeName,
    Pause,
    SeverityName,
    Span,
    read_mode,
)
from monitor.core.model.rollback import Mode
from monitor.options import DURATION_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterator


class ModeSettings(Section):
    """What a trip does; how long a countdown takes, and when an approval comes too late."""

    mode: ModeName
    countdown: Span | None = None
    expires: Span | None = None

    @model_validator(mode="after")
    def _check_wait(self) -> Self:
        for key, mode in (("countdown", Mode.COUNTDOWN), ("expires", Mode.APPROVE)):
            if getattr(self, key) is not None and self.mode is not mode:
                raise ValueError(f"{key} belongs to mode {mode}, found mode {self.mode}")

        return self


def _read_mode(value: object, read: ModelWrapValidatorHandler[ModeSettings]) -> ModeSettings:
    """Read a mode alone, or a map with how long it waits."""
    return read(value) if isinstance(value, dict) else ModeSettings(mode=read_mode(value))


ModeValue = Annotated[
    ModeSettings,
    WrapValidator(_read_mode),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": [str(mode) for mode in Mode]},
                {
                    "type": "object",
                    "properties": {
                        "mode": {"enum": [str(mode) for mode in Mode]},
                        "countdown": {"type": "string", "pattern": DURATION_PATTERN},
                        "expires": {"type": "string", "pattern": DURATION_PATTERN},
                    },
                    "required": ["mode"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class OpenSettings(Section):
    """Which checks have to be open, at one time."""

    any_of: list[str] | None = Field(default=None, alias="any", min_length=1)
    all_of: list[str] | None = Field(default=None, alias="all", min_length=1)
    at_least: Count | None = None
    of: list[str] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _check_one_form(self) -> Self:
        forms = [self.any_of, self.all_of, self.of or self.at_least]
        if sum(form is not None for form in forms) > 1:
            raise ValueError("expected only one of any, all, at_least with of")
        if (self.at_least is None) != (self.of is None):
            raise ValueError("expected at_least and of together")
        if self.of is not None and self.at_least is not None and self.at_least > len(self.of):
            raise ValueError(
                f"at_least {self.at_least} of {len(self.of)} can never be reached: "
                f"expected at most {len(self.of)}"
            )

        return self


class WhenSettings(OpenSettings):
    """Which checks have to be open, at one time, how soon after a deploy."""

    within: Span = timedelta(minutes=30)


class ProofSettings(Section):
    """What one check, of whatever service, has to show after the effect."""

    check: str
    passes: Count = 1
    within: Span | None = None


class VerifySettings(Section):
    """How long the checks that tripped have to close again after the effect, and what else shows.

    `expect` asks further checks for passes of samples after it.
    """

    within: Span = timedelta(minutes=5)
    expect: list[ProofSettings] = Field(default_factory=list)


def _read_once(count: int) -> int:
    if count != 1:
        raise ValueError(f"expected 1, found {count}: a deploy is never rolled back twice")

    return count


class RemedyLimits(Section):
    """How often anything automatic may happen."""

    per_day: Count = 2
    fleet_per_hour: Count = 3
    cooldown: Pause = timedelta(minutes=30)


class LimitsSettings(RemedyLimits):
    """How often anything automatic may happen, and that it happens to a deploy once."""

    per_deploy: Annotated[Count, AfterValidator(_read_once)] = 1


class LevelSettings(Section):
    """Steps that are tried together, and how long they have to help before the next level."""

    name: Line
    steps: list[Any] = Field(min_length=1)  # Any: each kind of hook has its own options
    recover_within: Span | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_undo(cls, value: object) -> object:
        if isinstance(value, dict) and "undo" in value:
            raise ValueError("undo is not available yet: what a level does has to be left as it is")

        return value


class TriedSettings(Section):
    """What is tried when checks are open, in which mode, and how recovery is proven."""

    mode: ModeValue = ModeSettings(mode=Mode.OBSERVE)
    modes: dict[SeverityName, ModeValue] = Field(default_factory=dict)
    steps: list[Any] = Field(default_factory=list)  # Any: each kind of hook has its own options
    levels: list[LevelSettings] = Field(default_factory=list)
    verify: VerifySettings = VerifySettings()

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.steps and self.levels:
            raise ValueError("expected either steps or levels, found both")
        acting = next((one.mode for one in self._all_modes() if one.mode.acts), None)
        if not self.steps and not self.levels and acting is not None:
            raise ValueError(f"expected steps: mode {acting} has to do something")

        return self

    def _all_modes(self) -> Iterator[ModeSettings]:
        yield self.mode
        yield from self.modes.values()


class RollbackSettings(TriedSettings):
    """When a service is rolled back, by which steps, and how its recovery is proven."""

    when: WhenSettings = WhenSettings()
    certify_after: Span = timedelta(minutes=10)
    limits: LimitsSettings = LimitsSettings()


class RemedySettings(TriedSettings):
    """What is tried when checks are open, whether or not there was a deploy."""

    when: OpenSettings = OpenSettings()
    limits: RemedyLimits = RemedyLimits()
