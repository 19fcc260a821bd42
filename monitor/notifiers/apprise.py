"""The notifier kind `apprise`, an extra: by its library, any of the many services that it knows."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator

from monitor.core.model.endpoint import Severity
from monitor.core.model.notice import Delivered, NoticeEvent, TryAgain
from monitor.core.outbox import Why
from monitor.fields import Kind, Options, SecretText
from monitor.notifiers._chat import cut, fill, one_line, say_whole, several_lines, units
from monitor.notifiers._fields import TIMEOUT, Timeout
from monitor.notifiers.notifier import Manner

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.model.notice import Delivery, Earlier, Notice, Receipt
    from monitor.notifiers.notifier import NotifierContext
    from monitor.options import Secret

_PACE: Final = timedelta(seconds=1)
_BURST: Final = 3
_LONGEST_TITLE: Final = 250
_LONGEST_BODY: Final = 3_000
_LONGEST_LINE: Final = 400
_OUR_OWN: Final = {"NotifySlack": "slack", "NotifyPagerDuty": "pagerduty"}
"""Where Apprise would be worse than what is here: it neither threads nor keeps to one alert."""

_TYPES: Final = {
    Severity.CRITICAL: "failure",
    Severity.HIGH: "failure",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
}


def _read_url(secret: Secret) -> Secret:
    if find_spec("apprise") is None:
        raise ValueError("needs the package apprise: pip install production-monitor[apprise]")

    service = _make_service(secret.reveal())
    if service is None:
        raise ValueError("expected a URL that Apprise knows, such as ntfy://topic")
    if kind := _OUR_OWN.get(type(service).__name__):
        raise ValueError(f"expected the notifier {kind}, which does more there than Apprise")

    return secret


class AppriseOptions(Options):
    """One `url` of Apprise; what follows from a service that is told twice is for it to know."""

    url: Annotated[SecretText, AfterValidator(_read_url)]
    timeout: Timeout = TIMEOUT


class AppriseNotifier:
    """Lets Apprise tell; it says only that it could or could not, so that is tried again.

    It waits for the service in a thread, one at most: what hangs is left behind at the timeout, and
    nothing more is told before it has ended.
    """

    def __init__(self, options: AppriseOptions, context: NotifierContext) -> None:
        self.manner = Manner(digests=True, every=_PACE, burst=_BURST)
        self._options = options
        self._telling: asyncio.Future[bool] | None = None

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Tell one notice within the timeout."""
        if self._telling is not None and not self._telling.done():
            return TryAgain(reason=Why.TIMEOUT, error="the attempt before it has not ended")

        url, notice = self._options.url.reveal(), delivery.notice
        title, body = _write(delivery)
        self._telling = _in_thread(lambda: _tell(url, title, body, _type_of(notice)))
        await asyncio.wait({self._telling}, timeout=self._options.timeout.total_seconds())
        if not self._telling.done():
            return TryAgain(reason=Why.TIMEOUT, error="Apprise did not end in time")
        if self._telling.result():
            return Delivered()

        return TryAgain(reason=Why.BAD_ANSWER, error="Apprise could not tell it, and not why")

    async def close(self) -> None:
        """Hold nothing; a thread that hangs keeps nobody from leaving."""


def _in_thread(work: Callable[[], bool]) -> asyncio.Future[bool]:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[bool] = loop.create_future()

    def run() -> None:
        try:
            outcome = work()
        except Exception:  # noqa: BLE001 - a library that breaks has not told
            outcome = False
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(told.set_result, outcome)

    threading.Thread(target=run, name="apprise", daemon=True).start()

    return told


def _tell(url: str, title: str, body: str, kind: str) -> bool:
    import apprise

    service = _make_service(url)
    if service is None:
        return False

    return bool(
        service.notify(
            body=body,
            title=title,
            notify_type=apprise.NotifyType(kind),
            body_format=apprise.NotifyFormat.TEXT,
        )
    )


def _make_service(url: str) -> Any:
    """Make what Apprise tells a URL with, None where it knows none. Any: one class for each."""
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it would log what is secret
    asset = apprise.AppriseAsset(
        app_id="production-monitor",
        app_desc="production-monitor",
        async_mode=False,
        secure_logging=True,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )

    return apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)


def _type_of(notice: Notice) -> str:
    if notice.event is NoticeEvent.RESOLVED:
        return "success"
    if notice.event is NoticeEvent.TEST or notice.better:
        return "info"

    return _TYPES[notice.severity]


def _write(delivery: Delivery) -> tuple[str, str]:
    """Give title and text: plain, and calling nobody wherever it may come to."""
    said = say_whole(delivery)
    lines = [one_line(said.when)]
    lines += [f"- {cut(one_line(line), _LONGEST_LINE)}" for line in said.lines]
    if said.more:
        lines.append(f"… and {said.more} more")
    lines += map(one_line, said.tasks)
    lines += [f"{one_line(name)}: {one_line(text)}" for name, text in said.facts]
    lines += [f"{link.name}: {link.url}" for link in said.links]
    for name, text in said.evidence:
        lines += [f"{one_line(name)}:", *several_lines(text).split("\n")]
    # What it is about has room in any case: by it people know a repeat.
    lines = [*fill(lines, _LONGEST_BODY - units(said.about) - 1), one_line(said.about)]
    title = f"{said.sign} {cut(one_line(delivery.notice.headline), _LONGEST_TITLE)}"

    return _call_nobody(title), _call_nobody("\n".join(lines))


def _call_nobody(text: str) -> str:
    return text.replace("@", "@\u200b").replace("<!", "<\u200b!")


KIND: Final = Kind(options=AppriseOptions, make=AppriseNotifier)
