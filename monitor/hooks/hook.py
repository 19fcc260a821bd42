"""The seam to what a rollback step does: the protocol of a hook, and what each hook is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from monitor.options import Redactor
from monitor.runner import run_command
from monitor.runner.program import clean, inherit_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from monitor.core.model.rollback import Effect, EffectContext
    from monitor.options import Secret
    from monitor.runner import HookRunner, RunCommand

OUTPUT_LIMIT: Final = 64 * 1024
"""How much of what a hook said is kept, in characters."""


class Hook(Protocol):
    """Carries out one step. It tries once: whether to try again is decided in the core."""

    async def apply(self, context: EffectContext) -> Effect:
        """Do it, and say what is known of the outcome; an exception means that nothing is."""
        ...

    async def close(self) -> None:
        """Release what it holds; nothing is applied afterwards."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A hook whose effect outlives this process, and which can say later what came of it."""

    async def recall(self, context: EffectContext) -> Effect | None:
        """Give what came of a step that was begun, once it has ended; None if it never was."""
        ...


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookContext:
    """What a hook is made with: how secrets are masked, who we say we are, how a command is run.

    With `hook_runner`, it has a command run outside of this process. `environ` is the whole
    environment that a command starts from here; what its `env` names is added.
    """

    mask: Callable[[str], str]
    user_agent: str
    runner: RunCommand = run_command
    hook_runner: HookRunner | None = None
    environ: Mapping[str, str] = field(default_factory=inherit_environment)
    clock: Callable[[], datetime] = _utc_now

    def hide(self, text: str, own: Iterable[Secret]) -> str:
        """Mask all known secrets, and a hook's own even if nobody else knows them."""
        return self.mask(Redactor(own).mask(text))


def describe(context: EffectContext) -> dict[str, str | int | bool]:
    """Give what a hook is told as plain values, free of control characters and bounded.

    Part of it may come from what a target answered: it is data, never part of a command line.
    """
    return {
        name: clean(value) if isinstance(value, str) else value
        for name, value in asdict(context).items()
    }


def variables(context: EffectContext) -> dict[str, str]:
    """Give the same as `describe` as the `MONITOR_*` variables of an environment."""
    return {f"MONITOR_{name.upper()}": _text(value) for name, value in describe(context).items()}


def bound(text: str) -> str:
    """Keep the end of what a hook said, where errors are."""
    return text[-OUTPUT_LIMIT:]


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
