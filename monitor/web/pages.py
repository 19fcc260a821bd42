"""The pages for people: all services, one of them, one incident; readable without JavaScript."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from monitor import __version__, operations
from monitor.core import wording
from monitor.core.checklists import checklists, stage_of
from monitor.core.model.checklist import Stage
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentPhase
from monitor.core.report import rollback_json
from monitor.core.timeline import by_whom
from monitor.core.wording import duration_text
from monitor.web.acting import refusals
from monitor.web.backend import BACKEND
from monitor.web.public import is_public, public_incident, public_status

if TYPE_CHECKING:
    from jinja2 import Template

    from monitor.core.engine import Engine
    from monitor.core.model.incident import Incident
    from monitor.core.model.service import Directory

_HERE: Final = Path(__file__).parent
_STATIC: Final = {"monitor.css": "text/css"}
_WORDS: Final = {
    "pass": "Everything that is watched passes",
    "unknown": "Something cannot be judged right now",
    "fail": "Something is failing",
}

_WHEN: Final = {
    Stage.BEFORE: "first",
    Stage.DURING: "while it is rolled back",
    Stage.AFTER: "afterwards",
}


async def index(request: web.Request) -> web.Response:
    """Show the status as a page."""
    backend = request.app[BACKEND]
    status = public_status(backend.status()) if is_public(request) else backend.status()
    now = backend.now()
    page = _template("index.html").render(
        status=status,
        rollbacks=status["rollbacks"],
        headline=_headline(status),
        services=_services(status, backend.engine.directory),
        open=sorted(
            (one for one in status["incidents"] if one["resolved_at"] is None), key=_badness
        ),
        resolved=[one for one in status["incidents"] if one["resolved_at"] is not None],
        now=now,
        version=__version__,
    )

    return web.Response(text=page, content_type="text/html")


async def service(request: web.Request) -> web.Response:
    """Show one service: its checks, incidents and rollbacks."""
    backend = request.app[BACKEND]
    name = request.match_info["service"]
    status = public_status(backend.status()) if is_public(request) else backend.status()
    found = [one for one in _services(status, backend.engine.directory) if one["name"] == name]
    if not found:
        raise web.HTTPNotFound(text=f"there is no service {name!r:.200}")

    incidents = [one for one in status["incidents"] if one["service"] == name]
    failing = any(check["state"] == "fail" for check in found[0]["checks"])
    page = _template("service.html").render(
        service=found[0],
        headline="something is failing" if failing else "all of its checks pass",
        verdict="fail" if failing else "pass",
        open=[one for one in incidents if one["resolved_at"] is None],
        resolved=[one for one in incidents if one["resolved_at"] is not None],
        rollbacks=[one for one in status["rollbacks"] if one["service"] == name],
        environment=status["environment"],
        at=status["at"],
        now=backend.now(),
        version=__version__,
    )

    return web.Response(text=page, content_type="text/html")


async def incident(request: web.Request) -> web.Response:
    """Show one incident: where it stands, who has it, what was seen, and all that was done."""
    backend = request.app[BACKEND]
    with refusals():
        found = await operations.show_incident(request.match_info["id"], backend.desk)
    if is_public(request):
        found = public_incident(found)
    engine, id = backend.engine, found["id"]
    known = engine.situation.incidents.get(id)
    rollback = engine.situation.rollbacks.get(found["rollback"] or "")
    page = _template("incident.html").render(
        incident=found,
        headline=_what(known, found, backend.now()),
        phases=_phases(found["phase"]),
        known=engine.directory.service(found["service"]),
        rollback=rollback_json(rollback, engine.situation) if rollback else None,
        checklists=_checklists(known, engine) if known and not is_public(request) else [],
        environment=engine.directory.environment,
        now=backend.now(),
        version=__version__,
    )

    return web.Response(text=page, content_type="text/html")


async def static(request: web.Request) -> web.Response:
    """Give one of the few files that the page needs."""
    name = request.match_info["name"]
    if name not in _STATIC:
        raise web.HTTPNotFound(text=f"there is no file {name!r}")

    return web.Response(
        text=_read(name), content_type=_STATIC[name], headers={"Cache-Control": "max-age=3600"}
    )


def _what(known: Incident | None, found: dict[str, Any], now: datetime) -> str:
    """Say in a sentence what is wrong, or was; of one that memory has forgotten, of whom it was."""
    if known is not None:
        return wording.headline(known, at=now)

    return f"{found['service']}: {found['title'] or found['class']}"


def _phases(phase: str) -> list[dict[str, str]]:
    """Give the public phases with where an incident stands among them."""
    names = [one.value for one in IncidentPhase]
    reached = names.index(phase)

    return [
        {
            "name": name.capitalize(),
            "state": "done" if place < reached else "now" if place == reached else "ahead",
        }
        for place, name in enumerate(names)
    ]


def _checklists(incident: Incident, engine: Engine) -> list[dict[str, Any]]:
    """Give what is to be done, stage by stage, of which the one that it is in is first."""
    stages = checklists(incident, engine.directory, engine.situation)
    now = stage_of(incident, engine.situation)

    return [
        {"title": _WHEN[stage], "tasks": tasks}
        for stage, tasks in sorted(stages.items(), key=lambda pair: pair[0] is not now)
    ]


def _badness(incident: dict[str, Any]) -> tuple[int, str]:
    """Sort the worst first, and of the equally bad the oldest."""
    return Severity(incident["severity"]).rank, incident["since"]


def _headline(status: dict[str, Any]) -> str:
    failing = sum(check["state"] == "fail" for check in status["checks"])
    if failing:
        return "1 check is failing" if failing == 1 else f"{failing} checks are failing"

    return _WORDS[status["verdict"]]


def _services(status: dict[str, Any], directory: Directory) -> list[dict[str, Any]]:
    """Give each service with its checks, what runs, where to look and whom to call."""
    checks: dict[str, list[dict[str, Any]]] = {}
    for check in status["checks"]:
        checks.setdefault(check["service"], []).append(check)
    deploys = {deploy["service"]: deploy for deploy in status["deploys"]}

    return [
        {
            "name": name,
            "known": directory.service(name),
            "deploy": deploys.get(name),
            "checks": own,
        }
        for name, own in checks.items()
    ]


@cache
def _template(name: str) -> Template:
    """Load a page once; jinja2 is needed by nobody who never looks at it."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = _clock
    environment.filters["took"] = _took
    environment.filters["versions"] = _versions
    environment.globals["lasted"] = _lasted
    environment.globals["by_whom"] = by_whom

    return environment.get_template(name)


@cache
def _read(name: str) -> str:
    return (_HERE / "static" / name).read_text(encoding="utf-8")


def _clock(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC"


def _took(seconds: float | None) -> str:
    if seconds is None:
        return ""

    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def _versions(rollback: dict[str, Any]) -> str:
    """Name both versions; where nothing was deployed there is nothing to go back from, or to."""
    before, after = rollback["from"], rollback["to"]
    if not before:
        return "none"

    return f"{before} → {after or 'none is known to be good'}"


def _lasted(since: str, until: str | None, now: datetime) -> str:
    end = datetime.fromisoformat(until) if until else now

    return duration_text(end - datetime.fromisoformat(since))
