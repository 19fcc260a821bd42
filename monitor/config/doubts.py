"""What is allowed in a configuration, and yet is likely to be regretted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from monitor.core.model.rollback import Mode

if TYPE_CHECKING:
    from monitor.config.compiled import Compiled
    from monitor.core.model.service import RollbackPolicy

SHORTEST_TOKEN: Final = 16
_NOBODY: Final = re.compile(r"\.invalid(?=[:/?]|$)", re.IGNORECASE)


def find_doubts(compiled: Compiled) -> tuple[str, ...]:
    """Say of each what may come of it; a secret is never shown."""
    doubts = [
        f"web.tokens: the token of {token.name} has fewer than {SHORTEST_TOKEN} characters, "
        "so it may be guessed: `openssl rand -hex 16` makes a good one"
        for token in compiled.web.tokens
        if len(token.secret.current) < SHORTEST_TOKEN
    ]
    services = compiled.directory.services.values()
    automatic = [one.name for one in services if any(map(_acts, one.policies))]
    if automatic and not compiled.witnesses:
        many = f" and {len(automatic) - 1} more" if len(automatic) > 1 else ""
        doubts.append(
            f"witnesses: there are none, and {automatic[0]}{many} is rolled back automatically: "
            "a network of the monitor's own that fails may look like a bad deploy"
        )

    if automatic and not compiled.notifiers:
        doubts.append(
            f"notifiers: there are none, and {automatic[0]} is rolled back automatically: "
            "nobody is told of it, nor where a person has to act"
        )
    if stand_ins := [one.name for one in compiled.endpoints if _NOBODY.search(one.target)]:
        many = f" and {len(stand_ins) - 1} more" if len(stand_ins) > 1 else ""
        doubts.append(
            f"endpoints: {stand_ins[0]}{many} would ask under .invalid, where there is nothing "
            "(RFC 2606): put your target in its place"
        )

    return tuple(doubts)


def _acts(policy: RollbackPolicy) -> bool:
    alone = (Mode.AUTOMATIC, Mode.COUNTDOWN)

    return policy.acts and any(mode in alone for mode in (policy.mode, *policy.modes.values()))
