"""The outbox workers: one for each notifier brings its notices, in order, until all arrived."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final

from monitor.core import outbox
from monitor.core.model.changes import Changes
from monitor.core.model.notice import Delivered, Refused, TryAgain
from monitor.core.outbox import Why
from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.core.outbox import Errand
    from monitor.core.situation import Situation
    from monitor.notifiers.notifier import Notifier

    Record = Callable[[Changes], Awaitable[None]]

_log = Log()

DEADLINE: Final = timedelta(seconds=35)
"""How long one attempt may take, whatever the notifier's own timeout is."""

STOP_GRACE: Final = timedelta(seconds=5)
"""How long an attempt may still take when its worker is told to stop."""

STORE_PATIENCE: Final = timedelta(seconds=10)
"""How long a notice waits for the store before people are told all the same."""

_AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)
_CANCEL_GRACE: Final = timedelta(seconds=1)
_REST_AFTER_A_BUG: Final = timedelta(seconds=5)


class Dispatch:
    """Brings what is queued in `situation` to the receivers, at least once.

    `record` makes changed rows durable, before each attempt and after it; where that fails people
    are told from memory. `on_receipt` is called after each attempt. `rng` gives random numbers
    from 0 to 1.
    """

    def __init__(
        self,
        *,
        notifiers: Mapping[str, Notifier],
        situation: Situation,
        record: Record,
        clock: Callable[[], datetime],
        on_receipt: Callable[[Delivery, Receipt], None],
        rng: Callable[[], float] = random.random,
        deadline: timedelta = DEADLINE,
        stop_grace: timedelta = STOP_GRACE,
        store_patience: timedelta = STORE_PATIENCE,
    ) -> None:
        self._notifiers = dict(notifiers)
        self._situation = situation
        self._moved = asyncio.Event()
        self._shared = _Shared(
            situation=situation,
            journal=_Journal(situation, record, store_patience),
            clock=clock,
            on_receipt=on_receipt,
            rng=rng,
            deadline=deadline,
            stop_grace=stop_grace,
            moved=self._moved.set,
        )
        self._workers: dict[str, _Worker] = {}
        self._started = False

    def start(self) -> None:
        """Take up what an earlier process left, and deliver from now on."""
        self._started = True
        self._hire()
        unknown = {
            row.notifier
            for row in self._situation.deliveries.values()
            if row.pending and row.notifier not in self._notifiers
        }
        self._report_orphans(unknown)

    def wake(self) -> None:
        """Look for new notices now."""
        for worker in self._workers.values():
            worker.wake()

    async def drain(self, grace: timedelta) -> int:
        """Wait until all is delivered, at most so long; give how many notices are not.

        It does not wait for what would not be tried again within that time.
        """
        end = monotonic() + grace.total_seconds()
        self.wake()
        while (left := end - monotonic()) > 0:
            self._moved.clear()
            if not any(worker.is_busy(left) for worker in self._workers.values()):
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), left)

        return sum(len(self._situation.pending_deliveries(name)) for name in self._notifiers)

    async def replace(self, notifiers: Mapping[str, Notifier]) -> None:
        """Take over changed notifiers: those that are the same object go on undisturbed.

        What is queued for one that is gone stays in the store.
        """
        gone = self._notifiers.keys() - notifiers.keys()
        self._notifiers = dict(notifiers)
        leaving = [
            name
            for name, worker in self._workers.items()
            if notifiers.get(name) is not worker.notifier
        ]
        await asyncio.gather(*(self._workers.pop(name).stop() for name in leaving))
        if self._started:
            self._hire()
        self._report_orphans(gone)

    async def stop(self) -> None:
        """End all workers; what is not delivered stays queued."""
        self._started = False
        workers, self._workers = self._workers, {}
        await asyncio.gather(*(worker.stop() for worker in workers.values()))
        await self._shared.journal.close()

    def _hire(self) -> None:
        for name, notifier in self._notifiers.items():
            if name not in self._workers:
                self._workers[name] = _Worker(name, notifier, self._shared)

    def _report_orphans(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            if waiting := len(self._situation.pending_deliveries(name)):
                _log.warning("notices_without_notifier", notifier=name, undelivered=waiting)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What all workers work with; `moved` is called when one has got on, or has nothing to do."""

    situation: Situation
    journal: _Journal
    clock: Callable[[], datetime]
    on_receipt: Callable[[Delivery, Receipt], None]
    rng: Callable[[], float]
    deadline: timedelta
    stop_grace: timedelta
    moved: Callable[[], None]


class _Worker:
    """Brings the notices of one notifier, one after the other."""

    def __init__(self, name: str, notifier: Notifier, shared: _Shared) -> None:
        self.notifier = notifier
        self._name = name
        self._shared = shared
        self._waits = _Waits(shared.clock)
        self._woken = asyncio.Event()
        self._stopping = False
        self._bringing = False
        self._rest_until = 0.0
        self._attempt: asyncio.Task[Receipt] | None = None
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
        self._stopping = True
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
        while not self._stopping:
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

    async def _bring_due(self) -> float | None:
        """Bring what is due; give how many seconds to rest, None is until there is something new.

        It looks anew once there is something new, or a delivery did not go well.
        """
        upcoming = self._plan()
        for wait, errand in upcoming:
            if wait > 0:
                return wait
            receipt = await self._bring(errand)
            if self._stopping or self._woken.is_set() or not isinstance(receipt, Delivered):
                break

        return 0 if upcoming else None

    def _plan(self) -> list[tuple[float, Errand]]:
        """Give the next errands and the seconds until each may be tried, the soonest first.

        Of those that may be tried now, the ones that were not tried yet come first: one incident
        that the receiver chokes on holds up no other.
        """
        pending = self._shared.situation.pending_deliveries(self._name)
        hold = outbox.hold_until(pending)
        self._waits.forget(keep={row.not_before for row in pending})
        least = max(self._waits.left(hold), self._rest_until - monotonic(), 0)
        errands = [
            (max(self._waits.left(errand.not_before), least), errand)
            for errand in outbox.plan_errands(pending)
        ]

        return sorted(errands, key=lambda one: (one[0], one[1].not_before or _AT_ONCE))

    async def _bring(self, errand: Errand) -> Receipt:
        self._bringing = True
        try:
            errand = outbox.begin(errand)
            await self._shared.journal.write((errand.row,))
            receipt = await self._try(errand)
            rows = outbox.settle(errand, receipt, self._shared.clock(), jitter=self._shared.rng())
            for row in rows:
                self._waits.left(row.not_before)  # begins to count now
            await self._shared.journal.write(rows)
            self._shared.on_receipt(errand.row, receipt)
            self._report(errand, receipt)
            if isinstance(receipt, TryAgain):
                # The receiver itself may be in trouble: what else there is may try in a moment.
                self._rest_until = (
                    monotonic() + outbox.back_off(1, jitter=self._shared.rng()).total_seconds()
                )
            return receipt
        finally:
            self._bringing = False
            self._shared.moved()

    async def _try(self, errand: Errand) -> Receipt:
        """Make one attempt; whatever happens in it is a receipt."""
        earlier = outbox.find_earlier(self._shared.situation.deliveries.values(), errand)
        self._attempt = attempt = asyncio.create_task(
            self._deliver(errand.message, earlier), name=f"deliver {errand.row.id}"
        )
        try:
            await asyncio.wait({attempt}, timeout=self._shared.deadline.total_seconds())
            if not attempt.done():
                attempt.cancel()
                await asyncio.wait({attempt}, timeout=_CANCEL_GRACE.total_seconds())
        finally:
            attempt.cancel()
            self._attempt = None
        if attempt.done() and not attempt.cancelled():
            return attempt.result()
        if self._stopping:
            return TryAgain(reason=Why.STOPPED, error="the monitor stopped during the attempt")

        return TryAgain(reason=Why.TIMEOUT, error="the attempt did not end in time")

    async def _deliver(self, message: Delivery, earlier: Earlier) -> Receipt:
        try:
            return await self.notifier.deliver(message, earlier)
        except Exception as error:  # noqa: BLE001 - whatever a notifier does, the worker goes on
            _log.exception("delivery_failed", notifier=self._name, delivery=message.id)
            return TryAgain(reason=Why.INTERNAL, error=type(error).__name__)

    def _report(self, errand: Errand, receipt: Receipt) -> None:
        """Log what is news: the first trouble of a notice, its arrival after that, its end."""
        facts = {
            "notifier": self._name,
            "incident": errand.row.notice.incident,
            "delivery": errand.row.id,
            "attempts": errand.row.attempts,
        }
        match receipt:
            case Refused(reason=reason, error=error):
                _log.error("notice_undeliverable", **facts, reason=str(reason), error=error)
            case TryAgain(reason=reason, error=error) if errand.row.attempts == 1:
                _log.warning("notice_delayed", **facts, reason=str(reason), error=error)
            case Delivered() if errand.row.attempts > 1:
                _log.info("notice_delivered_late", **facts)
            case _:
                _log.debug("notice_attempted", **facts, receipt=type(receipt).__name__)


class _Waits:
    """Counts waits down on the monotonic clock: a wall clock that is set back delays nothing."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ends: dict[datetime, float] = {}

    def left(self, until: datetime | None) -> float:
        """Give how many seconds are left of a wait, counted since it was first asked for."""
        if until is None:
            return 0.0

        if until not in self._ends:
            wait = min(max(until - self._clock(), timedelta()), outbox.LONGEST_WISH)
            self._ends[until] = monotonic() + wait.total_seconds()

        return max(self._ends[until] - monotonic(), 0.0)

    def forget(self, *, keep: set[datetime | None]) -> None:
        """Drop the waits that nothing waits for any more."""
        self._ends = {until: end for until, end in self._ends.items() if until in keep}


class _Journal:
    """Writes rows to memory and to the store; one that fails or hangs is waited for only once."""

    def __init__(self, situation: Situation, record: Record, patience: timedelta) -> None:
        self.patience = patience
        self._situation = situation
        self._record = record
        self._failing = False
        self._late: set[asyncio.Task[None]] = set()

    async def write(self, rows: tuple[Delivery, ...]) -> None:
        """Return once the rows are durable, or it is clear that they will not be soon."""
        if not rows:
            return

        changes = Changes(deliveries=rows)
        self._situation.apply(changes)
        writing = asyncio.create_task(self._write(changes), name="record deliveries")
        self._late.add(writing)
        writing.add_done_callback(self._late.discard)
        if self._failing:
            await asyncio.sleep(0)  # it is known: whether it works again is seen when this ends
            return

        await asyncio.wait({writing}, timeout=self.patience.total_seconds())
        if not writing.done():
            self._fail("the store does not answer")

    async def close(self) -> None:
        """Give what is still being written a last chance."""
        if self._late:
            await asyncio.wait(set(self._late), timeout=self.patience.total_seconds())
        for writing in self._late:
            writing.cancel()

    async def _write(self, changes: Changes) -> None:
        try:
            await self._record(changes)
        except Exception as error:  # noqa: BLE001 - whatever the store raised, people are told
            self._fail(str(error))
        else:
            self._failing = False

    def _fail(self, error: str) -> None:
        if not self._failing:
            _log.error("telling_from_memory", error=error)
        self._failing = True
