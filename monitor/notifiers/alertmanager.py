"""The notifier kind `alertmanager`: its options; alerts by API v2, to every member of a cluster."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, model_validator

from monitor.core.expectations.shown import plain
from monitor.core.model.notice import Delivered, Refused, TryAgain
from monitor.core.outbox import Why
from monitor.examination import Unfit
from monitor.fields import BasicAuth, Duration, Kind, Options
from monitor.logs import Log
from monitor.notifiers._alerts import read_labels, write_alert, write_end, write_labels
from monitor.notifiers._answers import in_words, judge, make_mask, no_answer
from monitor.notifiers._fields import TIMEOUT, Timeout
from monitor.notifiers._trust import CaFile, make_trust
from monitor.notifiers.notifier import Manner
from monitor.options import Secret, format_address
from monitor.outbound import NoAnswer, is_usable, post
from monitor.webhooks import Headers, SecretLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers.notifier import NotifierContext

_log = Log()

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OWN_LABELS: Final = frozenset({"alertname", "class", "environment", "service", "severity"})
_AT_ONCE: Final = 100
"""How many alerts are sent in one request when they are sent again."""


def _read_url(url: str) -> str:
    if not is_usable(url):
        raise ValueError("expected a URL such as http://alertmanager.example:9093")

    return url.rstrip("/")


def _read_label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise ValueError(f"expected a label name such as team, found {name!r}")
    if name in _OWN_LABELS:
        raise ValueError(f"{name} is set by the monitor itself; remove it")

    return name


def _read_expiry(after: timedelta) -> timedelta:
    if not timedelta(minutes=2) <= after <= timedelta(days=1):
        raise ValueError("expected 2m to 1d: firing alerts are sent again each minute")

    return after


class AuthOptions(Options):
    """Who we say we are: either `basic` or `bearer`."""

    basic: BasicAuth | None = None
    bearer: SecretLine | None = None

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        if (self.basic is None) == (self.bearer is None):
            raise ValueError("expected exactly one of basic, bearer")

        return self

    def write(self) -> str:
        """Write the value of the header Authorization."""
        if self.bearer is not None:
            return f"Bearer {self.bearer.reveal()}"

        assert self.basic is not None
        pair = f"{self.basic.username}:{self.basic.password.reveal()}"

        return f"Basic {base64.b64encode(pair.encode()).decode()}"


class AlertmanagerOptions(Options):
    """The members of a cluster, each of which gets every alert.

    `labels` are added to those of each alert. Alerts that are not sent again, since the monitor is
    down, end by themselves: `expires_after`.
    """

    urls: list[Annotated[str, AfterValidator(_read_url)]] = Field(min_length=1)
    labels: dict[
        Annotated[str, AfterValidator(_read_label)], Annotated[str, Field(min_length=1)]
    ] = Field(default_factory=dict)
    auth: AuthOptions | None = None
    headers: Headers = Field(default_factory=dict)
    ca_file: CaFile | None = None
    expires_after: Annotated[Duration, AfterValidator(_read_expiry)] = timedelta(minutes=5)
    timeout: Timeout = TIMEOUT

    @model_validator(mode="after")
    def _check_authorization(self) -> Self:
        if self.auth is not None and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("auth and the header Authorization exclude each other; remove one")

        return self


class AlertmanagerNotifier:
    """Keeps one alert for each incident; `upkeep` sends what stands again, as Prometheus does.

    The labels of an alert are its identity. Only its severity may change, which is another alert:
    the one before is ended then. A reference is the labels as they were sent.
    """

    def __init__(self, options: AlertmanagerOptions, context: NotifierContext) -> None:
        self.manner = Manner(digests=False)
        self._options = options
        self._context = context
        auth = options.auth
        written = Secret(auth.write().partition(" ")[2]) if auth else None
        self._mask = make_mask(context.mask, [*options.secrets, written])
        self._trust = make_trust(options.ca_file)
        # What stands is sent again beside deliveries: an older word must not come behind a newer.
        self._turns = {url: asyncio.Lock() for url in options.urls}
        self._newest: dict[str, str] = {}

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Send the alert to all members: it is delivered once one of them has it.

        Those that do not answer get it with the next upkeep.
        """
        now = self._context.clock()
        before = read_labels(earlier.reference)
        over = delivery.notice.resolved_at is not None
        untold = over and not before
        labels = write_labels(delivery.notice, self._options.labels)
        if over and before:
            labels = before
        alerts = [
            write_alert(delivery, labels, now, lasts=self._options.expires_after, untold=untold)
        ]
        if before and before != labels:
            alerts.insert(0, write_end(delivery, before, now))
        named = [json.dumps(one, sort_keys=True) for one in (labels, before)]
        self._newest |= dict.fromkeys(named, delivery.id)
        receipts = await self._send(alerts)
        if not any(isinstance(one, Delivered) for one in receipts.values()):
            for name in named:
                self._newest.pop(name, None)
            return _choose(list(receipts.values()))

        for url, receipt in receipts.items():
            if not isinstance(receipt, Delivered):
                _log.warning(
                    "alertmanager_member_not_told",
                    member=_place(url),
                    incident=delivery.notice.incident,
                    error=receipt.error,
                )

        return Delivered(reference=None if untold else json.dumps(labels, sort_keys=True))

    async def upkeep(self, standing: Sequence[Delivery]) -> None:
        """Send the alerts of these deliveries again, as they were told last, to all members."""
        await asyncio.gather(*(self._keep_up(url, standing) for url in self._options.urls))

    async def _keep_up(self, url: str, standing: Sequence[Delivery]) -> None:
        """Send one member a part after the other; one that does not answer is left alone."""
        for start in range(0, len(standing), _AT_ONCE):
            async with self._turns[url]:
                now = self._context.clock()
                alerts = [
                    write_alert(one, labels, now, lasts=self._options.expires_after)
                    for one in standing[start : start + _AT_ONCE]
                    if (labels := read_labels(one.reference)) and self._is_newest(one)
                ]
                if not alerts:
                    continue
                receipt = await self._post(url, _encode(alerts))
            if not isinstance(receipt, Delivered):
                _log.debug(
                    "alertmanager_member_not_kept_up", member=_place(url), error=receipt.error
                )
            if isinstance(receipt, TryAgain):
                return

    def _is_newest(self, delivery: Delivery) -> bool:
        """Whether nothing else was told of an alert since, as far as this process knows."""
        return self._newest.get(delivery.reference or "", delivery.id) == delivery.id

    async def examine(self) -> str:
        """Ask each member for its status, and send no alert."""
        urls = self._options.urls
        said = await asyncio.gather(*(self._ask_status(url) for url in urls))
        bad = [text for works, text in said if not works]
        if bad:
            raise Unfit("; ".join(bad))

        return f"{'; '.join(text for _, text in said)}; no alert was sent"

    async def close(self) -> None:
        """Hold nothing between requests."""

    async def _send(self, alerts: Sequence[dict[str, Any]]) -> dict[str, Receipt]:
        body = _encode(alerts)
        urls = self._options.urls
        receipts = await asyncio.gather(*(self._post_in_turn(url, body) for url in urls))

        return dict(zip(urls, receipts, strict=True))

    async def _post_in_turn(self, url: str, body: bytes) -> Receipt:
        async with self._turns[url]:
            return await self._post(url, body)

    async def _post(self, url: str, body: bytes) -> Receipt:
        try:
            answer = await post(
                f"{url}/api/v2/alerts",
                body=body,
                headers=self._headers(),
                timeout=self._options.timeout,
                tls=self._trust(),
            )
        except NoAnswer as error:
            return no_answer(error)
        except OSError as error:
            return TryAgain(reason=Why.MISCONFIGURED, error=self._mask(str(error)))

        if answer.status == 200:
            return Delivered()

        return judge(answer, in_words(answer, self._mask), self._context.clock())

    def _headers(self) -> dict[str, str]:
        options = self._options
        written = {
            "content-type": "application/json",
            "user-agent": self._context.user_agent,
            **{name.lower(): value.reveal() for name, value in options.headers.items()},
        }
        if options.auth is not None:
            written["authorization"] = options.auth.write()

        return written

    async def _ask_status(self, url: str) -> tuple[bool, str]:
        try:
            answer = await post(
                f"{url}/api/v2/status",
                body=b"",
                headers=self._headers(),
                timeout=self._options.timeout,
                method="GET",
                tls=self._trust(),
            )
            if answer.status != 200:
                return False, f"{_place(url)} {in_words(answer, self._mask)}"
            said = json.loads(answer.text)
            version = plain(str(said["versionInfo"]["version"]))
        except NoAnswer as error:
            return False, f"{_place(url)} cannot be asked: {error}"
        except OSError as error:
            return False, self._mask(str(error))
        except (ValueError, KeyError, TypeError):
            return False, f"{_place(url)} does not answer as Alertmanager does"

        return True, f"{_place(url)} is Alertmanager {version}"


def _encode(alerts: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps(alerts, ensure_ascii=False).encode("utf-8", "replace")


def _choose(receipts: list[Receipt]) -> Receipt:
    """Of what no member took: worth another attempt as long as one of them may yet take it."""
    again = [one for one in receipts if isinstance(one, TryAgain)]
    if not again:
        return next(one for one in receipts if isinstance(one, Refused))

    unsure = [one for one in again if one.reason != Why.UNREACHABLE]

    return (unsure or again)[0]


def _place(url: str) -> str:
    from yarl import URL

    place = URL(url)

    return format_address(place.host or "", place.port or 0)


KIND: Final = Kind(options=AlertmanagerOptions, make=AlertmanagerNotifier)
