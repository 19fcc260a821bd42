"""Telling again each minute what still stands: for receivers that forget what is over."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.notice import DeliveryState
from monitor.logs import Log
from monitor.notifiers.notifier import Lasting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from monitor.core.model.notice import Delivery
    from monitor.core.situation import Situation
    from monitor.notifiers.notifier import Notifier

_log = Log()

EVERY: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(minutes=4)
"""How long it may take one receiver to hear all of it."""

ENDS_LAST: Final = timedelta(minutes=15)
"""For how long the end of an incident is told again: to a member that was away, say."""


class Upkeep:
    """Goes through what was delivered, and lets receivers have it again.

    What it tells follows from the records alone, so that it goes on over a restart. `notifiers`
    gives those that are configured now.
    """

    def __init__(
        self,
        *,
        notifiers: Callable[[], Mapping[str, Notifier]],
        situation: Situation,
        clock: Callable[[], datetime],
        every: timedelta = EVERY,
    ) -> None:
        self._notifiers = notifiers
        self._situation = situation
        self._clock = clock
        self._every = every

    async def run(self) -> None:
        """Tell again now, and from then on each minute; who is not done yet is left to it."""
        under_way: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                for name, notifier, standing in self._list_due():
                    if name not in under_way or under_way[name].done():
                        work = self._tell(name, notifier, standing)
                        under_way[name] = group.create_task(work, name=f"upkeep of {name}")
                await asyncio.sleep(self._every.total_seconds())

    def _list_due(self) -> list[tuple[str, Lasting, list[Delivery]]]:
        lasting = {
            name: notifier
            for name, notifier in self._notifiers().items()
            if isinstance(notifier, Lasting)
        }
        if not lasting:
            return []

        standing = list_standing(self._situation, self._clock())

        return [
            (name, notifier, standing[name])
            for name, notifier in lasting.items()
            if name in standing
        ]

    async def _tell(self, name: str, notifier: Lasting, standing: list[Delivery]) -> None:
        try:
            async with asyncio.timeout(LONGEST.total_seconds()):
                await notifier.upkeep(standing)
        except TimeoutError:
            _log.warning("upkeep_took_too_long", notifier=name)
        except Exception:  # noqa: BLE001 - as around a delivery: a bug must not end the upkeep
            _log.exception("upkeep_failed", notifier=name)


def list_standing(situation: Situation, now: datetime) -> dict[str, list[Delivery]]:
    """Give by notifier what it has of each incident that goes on, or ended a short time ago.

    An end is not told again once its service fails anew: to a receiver both may be one thing.
    """
    newest: dict[tuple[str, str], Delivery] = {}
    for delivery in situation.deliveries.values():
        if delivery.state is not DeliveryState.DELIVERED or delivery.reference is None:
            continue
        key = (delivery.notifier, delivery.notice.incident)
        known = newest.get(key)
        if known is None or known.notice.sequence < delivery.notice.sequence:
            newest[key] = delivery

    standing: dict[str, list[Delivery]] = {}
    for delivery in newest.values():
        if _stands(delivery, situation, now):
            standing.setdefault(delivery.notifier, []).append(delivery)

    return standing


def _stands(delivery: Delivery, situation: Situation, now: datetime) -> bool:
    notice = delivery.notice
    if notice.resolved_at is None:
        incident = situation.incidents.get(notice.incident)
        return incident is not None and incident.open
    if now - (delivery.delivered_at or notice.resolved_at) > ENDS_LAST:
        return False

    return situation.open_incident(notice.service, notice.klass) is None
