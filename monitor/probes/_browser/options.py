"""The options of a page that is looked at in a browser: where it is, and what is awaited on it."""

from __future__ import annotations

import re
import shutil
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from yarl import URL

from monitor.fields import ShortForm, Size
from monitor.options import found
from monitor.probes._http.fields import HeaderName, HeaderValue
from monitor.probes._http.options import HttpOptions, RequestOptions
from monitor.probes._http.urls import read_url
from monitor.probes._net.dialogue import PatternText
from monitor.probes.kind import ProbeOptions
from monitor.runner.program import find_problem

if TYPE_CHECKING:
    from monitor.options import Secret

_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
_VIEWPORT: Final = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})")
_LARGEST_BODY: Final = 8 * 1024 * 1024
_SET_BY_CHROMIUM: Final = frozenset({"host", "cookie", "accept-encoding"})


def _read_selector(selector: str) -> str:
    from monitor.core.expectations.html_body import SelectorError, compile_selector

    try:
        compile_selector(selector)
    except SelectorError as error:
        raise ValueError(f"{found(selector)} is no CSS selector: {error}") from error

    return selector


def _read_viewport(text: str) -> str:
    if not _VIEWPORT.fullmatch(text):
        raise ValueError(f"expected width and height in pixels such as 1280x720, found {text!r}")

    return text


def _read_limit(limit: int) -> int:
    if not 0 < limit <= _LARGEST_BODY:
        raise ValueError(f"expected at most 8MiB, found {limit} bytes")

    return limit


def _read_own_name(name: str) -> str:
    if name.lower() in _SET_BY_CHROMIUM:
        raise ValueError(f"{name} is set by the browser itself; remove it")

    return name


class BrowserOptions(ShortForm, ProbeOptions):
    """A page in a browser; its URL alone may be written in place of the map.

    `wait_for` is an element that has to be there before the page is judged. `headers` go to the
    origin of the URL alone. What matches one of `ignore_console` is no error of the console.
    `body_limit` counts bytes of the document as it is then. `executable` is a Chromium, looked for
    in PATH if left out.
    """

    url: str = Field(repr=False)
    wait_for: Annotated[str, AfterValidator(_read_selector)] | None = None
    viewport: Annotated[str, AfterValidator(_read_viewport)] = "1280x720"
    headers: dict[Annotated[HeaderName, AfterValidator(_read_own_name)], HeaderValue] = Field(
        default_factory=dict
    )
    ignore_console: Annotated[list[PatternText], Field(max_length=50)] = Field(default_factory=list)
    verify: bool = True
    body_limit: Annotated[Size, AfterValidator(_read_limit)] = 1024 * 1024
    executable: Annotated[str, Field(min_length=1)] | None = None

    short_form = "url"

    @field_validator("url", mode="before")
    @classmethod
    def _check_url(cls, value: object) -> str:
        return read_url(value)

    @model_validator(mode="after")
    def _check_document(self) -> Self:
        _ = self.document  # which tells of header names that are given twice

        return self

    @model_validator(mode="after")
    def _check_programs(self) -> Self:
        if find_spec("playwright") is None:
            raise ValueError(
                "browser needs the package playwright: pip install production-monitor[browser]"
            )
        if not self.program:
            raise ValueError(
                f"browser needs Chromium, and PATH has none of {', '.join(_PROGRAMS)}: "
                "apt-get install chromium, or name it with executable"
            )
        if problem := find_problem(self.program, bare="/" not in self.program):
            raise ValueError(f"executable: {problem}")

        return self

    @cached_property
    def document(self) -> HttpOptions:
        """The request for the document."""
        return HttpOptions(url=self.url, request=RequestOptions(headers=self.headers))

    @cached_property
    def program(self) -> str:
        """The browser as it is started; empty where there is none."""
        if self.executable is not None:
            return self.executable

        return next(filter(None, map(shutil.which, _PROGRAMS)), "")

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height of the window, in pixels."""
        width, _, height = self.viewport.partition("x")

        return int(width), int(height)

    @cached_property
    def origin(self) -> str:
        """The only origin that gets the headers."""
        return str(URL(self.url).origin())

    @cached_property
    def target(self) -> str:
        """The URL as it may be shown."""
        return self.document.target

    @cached_property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it."""
        return self.document.witnessed

    @cached_property
    def may_redirect_to_https(self) -> bool:
        """Whether a way from plain HTTP to HTTPS can be seen."""
        return self.document.may_redirect_to_https

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """The values that must never be shown."""
        return self.document.secrets

    def ignores(self, message: str) -> bool:
        """Say whether a line of the console is none that counts. Any: what RE2 compiles to."""
        patterns: list[Any] = [pattern.compiled for pattern in self.ignore_console]

        return any(pattern.search(message) for pattern in patterns)
