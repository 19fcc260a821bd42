"""From a step as it is configured to the request that is sent, with what was captured before."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from yarl import URL

from monitor.core.expectations.shown import plain
from monitor.options import format_address
from monitor.probes._http.fields import BREAKS_A_LINE
from monitor.probes._http.options import HttpOptions
from monitor.probes._http.urls import read_url
from monitor.probes._journey.templates import (
    as_it_is_now,
    as_text,
    fill,
    fill_document,
    fill_secret,
    leading_name,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from monitor.options import Secret
    from monitor.probes._http.auth import AuthOptions
    from monitor.probes._http.options import RequestOptions
    from monitor.probes._journey.captures import Captured
    from monitor.probes._journey.options import StepOptions
    from monitor.probes._journey.templates import Scalar

_NO_SEGMENT: Final = frozenset({".", ".."})


class NotSent(Exception):
    """A request that is not sent, for what was captured does not fit into it, in words."""


class FilledOptions(HttpOptions):
    """A request that is shown as it is configured: what was captured is secret."""

    shown: str

    @cached_property
    def target(self) -> str:
        """The URL as it may be shown."""
        return self.shown


def fill_step(
    step: StepOptions, captured: Mapping[str, Captured], origins: Collection[URL]
) -> HttpOptions:
    """Give the request of a step; `origins` are where the journey may lead.

    Raises NotSent.
    """
    values = {name: one.value for name, one in captured.items()}
    url = _fill_url(step.url, captured, origins)

    return FilledOptions.model_construct(
        url=url, request=_fill_request(step.request, values), shown=step.stand_in.target
    )


def _fill_url(text: str, captured: Mapping[str, Captured], origins: Collection[URL]) -> str:
    """Write the values as parts of the URL; one with which it begins is a URL by itself."""
    values = {name: one.value for name, one in captured.items()}
    leading = leading_name(text)
    if leading is None:
        return fill(text, values, _quote)

    first = captured[leading]
    rest = fill(text.removeprefix(f"{{{leading}}}"), values, _quote)
    try:
        url = first.url.join(URL(as_text(first.value)))
        whole = read_url(str(url) + rest)
        origin = URL(whole).origin()
    except ValueError as error:
        raise NotSent(f"{{{leading}}} is no URL that can be asked") from error
    if origin not in origins:
        where = plain(format_address(origin.host or "", origin.port or 0))
        raise NotSent(f"{{{leading}}} leads to {where}, and no step of the journey names that")

    return whole


def _quote(value: str) -> str:
    if value in _NO_SEGMENT:
        raise NotSent(f"a part of the URL would be {value}, which is no part but a way")

    return quote(value, safe="")


def _fill_request(request: RequestOptions, values: Mapping[str, Scalar]) -> RequestOptions:
    changed: dict[str, object] = {}
    if request.headers:
        changed["headers"] = {
            name: _on_one_line(name, fill_secret(value, values))
            for name, value in request.headers.items()
        }
    if request.auth is not None:
        changed["auth"] = _fill_auth(request.auth, values)
    if request.body is not None:
        changed["body"] = fill(as_it_is_now(request.body), values)
    if request.has_payload:
        changed["payload"] = fill_document(request.payload, values)
    if request.form is not None:
        changed["form"] = {
            fill(name, values): fill(as_it_is_now(value), values)
            for name, value in request.form.items()
        }

    return request.model_copy(update=changed)


def _fill_auth(auth: AuthOptions, values: Mapping[str, Scalar]) -> AuthOptions:
    if auth.bearer is not None:
        bearer = _on_one_line("Authorization", fill_secret(auth.bearer, values))
        return auth.model_copy(update={"bearer": bearer})
    if auth.basic is None:
        return auth

    person = auth.basic.model_copy(
        update={
            "username": fill(auth.basic.username, values),
            "password": fill_secret(auth.basic.password, values),
        }
    )

    return auth.model_copy(update={"basic": person})


def _on_one_line(name: str, value: Secret) -> Secret:
    if BREAKS_A_LINE.search(value.current):
        raise NotSent(f"the header {name} would have a line break in it")

    return value
