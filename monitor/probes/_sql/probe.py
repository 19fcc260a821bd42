"""Asks a database one query, on a connection of its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.observation import Code, Fault, Phase
from monitor.probes._net.faults import Faulted
from monitor.probes._net.look import measure_phases, observe
from monitor.probes._net.resolve import prepare
from monitor.probes._sql.place import Engine

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation
    from monitor.probes._net.look import Look
    from monitor.probes._sql.options import SqlOptions
    from monitor.probes.probe import ProbeContext

_PHASES: Final = {phase: phase.value for phase in Phase}
_MODULES: Final = {
    Engine.POSTGRESQL: "monitor.probes._sql.postgresql",
    Engine.MYSQL: "monitor.probes._sql.mysql",
    Engine.SQLITE: "monitor.probes._sql.sqlite",
}


class SqlProbe:
    """Runs one query in a session that only reads; what it gives is `value` and `rows`."""

    def __init__(self, options: SqlOptions, context: ProbeContext) -> None:
        self._options = options
        self._context = context
        prepare(options.resolver)
        engine = options.place().engine
        # Any: the module of one database, of which only one is ever needed
        module: Any = import_module(_MODULES[engine])
        self._engine = engine
        self._database = module.Database(options, context)

    async def observe(self) -> Observation:
        """Ask once."""
        return await observe(
            self._context,
            self._options.target,
            self._ask,
            conclude=lambda look: measure_phases(look, "probe_sql_duration_seconds", _PHASES),
        )

    async def close(self) -> None:
        """Hold nothing: each observation gives back what it used."""

    async def _ask(self, look: Look) -> None:
        try:
            place = self._options.place(again=True)
        except ValueError as error:
            message = "the URL of the database has changed into one that cannot be read"
            raise Faulted(Fault(code=Code.INTERNAL, message=message, own=True)) from error

        look.awaited = "answer the query"
        await self._database.ask(look, place)
