"""When a deploy is rolled back, what holds it back, and how recovery is proven: decisions only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What the records do not say, but a rollback depends on.

    `services` is how many services are watched in all; 0 is not known, and then three failing
    services are common cause enough. `maintenance` names the window that holds for the service,
    and `dependency` what it depends on and is down; both are empty where there is none.
    """

    kill_switch: bool = False
    warming_up: bool = False
    blind: bool = False
    store_ok: bool = True
    services: int = 0
    maintenance: str = ""
    dependency: str = ""
