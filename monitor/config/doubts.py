"""What is allowed in a configuration, and yet is likely to be regretted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.rollback import Mode

if TYPE_CHECKING:
    from monitor.config.compiled import Compiled
    from monitor.core.model.service import RollbackPolicy

SHORTEST_TOKEN: Final = 16


def find_doubts(compiled: Compiled) -> tuple[str, ...]:
    """Say of each what may come of it; a secret is never shown."""
    doubts = [
        f"web.tokens: the token of {token.name} has fewer than {SHORTEST_TOKEN} characters, "
        "so it may be guessed: `openssl rand -hex 16` makes a good one"
        for token in compiled.web.tokens
        if len(token.secret.current) < SHORTEST_TOKEN
    ]
    services = compiled.directory.services.values()
    automatic = [one.name for one in services if one.rollback and _acts(one.rollback)]
    if automatic and not compiled.witnesses:
        many = f" and {len(automatic) - 1} more" if len(automatic) > 1 else ""
        doubts.append(
            f"witnesses: there are none, and {automatic[0]}{many} is rolled back automatically: "
            "a network of the monitor's own that fails may look like a bad deploy"
        )

    return tuple(doubts)


def _acts(policy: RollbackPolicy) -> bool:
    return Mode.AUTOMATIC in (policy.mode, *policy.modes.values()) and bool(policy.steps)
