"""Asks a database one query, on a connection of its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.observation import Code, Fault
from monitor.probes._net.asking import NetworkProbe
from monitor.probes._net.faults import Faulted
from monitor.probes._sql.options import SqlOptions
from monitor.probes._sql.place import Engine

if TYPE_CHECKING:
    from monitor.probes._net.look import Look
    from monitor.probes.probe import ProbeContext

_MODULES: Final = {
    Engine.POSTGRESQL: "monitor.probes._sql.postgresql",
    Engine.MYSQL: "monitor.probes._sql.mysql",
    Engine.SQLITE: "monitor.probes._sql.sqlite",
}


class SqlProbe(NetworkProbe[SqlOptions]):
    """Runs one query in a session that only reads; what it gives is `value` and `rows`."""

    durations = "probe_sql_duration_seconds"

    def __init__(self, options: SqlOptions, context: ProbeContext) -> None:
        super().__init__(options, context)
        engine = options.place().engine
        # Any: the module of one database, of which only one is ever needed
        module: Any = import_module(_MODULES[engine])
        self._engine = engine
        self._database = module.Database(options, context)

    async def _ask(self, look: Look) -> None:
        try:
            place = self._options.place(again=True)
        except ValueError as error:
            message = "the URL of the database has changed into one that cannot be read"
            raise Faulted(Fault(code=Code.INTERNAL, message=message, own=True)) from error

        look.awaited = "answer the query"
        await self._database.ask(look, place)
