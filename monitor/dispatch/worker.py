"""One worker for each notifier: it brings what is due, in order, and no faster than it may."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeVar

from monitor.core import outbox
from monitor.core.model.notice import Delivered, Refused, TryAgain
from monitor.core.outbox import Crowd, Style, Upcoming, Why
from monitor.dispatch.waits import Waits
from monitor.logs import Log
from monitor.notifiers.notifier import Reconciling

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.core.model.service import Directory
    from monitor.core.outbox import Errand
    from monitor.core.situation import Situation
    from monitor.dispatch.journal import Journal
    from monitor.notifiers.notifier import Notifier

_log = Log()

_AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)
_CANCEL_GRACE: Final = timedelta(seconds=1)
_REST_AFTER_A_BUG: Final = timedelta(seconds=5)
_TO_FIND: Final = timedelta(seconds=10)
"""How long a receiver is asked whether it has a message already."""

_TROUBLE: Final = 3
"""So many failures in a row are trouble of the receiver itself."""

_MOST_FAILURES: Final = 5
"""So often the rest of a receiver is doubled, up to 16 s."""

_LOOKS: Final = 64
"""By so many messages a long plan is gone through until what is new is looked at as well."""

_PLANNED_A_SECOND: Final = 5_000
"""So many incidents are planned anew each second at most: thousands may come in one."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all workers work with.

    `moved` is called when one has got on, or has nothing to do; `queued` when it has queued
    something for another. `hurried` says that nothing more is to be gathered.
    """

    situation: Situation
    journal: Journal
    clock: Callable[[], datetime]
    on_receipt: Callable[[Delivery, Receipt], None]
    rng: Callable[[], float]
    deadline: timedelta
    stop_grace: timedelta
    moved: Callable[[], None]
    queued: Callable[[], None]
    hurried: Callable[[], bool]
    directory: Callable[[], Directory]


class Worker:
    """Brings the notices of one notifier, one after the other."""

    def __init__(self, name: str, notifier: Notifier, shared: Shared) -> None:
        self.notifier = notifier
        self._name = name
        self._shared = shared
        self._waits = Waits(shared.clock)
        self._crowd = Crowd()
        manner = notifier.manner
        self._style = Style(
            digests=manner.digests,
            tracks=manner.tracks,
            asks=isinstance(notifier, Reconciling),
        )
        self._begun = _now()
        self._pace = outbox.resume(
            manner.every,
            manner.burst,
            outbox.newest_told(shared.situation.deliveries.values(), name, manner.burst),
            shared.clock(),
        )
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()
        self._bringing = False
        self._rest_until = 0.0
        self._failures = 0
        self._new_failures = 0
        self._new_until = 0.0
        self._planned = 0
        self._attempt: asyncio.Task[Receipt | None] | None = None
        self._run = asyncio.create_task(self._work(), name=f"notifier {name}")

    def wake(self) -> None:
        """Look for new notices now."""
        self._woken.set()

    def is_busy(self, seconds: float) -> bool:
        """Whether it is bringing a notice, or will be within so many seconds."""
        if self._bringing:
            return True

        upcoming = self._plan()

        return bool(upcoming) and upcoming[0][0] <= seconds

    async def stop(self) -> None:
        """Let the attempt under way end, but not for long; all rows are written."""
        self._stopped.set()
        self.wake()
        await asyncio.wait({self._run}, timeout=self._shared.stop_grace.total_seconds())
        if not self._run.done():
            if self._attempt is not None:
                self._attempt.cancel()
            longest = _CANCEL_GRACE + self._shared.journal.patience
            await asyncio.wait({self._run}, timeout=longest.total_seconds())
        self._run.cancel()
        await asyncio.gather(self._run, return_exceptions=True)

    async def _work(self) -> None:
        pending = self._shared.situation.pending_deliveries(self._name)
        left_behind = outbox.take_up(pending, self._shared.clock())
        await self._shared.journal.write(left_behind)
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                rest = await self._bring_due()
            except Exception:  # noqa: BLE001 - a bug in one delivery must not silence the receiver
                _log.exception("notifier_stumbled", notifier=self._name)
                rest = _REST_AFTER_A_BUG.total_seconds()
            if rest == 0:
                continue

            self._shared.moved()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), rest)
                await asyncio.wait_for(self._stopped.wait(), self._planned / _PLANNED_A_SECOND)

    async def _bring_due(self) -> float | None:
        """Bring what is due; give how many seconds to rest, None is until there is something new.

        It looks anew once there is something new, or a delivery did not go well.
        """
        upcoming = self._plan()
        at_least = len(upcoming) // _LOOKS
        for brought, (wait, following) in enumerate(upcoming):
            if (rest := max(wait, self._pace_left())) > 0:
                return rest
            if following.leader is not None and self._woken.is_set():
                break  # so that it tells what has come meanwhile as well
            errand = self._make_errand(following)
            if errand is None:
                continue
            receipt = await self._bring(errand)
            if self._stopped.is_set() or not isinstance(receipt, Delivered):
                break
            if self._woken.is_set() and brought >= at_least:
                break

        return 0 if upcoming else None

    def _plan(self) -> list[tuple[float, Upcoming]]:
        """Give what is told next and the seconds until each may be tried, the soonest first.

        Of what may be tried now, what was not tried yet comes first: one incident that the receiver
        chokes on holds up no other.
        """
        situation, now = self._shared.situation, self._shared.clock()
        incidents = situation.pending_incidents(self._name)
        self._planned = len(incidents)
        if not incidents:
            return []

        storms = self._style.digests and self._crowd.storms(incidents, now)
        planned = outbox.plan(
            [rows.values() for rows in incidents.values()],
            self._style,
            storms=storms,
            waits=storms and not self._shared.hurried(),
            is_tracked=self._is_tracked,
        )
        rows = list(chain.from_iterable(rows.values() for rows in incidents.values()))
        hold = outbox.hold_until(rows)
        least = max(self._waits.left(hold), self._rest_until - _now(), self._pace_left(), 0)
        new = max(least, self._new_until - _now()) if self._saves_new else least
        timed = [
            (max(self._waits.left(one.not_before), new if _is_new(one) else least), one)
            for one in planned
        ]
        self._waits.forget(
            keep={row.not_before for row in rows} | {one.not_before for one in planned}
        )

        return sorted(timed, key=_in_order)

    def _is_tracked(self, incident: str) -> bool:
        return outbox.has_reference(self._shared.situation, self._name, incident)

    def _pace_left(self) -> float:
        return self._pace.wait(_now() - self._begun)

    def _make_errand(self, following: Upcoming) -> Errand | None:
        """Write the message; about one incident it tells also what came since it was planned."""
        if following.leader is not None:
            return following.errand(self._style)

        known = self._shared.situation.pending_incidents(self._name)
        rows = known.get(following.incident)
        if rows is None:
            return None

        return replace(following, rows=list(rows.values())).errand(self._style)

    async def _bring(self, errand: Errand) -> Receipt:
        self._bringing = True
        try:
            begun = outbox.begin(errand)
            await self._shared.journal.write(_changed(errand.rows, begun.rows))
            self._pace = self._pace.spend(_now() - self._begun)
            receipt, repeated = await self._try(begun)
            now = self._shared.clock()
            rows = outbox.settle(begun, receipt, now, jitter=self._shared.rng())
            for row in rows:
                self._waits.left(row.not_before)  # begins to count now
            instead = self._stand_in(rows, now) if isinstance(receipt, Refused) else ()
            await self._shared.journal.write((*_changed(begun.rows, rows), *instead))
            if instead:
                self._shared.queued()
            self._shared.on_receipt(replace(begun.row, maybe_sent=repeated), receipt)
            self._report(begun, receipt)
            self._rest_after(receipt, errand)
            return receipt
        finally:
            self._bringing = False
            self._shared.moved()

    @property
    def _saves_new(self) -> bool:
        """Whether what is new is to be told together once the receiver works again."""
        return self._style.digests and self._failures >= _TROUBLE

    def _rest_after(self, receipt: Receipt, errand: Errand) -> None:
        """Let a receiver that may be in trouble itself rest, the longer the more often it failed.

        What was tried before shows whether it works again. What is new is tried less and less often
        meanwhile, so that it can be told together: once it may have arrived, it cannot any more.
        """
        if not isinstance(receipt, TryAgain):
            self._failures = self._new_failures = 0
            return

        self._failures = min(self._failures + 1, _MOST_FAILURES)
        self._rest_until = _now() + self._back_off(self._failures)
        if errand.row.attempts == 0:
            self._new_failures += 1
            self._new_until = _now() + self._back_off(self._new_failures)

    def _back_off(self, failures: int) -> float:
        return outbox.back_off(failures, jitter=self._shared.rng()).total_seconds()

    def _stand_in(self, dead: Sequence[Delivery], now: datetime) -> tuple[Delivery, ...]:
        directory = self._shared.directory()

        return outbox.stand_in(dead, directory, self._shared.situation, now)

    async def _try(self, errand: Errand) -> tuple[Receipt, bool]:
        """Make one attempt; whatever happens in it is a receipt. Say whether it was a repeat.

        Where an earlier one may have arrived, the receiver is asked first if it can say.
        """
        earlier = outbox.find_earlier(self._shared.situation, errand)
        message, perhaps = errand.message, errand.row.maybe_sent
        if perhaps and isinstance(self.notifier, Reconciling):
            finding = self._find(self.notifier, message, earlier)
            found = await self._within(_TO_FIND, finding, f"find {message.id}")
            if isinstance(found, Delivered):
                return found, False
        if self._stopped.is_set():
            return TryAgain(reason=Why.STOPPED, error="the monitor stopped before it"), False

        receipt = await self._within(
            self._shared.deadline, self._deliver(message, earlier), f"deliver {message.id}"
        )
        if receipt is not None:
            return receipt, perhaps
        if self._stopped.is_set():
            stopped = "the monitor stopped during the attempt"
            return TryAgain(reason=Why.STOPPED, error=stopped), perhaps

        return TryAgain(reason=Why.TIMEOUT, error="the attempt did not end in time"), perhaps

    async def _within(
        self,
        longest: timedelta,
        asking: Coroutine[None, None, Receipt | None],
        name: str,
    ) -> Receipt | None:
        """Give what comes of it, None if that does not come in time."""
        self._attempt = attempt = asyncio.create_task(asking, name=name)
        try:
            await asyncio.wait({attempt}, timeout=longest.total_seconds())
            if not attempt.done():
                attempt.cancel()
                await asyncio.wait({attempt}, timeout=_CANCEL_GRACE.total_seconds())
        finally:
            attempt.cancel()
            self._attempt = None

        return attempt.result() if attempt.done() and not attempt.cancelled() else None

    async def _deliver(self, message: Delivery, earlier: Earlier) -> Receipt:
        try:
            return await self.notifier.deliver(message, earlier)
        except Exception as error:  # noqa: BLE001 - whatever a notifier does, the worker goes on
            _log.exception("delivery_failed", notifier=self._name, delivery=message.id)
            return TryAgain(reason=Why.INTERNAL, error=type(error).__name__)

    async def _find(
        self, notifier: Reconciling, message: Delivery, earlier: Earlier
    ) -> Delivered | None:
        try:
            return await notifier.find(message, earlier)
        except Exception:  # noqa: BLE001 - then it is sent again
            _log.exception("receiver_not_asked", notifier=self._name, delivery=message.id)
            return None

    def _report(self, errand: Errand, receipt: Receipt) -> None:
        """Log what is news: the first trouble of a notice, its arrival after that, its end."""
        facts = {
            "notifier": self._name,
            "incident": errand.message.notice.incident,
            "delivery": errand.row.id,
            "attempts": errand.row.attempts,
        }
        if errand.digest:
            facts["notices"] = len(errand.rows)
        match receipt:
            case Refused(reason=reason, error=error):
                _log.error("notice_undeliverable", **facts, reason=str(reason), error=error)
            case TryAgain(reason=reason, error=error) if errand.row.attempts == 1:
                _log.warning("notice_delayed", **facts, reason=str(reason), error=error)
            case Delivered() if errand.row.attempts > 1:
                _log.info("notice_delivered_late", **facts)
            case _:
                _log.debug("notice_attempted", **facts, receipt=type(receipt).__name__)


def _in_order(timed: tuple[float, Upcoming]) -> tuple[float, bool, bool, datetime, int]:
    wait, one = timed
    pressing, over = one.urgency < 0, one.urgency >= outbox.OVER

    return wait, not pressing, over, one.not_before or _AT_ONCE, one.urgency


def _is_new(one: Upcoming) -> bool:
    """Whether it was never tried, and no person waits for it to press something."""
    return one.urgency >= 0 and (one.leader or one.rows[0]).attempts == 0


def _changed(before: Sequence[Delivery], after: Sequence[Delivery]) -> tuple[Delivery, ...]:
    """Give the rows that have changed, which alone have to be written."""
    known = {row.id: row for row in before}

    return tuple(row for row in after if known.get(row.id) is not row)


def _now() -> float:
    return asyncio.get_running_loop().time()
