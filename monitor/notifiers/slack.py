"""The notifier kind `slack`: its options; an incoming webhook, or a bot with one thread each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from monitor.fields import Kind, Options
from monitor.notifiers._fields import TIMEOUT, SecretLine, SecretUrl, Timeout
from monitor.outbound import is_usable

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Receipt
    from monitor.notifiers.notifier import NotifierContext

_SLACK: Final = "https://slack.com/api/"


def _read_base(url: str) -> str:
    if not is_usable(url):
        raise ValueError(f"expected a URL such as {_SLACK}")

    return url if url.endswith("/") else f"{url}/"


class SlackOptions(Options):
    """Either `webhook_url`, or `token` of a bot and the `channel` that it writes to.

    Only a bot has threads and updates its messages. `base_url` is where its API is, for a proxy.
    """

    webhook_url: SecretUrl | None = None
    token: SecretLine | None = None
    channel: Annotated[str, Field(min_length=1)] | None = None
    base_url: Annotated[str, AfterValidator(_read_base)] = _SLACK
    timeout: Timeout = TIMEOUT

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        bot = [name for name in ("token", "channel") if getattr(self, name) is not None]
        if self.webhook_url is not None and bot:
            raise ValueError(f"webhook_url and {bot[0]} exclude each other; remove one")
        if self.webhook_url is None and len(bot) != 2:
            raise ValueError("expected webhook_url, or token and channel together")

        return self


class SlackNotifier:
    """Writes to one channel."""

    def __init__(self, options: SlackOptions, context: NotifierContext) -> None:
        self._options = options
        self._context = context

    async def deliver(self, delivery: Delivery, thread: str | None) -> Receipt:
        """Write one notice."""
        raise NotImplementedError

    async def close(self) -> None:
        """Hold nothing."""


KIND: Final = Kind(options=SlackOptions, make=SlackNotifier)
