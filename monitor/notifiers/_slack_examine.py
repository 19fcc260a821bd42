"""Whether a bot of Slack could do its work: its token, its scopes, and Socket Mode."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from monitor.core.expectations.shown import plain
from monitor.examination import Unfit
from monitor.notifiers._slack_api import SlackRefusal
from monitor.outbound import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from slack_sdk.web.async_client import AsyncWebClient

    from monitor.notifiers._slack_options import SlackOptions

_WRITES: Final = "chat:write"
_READS: Final = frozenset({"channels:history", "groups:history", "im:history", "mpim:history"})


async def examine_bot(
    client: AsyncWebClient, options: SlackOptions, mask: Callable[[str], str]
) -> str:
    """Ask Slack whose token it is and what it may do, and for a connection without opening it.

    Raises Unfit.
    """

    async def ask(what: str, asked: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(options.timeout.total_seconds()):
                return await asked
        except TimeoutError as error:
            raise Unfit(f"{what}Slack gave no complete answer in time") from error
        except NoAnswer as error:
            raise Unfit(f"{what}Slack cannot be asked: {error}") from error
        except SlackRefusal as refusal:
            said = mask(f"{what}Slack says {refusal.error or 'nothing useful'}")
            raise Unfit(said) from refusal

    answer = await ask("", client.auth_test())
    who, where = (plain(str(answer.data.get(key, "?"))) for key in ("user", "team"))
    found = [f"the token is that of {who} in {where}, to write to {options.channel}"]
    if (scopes := _read_scopes(answer.headers)) is not None:
        if _WRITES not in scopes:
            raise Unfit(f"the token of {who} in {where} lacks the scope {_WRITES}")
        if not scopes & _READS:
            found.append("without channels:history a message may come twice after a crash")

    if options.app_token is not None:
        token = options.app_token.reveal()
        await ask("Socket Mode: ", client.apps_connections_open(app_token=token))
        found.append("Socket Mode works")
    if options.hears and not options.acknowledgers:
        found.append("users names nobody, so there are no buttons")

    return "; ".join(found)


def _read_scopes(headers: Any) -> frozenset[str] | None:
    """Give the scopes that Slack says a token has; None where it says nothing."""
    said = headers.get("x-oauth-scopes")

    return None if said is None else frozenset(one.strip() for one in said.split(","))
