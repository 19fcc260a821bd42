"""The options of the notifier kind `slack`: a webhook, or a bot, and who may press its buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import AfterValidator, Field, model_validator

from monitor.fields import Options
from monitor.notifiers._fields import TIMEOUT, Timeout
from monitor.notifiers._slack_buttons import Buttons
from monitor.notifiers._slack_text import find_person
from monitor.outbound import is_usable
from monitor.webhooks import SecretLine, SecretUrl

if TYPE_CHECKING:
    from monitor.options import Secret

_SLACK: Final = "https://slack.com/api/"
_OTHERS: Final = ("xoxb-", "xoxp-")
"""How the other tokens of an app begin."""


def _read_base(url: str) -> str:
    if not is_usable(url):
        raise ValueError(f"expected a URL such as {_SLACK}")

    return url if url.endswith("/") else f"{url}/"


def _read_app_token(secret: Secret) -> Secret:
    if secret.reveal().startswith(_OTHERS):
        raise ValueError("expected an app-level token, which begins with xapp-, found another kind")

    return secret


def _read_member(name: str) -> str:
    found = find_person(name)
    if found is None:
        raise ValueError(
            "expected the id of a member such as U024BE7LH (in Slack: their profile, "
            f"Copy member ID), found {name!r:.60}"
        )

    return found


_Members = tuple[Annotated[str, AfterValidator(_read_member)], ...]


class SlackOptions(Options):
    """Either `webhook_url`, or `token` of a bot and the `channel` that it writes to.

    Only a bot has threads, updates its messages, and has buttons: clicks come over a connection
    that we open (`app_token`, Socket Mode) or as requests to `/slack/actions` (`signing_secret`).
    `users` may acknowledge; `approvers`, by default the same, approve and veto rollbacks.
    `base_url` is where its API is, for a proxy.
    """

    webhook_url: SecretUrl | None = None
    token: SecretLine | None = None
    channel: Annotated[str, Field(min_length=1)] | None = None
    app_token: Annotated[SecretLine, AfterValidator(_read_app_token)] | None = None
    signing_secret: SecretLine | None = None
    users: Annotated[_Members, Field(strict=False)] = ()
    approvers: Annotated[_Members, Field(strict=False)] = ()
    base_url: Annotated[str, AfterValidator(_read_base)] = _SLACK
    timeout: Timeout = TIMEOUT

    @model_validator(mode="after")
    def _check_form(self) -> Self:
        bot = [name for name in _OF_BOTS if getattr(self, name)]
        if self.webhook_url is not None and bot:
            raise ValueError(f"webhook_url and {bot[0]} exclude each other; remove one")
        if self.webhook_url is None and not (self.token and self.channel):
            raise ValueError("expected webhook_url, or token and channel together")
        for name in ("users", "approvers"):
            if getattr(self, name) and not self.hears:
                raise ValueError(f"{name} may press buttons where app_token or signing_secret is")

        return self

    @property
    def hears(self) -> bool:
        """Whether clicks can reach us."""
        return self.app_token is not None or self.signing_secret is not None

    @property
    def acknowledgers(self) -> frozenset[str]:
        """Who may acknowledge: whoever may approve a rollback as well."""
        return frozenset((*self.users, *self.approvers))

    @property
    def deciders(self) -> frozenset[str]:
        """Who may approve and veto rollbacks."""
        return frozenset(self.approvers or self.users)

    @property
    def buttons(self) -> Buttons:
        """The buttons that somebody may press."""
        return Buttons(acknowledge=bool(self.acknowledgers), decide=bool(self.deciders))


_OF_BOTS: Final = ("token", "channel", "app_token", "signing_secret", "users", "approvers")
