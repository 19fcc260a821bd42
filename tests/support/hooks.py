"""What hooks are told and made with in tests, and programs to run as hooks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.rollback import EffectContext
from monitor.hooks.command import CommandHook, CommandOptions
from monitor.hooks.hook import HookContext
from monitor.options import Redactor

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.model.rollback import Effect

TOLD: Final = EffectContext(
    rollback_id="0b5e1a52-0000-5000-8000-000000000001",
    step_key="0b5e1a52-0000-5000-8000-000000000001.1.1",
    service="shop",
    environment="production",
    level="rollback",
    reason="api.health: status is 500, expected 2xx",
    severity="critical",
    from_version="v2",
    to_version="v1",
    deploy_id="v2@noon",
    incident_id="shop-outage-1",
    attempt=1,
)


def make_context(*secrets: str, **facts: Any) -> HookContext:
    return HookContext(mask=Redactor(secrets).mask, user_agent="production-monitor/test", **facts)


def write_program(folder: Path, source: str, *, name: str = "hook.py") -> Path:
    """Write a Python program that can be run as it is."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -S\n{source}")
    path.chmod(0o755)

    return path


async def run_program(
    folder: Path,
    source: str,
    *,
    told: EffectContext = TOLD,
    context: HookContext | None = None,
    **options: Any,
) -> Effect:
    """Run a Python program as a hook, the way the configuration would have it run."""
    write_program(folder, source)
    hook = CommandHook(
        CommandOptions.model_validate({"run": ["./hook.py"], **options}, context={"base": folder}),
        context or make_context(),
    )
    try:
        return await hook.apply(told)
    finally:
        await hook.close()
