"""Slack's Web API: the SDK writes requests and reads answers, our own client carries them."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from monitor.core.model.notice import Refused, TryAgain
from monitor.core.outbox import Why
from monitor.notifiers._answers import judge
from monitor.outbound import Answer, parse_retry_after, post

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from slack_sdk.web.async_client import AsyncWebClient

    from monitor.core.model.notice import Receipt

_MAY_PASS: Final = frozenset(
    {
        "accesslimited",
        "fatal_error",
        "internal_error",
        "request_timeout",
        "rollup_error",
        "service_unavailable",
        "team_added_to_org",
    }
)
_TOO_FAST: Final = frozenset({"rate_limited", "ratelimited"})
_FORM: Final = frozenset(
    {
        "attachment_payload_limit_exceeded",
        "invalid_arguments",
        "invalid_attachments",
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_metadata_format",
        "invalid_metadata_schema",
        "invalid_payload",
        "metadata_must_be_sent_from_app",
        "metadata_too_large",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
        "too_many_attachments",
    }
)
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{1,80}")
_ANSWER_LIMIT: Final = 4 * 1024 * 1024
"""Slack repeats what was sent, with each letter outside of ASCII as six; a history is long."""

METADATA: Final = "production_monitor_notice"
"""The type by which our messages are found again."""

PAGE: Final = 50
"""How many messages are asked for at once."""

_MOST_PAGES: Final = 5


class SlackRefusal(Exception):
    """Slack did not take it: `error` is its own code, `receipt` what that means."""

    def __init__(self, error: str, receipt: Receipt) -> None:
        super().__init__(error)
        self.error = error
        self.receipt = receipt

    @property
    def about_form(self) -> bool:
        """Whether the message was malformed or too long, so that a shorter one may be taken."""
        return self.error in _FORM


def read_error(error: str, answer: Answer, now: datetime) -> SlackRefusal:
    """Say what an error code in the body of an answer means."""
    shown = f"Slack says {error if _CODE.fullmatch(error) else 'no'}"
    if error in _TOO_FAST or error in _MAY_PASS:
        after = parse_retry_after(answer.headers.get("retry-after"), now)
        why = Why.RATE_LIMITED if error in _TOO_FAST else Why.SERVER_ERROR
        return SlackRefusal(error, TryAgain(reason=why, error=shown, after=after))

    return SlackRefusal(error, Refused(reason=Why.REFUSED, error=shown))


def read_answer(answer: Answer, now: datetime) -> dict[str, Any]:
    """Read the JSON of an answer that is ok; raises SlackRefusal for every other one."""
    try:
        data = json.loads(answer.text)
    except ValueError:
        data = None

    error = data.get("error") if isinstance(data, dict) else None
    if answer.status != 200 and not (answer.status < 500 and error in _FORM):
        raise SlackRefusal("", judge(answer, f"answered {answer.status}", now))
    if not isinstance(data, dict):
        why = TryAgain(reason=Why.BAD_ANSWER, error="answered 200, but not as Slack does")
        raise SlackRefusal("", why)
    if data.get("ok") is not True:
        raise read_error(str(error), answer, now)

    return data


def read_webhook_answer(answer: Answer, in_words: str, now: datetime) -> None:
    """Take `ok` as the answer of an incoming webhook; raises SlackRefusal for every other one.

    `in_words` tells of the answer without secrets.
    """
    said = answer.text.strip()
    if answer.status == 200 and said == "ok":
        return
    if answer.status == 200:
        read_answer(answer, now)  # some servers in Slack's stead answer as its Web API does
        return
    if answer.status == 400:
        error = said if said in _FORM else "invalid_payload"
        raise SlackRefusal(error, Refused(reason=Why.REFUSED, error=in_words))

    raise SlackRefusal("", judge(answer, in_words, now))


def make_client(
    *, base_url: str, user_agent: str, timeout: timedelta, clock: Callable[[], datetime]
) -> AsyncWebClient:
    """Make an SDK client whose requests go through our own: deadline, no redirects, no retries.

    The SDK's own transport follows redirects with the token, reads without limit, ignores its
    timeout when given a session, and takes proxies from the environment.
    """
    from slack_sdk.web.async_client import AsyncWebClient

    class Client(AsyncWebClient):
        """Carries what the SDK has written; a test pins that it still asks here."""

        async def _request(
            self, *, http_verb: str, api_url: str, req_args: dict[str, Any]
        ) -> dict[str, Any]:
            asked, query = req_args.get("json"), req_args.get("params")
            answer = await post(
                f"{api_url}?{urlencode(query)}" if query else api_url,
                body=b"" if asked is None else json.dumps(asked).encode(),
                headers={**req_args["headers"], "User-Agent": user_agent},
                timeout=timeout,
                method=http_verb,
                limit=_ANSWER_LIMIT,
            )
            data = read_answer(answer, clock())

            return {"data": data, "headers": answer.headers, "status_code": answer.status}

    # It would write requests into its log, with all that is in them.
    silent = logging.getLogger("slack_sdk.silenced")
    silent.setLevel(logging.CRITICAL)

    return Client(base_url=base_url, logger=silent, retry_handlers=[])


async def find_message(
    client: AsyncWebClient, channel: str, thread: str | None, *, since: datetime, key: str
) -> str | None:
    """Give the `ts` of the message that carries a key, in a channel or in a thread of it.

    It looks at what was written since then, at 250 messages at most. Raises SlackRefusal, above all
    where the token may not read the channel.
    """
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        asked: dict[str, Any] = {
            "channel": channel,
            "oldest": f"{since.timestamp():.6f}",
            "limit": PAGE,
            "include_all_metadata": "true",
            "cursor": cursor,
        }
        if thread is None:
            answer = await client.conversations_history(**asked)
        else:
            answer = await client.conversations_replies(ts=thread, **asked)
        page: Any = answer.data
        for message in page.get("messages") or ():
            if _read_key(message) == key:
                return str(message.get("ts"))

        cursor = (page.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            break

    return None


def _read_key(message: Any) -> str | None:
    """Give the key of a message of ours. Any: what Slack says."""
    match message:
        case {
            "metadata": {
                "event_type": str(kind),
                "event_payload": {"idempotency_key": str(key)},
            }
        } if kind == METADATA:
            return key

    return None
