"""What a post-mortem says of a rollback: what was done, by whom, and what proves that it helped."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from monitor.core import wording
from monitor.core.markdown import escape, table
from monitor.core.model.rollback import RollbackKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from monitor.core.model.incident import Incident
    from monitor.core.model.rollback import Rollback, Step


def rollback_lines(rollback: Rollback, steps: Sequence[Step], incident: Incident) -> Iterator[str]:
    """Write what is recorded of one rollback, or of a trip that was held back."""
    yield escape(wording.rollback_headline(rollback))
    yield ""
    if rollback.kind is RollbackKind.ROLLBACK:
        versions = f"{rollback.from_version or 'none'} → {rollback.to_version or 'none'}"
        yield f"- **Versions**: {escape(versions)}"
    yield f"- **Tripped by**: {escape(rollback.reason or ', '.join(rollback.triggers))}"
    yield f"- **Mode**: {rollback.mode}"
    for act, name in (
        ("Started by", rollback.started_by),
        ("Approved by", rollback.approved_by),
        ("Vetoed by", rollback.vetoed_by),
    ):
        if name:
            yield f"- **{act}**: {escape(name)}"
    yield f"- **Proof**: {_proof(rollback, incident)}"
    if not steps:
        return

    yield ""
    yield from table(
        ("Step", "State", "Attempt", "When", "What came of it"),
        (
            (
                escape(step.name or f"{step.level}.{step.number} {step.kind}"),
                step.state.value,
                str(step.attempt),
                f"{step.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                escape(step.detail),
            )
            for step in steps
        ),
    )


def _proof(rollback: Rollback, incident: Incident) -> str:
    """Say what was seen after the effect, and only that."""
    done = rollback.effect_done_at
    if done is None:
        return "none, nothing was changed"

    seen = []
    for check in rollback.triggers:
        member = next((one for one in incident.members if one.check == check), None)
        if member is None:
            continue
        if member.closed_at is None:
            seen.append(f"{check} has not recovered")
        elif member.closed_at < done:
            seen.append(f"{check} had recovered before it was done")
        else:
            after = (member.closed_at - done) / timedelta(seconds=1)
            seen.append(f"{check} recovered {after:.0f} s after it was done")
    state = rollback.state.value.replace("_", " ")

    return escape("; ".join((state, *seen, *([rollback.detail] if rollback.detail else []))))
