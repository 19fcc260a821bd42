"""Carrying out rollbacks: intent, started, effect, result, each committed before the next."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from monitor.core.model.changes import Changes
from monitor.core.model.rollback import Blocked, Effect, EffectOutcome, RollbackState
from monitor.core.rollback import effects, verify
from monitor.core.rollback.decide import trips
from monitor.hooks.hook import Remembering, bound
from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
    from datetime import datetime

    from monitor.core.model.rollback import EffectContext, Rollback, Step
    from monitor.core.model.service import Directory, RollbackPolicy
    from monitor.core.situation import Situation
    from monitor.hooks.hook import Hook

_log = Log()

ASK_AGAIN: Final = timedelta(seconds=1)
"""How long a rollback that is held back half-way waits before its guards are asked again."""

_LONGEST_DETAIL: Final = 500

Known = TypeVar("Known", "Effect", "Effect | None")


class Actuator:
    """Carries out what the core decided, one rollback of a service at a time.

    `record` applies changes to the situation and returns once they are durable; where it raises,
    no effect happens. `allowed` asks all guards again, just before each effect.
    """

    def __init__(
        self,
        *,
        hooks: Mapping[str, Sequence[Hook]],
        directory: Directory,
        situation: Situation,
        record: Callable[[Changes], Awaitable[None]],
        clock: Callable[[], datetime],
        mask: Callable[[str], str],
        allowed: Callable[[Rollback], Blocked | None],
        ask_again: timedelta = ASK_AGAIN,
    ) -> None:
        self._hooks = dict(hooks)
        self._directory = directory
        self._situation = situation
        self._record_durably = record
        self._clock = clock
        self._mask = mask
        self._allowed = allowed
        self._ask_again = ask_again.total_seconds()
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._handed_over: set[str] = set()
        self._worker: asyncio.Task[None] | None = None

    async def recover(self) -> None:
        """Settle what an earlier process left: a step that had started has no known outcome.

        Where a hook remembers it, it may still be running, and is asked for once we run ourselves.
        """
        for rollback in list(self._situation.rollbacks.values()):
            if rollback.state is not RollbackState.EXECUTING:
                continue
            begun = effects.find_begun(rollback, self._situation)
            if begun is not None and isinstance(self._hook(rollback, begun), Remembering):
                continue
            changes = effects.interrupt(
                rollback, self._policy(rollback), self._situation, self._clock()
            )
            if changes:
                _log.error("rollback_was_interrupted", id=rollback.id, service=rollback.service)
                await self._record(changes)

    def start(self) -> None:
        """Begin to carry out what is decided, also what was decided before."""
        self._worker = asyncio.create_task(self._work(), name="actuator")
        self.wake()

    def wake(self) -> None:
        """Look for rollbacks to carry out."""
        self._woken.set()

    async def stop(self, grace: timedelta) -> None:
        """Begin no further step, and wait for a running hook; then leave it, journalled as started.

        A hook is not torn down half-way: a command goes on in its own session. One that remembers
        needs no waiting for: the next process asks it.
        """
        self._stopping.set()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None
        for service in self._handed_over:
            self._running[service].cancel()
        running = list(self._running.values())
        if not running:
            return

        _, left = await asyncio.wait(running, timeout=grace.total_seconds())
        for task in left:
            _log.error("hook_left_running", task=task.get_name())
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    @property
    def applying(self) -> bool:
        """Whether a step was begun and has no result yet, as the journal has it."""
        return any(
            effects.find_begun(rollback, self._situation) is not None
            for rollback in self._situation.rollbacks.values()
            if rollback.state is RollbackState.EXECUTING
        )

    async def replace(self, hooks: Mapping[str, Sequence[Hook]], directory: Directory) -> None:
        """Take over a changed configuration; a hook that runs is the one it was."""
        self._hooks = dict(hooks)
        self._directory = directory
        self.wake()

    async def _work(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            for rollback in list(self._situation.rollbacks.values()):
                if rollback.state is RollbackState.EXECUTING:
                    self._take_up(rollback)

    def _take_up(self, rollback: Rollback) -> None:
        service = rollback.service
        if service in self._running:
            return

        task = asyncio.create_task(self._carry_out(rollback.id), name=f"rollback of {service}")
        self._running[service] = task

        def settle(done: asyncio.Task[None]) -> None:
            self._running.pop(service, None)
            if not done.cancelled() and (error := done.exception()) is not None:
                _log.error("rollback_crashed", service=service, exc_info=error)

        task.add_done_callback(settle)

    async def _carry_out(self, id: str) -> None:
        """Take one step after the other until the rollback is no longer executing."""
        while not self._stopping.is_set():
            rollback = self._situation.rollbacks[id]
            if rollback.state is not RollbackState.EXECUTING:
                return
            if not await self._take_step(rollback):
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self._ask_again)

    async def _take_step(self, rollback: Rollback) -> bool:
        """Take the next step of a rollback; say whether it moved, and that is durable."""
        policy = self._policy(rollback)
        begun = effects.find_begun(rollback, self._situation)
        if begun is not None:
            return await self._settle(rollback, begun, policy)
        if policy is None:
            return await self._hold(rollback, Blocked.MODE)
        if effects.plan_changed(rollback, policy, self._situation):
            return await self._hold(rollback, Blocked.PLAN_CHANGED)
        plan = effects.next_step(rollback, policy, self._situation)
        if plan is None:  # a reload took the steps away
            return await self._hold(rollback, Blocked.MODE)
        if not await self._record(effects.intend(rollback, policy, self._situation, self._clock())):
            return await self._hold(rollback, Blocked.STORE)

        step = effects.find_intent(rollback, plan, self._situation)
        assert step is not None  # what was begun is settled, what is done is not next
        if not self._may(rollback, policy):
            return await self._back_off(rollback, policy)
        begins = effects.begin(rollback, step, policy, self._situation, self._clock())
        if not await self._record(begins):
            await self._record(effects.take_back(step, self._clock()))
            return await self._hold(rollback, Blocked.STORE)
        if self._policy(rollback) != policy or not self._may(rollback, policy):
            # While the journal was written, something changed that forbids it now.
            await self._record(effects.take_back(step, self._clock()))
            return await self._back_off(rollback, policy)

        effect = await self._apply(rollback, step, policy)

        return await self._finish(rollback, step, effect, policy)

    async def _settle(self, rollback: Rollback, begun: Step, policy: RollbackPolicy | None) -> bool:
        """Learn what came of a step that an earlier process began, if anybody knows."""
        hook: object = self._hook(rollback, begun)
        if policy is None or not isinstance(hook, Remembering):
            return await self._record(
                effects.interrupt(rollback, policy, self._situation, self._clock())
            )

        _log.warning("rollback_step_recalled", key=begun.key, attempt=begun.attempt)
        context = effects.tell_hook(rollback, begun, policy, self._directory)
        with self._elsewhere(rollback.service):
            effect = await _try(hook.recall, context)
        if effect is None:  # it was never run, so it may still be
            return await self._record(effects.take_back(begun, self._clock()))

        return await self._finish(rollback, begun, effect, policy)

    async def _finish(
        self, rollback: Rollback, step: Step, effect: Effect, policy: RollbackPolicy
    ) -> bool:
        """Write what came of a step, masked and bounded."""
        known = Effect(
            outcome=effect.outcome,
            detail=self._mask(effect.detail)[:_LONGEST_DETAIL],
            output=bound(self._mask(effect.output)),
        )
        rollback = self._as_it_stands(rollback)
        changes = effects.finish(rollback, step, known, policy, self._situation, self._clock())
        result = changes.steps[0]
        _log.warning(
            "rollback_step_ended",
            key=result.key,
            outcome=result.state.value,
            detail=result.detail,
        )

        return await self._record(changes)

    @contextmanager
    def _elsewhere(self, service: str) -> Iterator[None]:
        """Know that what runs for a service now does not run in this process."""
        self._handed_over.add(service)
        try:
            yield
        finally:
            self._handed_over.discard(service)

    def _hook(self, rollback: Rollback, step: Step) -> Hook | None:
        policy = self._policy(rollback)
        level = policy.level(step.level) if policy else None
        if level is None or step.number > len(level.steps):
            return None

        hooks = self._hooks.get(rollback.service, ())
        place = level.first_hook + step.number - 1

        return hooks[place] if place < len(hooks) else None

    def _may(self, rollback: Rollback, policy: RollbackPolicy) -> bool:
        return self._allowed(rollback) is None and self._over(rollback, policy) is None

    def _over(self, rollback: Rollback, policy: RollbackPolicy) -> Changes | None:
        """Give its end if the checks recovered before anything, or anything more, was done."""
        now, rollback = self._clock(), self._as_it_stands(rollback)
        between = effects.between_levels(rollback, self._situation)
        if between and rollback.effect_done_at is not None:
            service = self._directory.service(rollback.service)
            helped = verify.has_recovered(rollback, service, self._situation)
            return verify.recover(rollback, now) if helped else None
        if rollback.started_by or trips(policy, self._situation):
            return None
        if effects.applied(rollback, self._situation) and not between:
            return None

        return Changes(rollbacks=(effects.call_off(rollback, now),))

    async def _back_off(self, rollback: Rollback, policy: RollbackPolicy) -> bool:
        blocked = self._allowed(rollback)
        if blocked is not None:
            return await self._hold(rollback, blocked)
        over = self._over(rollback, policy)

        return over is not None and await self._record(over)

    async def _hold(self, rollback: Rollback, reason: Blocked) -> bool:
        rollback = self._as_it_stands(rollback)
        changes = effects.hold(rollback, reason, self._situation, self._clock())
        if not changes:
            return False

        _log.warning("rollback_held_back", id=rollback.id, reason=reason.value)

        return await self._record(changes)

    async def _apply(self, rollback: Rollback, step: Step, policy: RollbackPolicy) -> Effect:
        """Let the hook do it; whatever it raises, its outcome is not known then."""
        hook = self._hook(rollback, step)
        if hook is None:
            return Effect(outcome=EffectOutcome.REFUSED, detail="is no longer configured")

        context = effects.tell_hook(rollback, step, policy, self._directory)
        _log.warning("rollback_step_starts", key=step.key, kind=step.kind, attempt=step.attempt)

        if not isinstance(hook, Remembering):
            return await _try(hook.apply, context)

        with self._elsewhere(rollback.service):
            return await _try(hook.apply, context)

    async def _record(self, changes: Changes) -> bool:
        """Make changes durable; say whether they are."""
        try:
            await self._record_durably(changes)
        except Exception:  # noqa: BLE001 - whatever the store raised: without a journal nothing is done
            _log.exception("rollback_not_journalled")
            return False

        return True

    def _as_it_stands(self, rollback: Rollback) -> Rollback:
        """Give the newest record: while a hook ran, the clock may have been set."""
        return self._situation.rollbacks.get(rollback.id, rollback)

    def _policy(self, rollback: Rollback) -> RollbackPolicy | None:
        return self._directory.service(rollback.service).policy(rollback.kind)


async def _try(
    act: Callable[[EffectContext], Coroutine[Any, Any, Known]], context: EffectContext
) -> Known:
    try:
        return await act(context)
    except Exception as error:  # noqa: BLE001 - whatever a hook raised, its outcome is not known
        _log.exception("hook_broke", key=context.step_key)
        return Effect(
            outcome=EffectOutcome.UNCERTAIN,
            detail=f"broke off: {type(error).__name__}: {error}",
        )
