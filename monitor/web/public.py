"""What everybody may read of an incident, where the pages are open to everybody.

What the monitor saw and did is that; what people wrote to each other, who they are, and evidence
from logs is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monitor.core.timeline import MONITOR
from monitor.core.withholding import WITHHELD
from monitor.web.guard import PUBLIC

if TYPE_CHECKING:
    from aiohttp import web

_SOMEBODY: Final = "somebody"


def is_public(request: web.Request) -> bool:
    """Whether a page is read without a token from elsewhere, because it is open."""
    public: bool = request.get(PUBLIC, False)

    return public


def public_incident(incident: dict[str, Any]) -> dict[str, Any]:
    """Give an incident without what people wrote, who they are, and evidence."""
    taken = incident["acknowledged"]

    return {
        **incident,
        "acknowledged": taken and {**taken, "by": _SOMEBODY},
        "withheld": None,
        "labels": [],
        "timeline": [
            {**entry, "evidence": "", "details": {}}
            for entry in incident["timeline"]
            if entry["actor"] == MONITOR and entry["event"] != WITHHELD
        ],
    }


def public_status(status: dict[str, Any]) -> dict[str, Any]:
    """Give a status in which incidents are as everybody may read them; nobody hears of silences."""
    return {
        **status,
        "incidents": [public_incident(one) for one in status["incidents"]],
        "silences": [],
    }
