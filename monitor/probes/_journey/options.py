"""The options of a journey: its steps in order, and which names each of them may use."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from yarl import URL

from monitor.core.expectations.shown import plain, quote
from monitor.fields import Duration, Options
from monitor.options import found, is_loopback
from monitor.probes._http.options import HttpOptions, RequestOptions
from monitor.probes._http.urls import read_url
from monitor.probes._journey.captures import Capture
from monitor.probes._journey.templates import (
    NAME,
    leading_name,
    names_in,
    without_names,
)
from monitor.probes.kind import ProbeOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

    from monitor.options import Secret

    Place = tuple[str | int, ...]

_MOST: Final = 50
_LONGEST_NAME: Final = 60
_STAND_IN: Final = "http://captured.invalid/"
_HOST: Final = re.compile(r"[a-z]+://[^/?#]*", re.IGNORECASE)
_SHORTEST_CREDENTIAL: Final = 8


def _read_step_name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError(f"expected a name such as register, found {quote(text)}")

    return text.strip()


def _read_capture_name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise ValueError(f"expected a name of letters, digits and _, found {quote(text)}")

    return text


def _read_pause(value: Any) -> Any:
    seconds = value.total_seconds()
    if not 0.1 <= seconds <= 60:
        raise ValueError("expected a pause of 100ms to 1m")

    return value


CaptureName = Annotated[str, AfterValidator(_read_capture_name)]


class StepOptions(Options):
    """One request: what is expected of its answer, and what is captured of it for later ones.

    With `poll`, it is asked again after that pause until the answer is as expected. With `always`,
    it is asked also after a step that failed.
    """

    name: Annotated[str, Field(max_length=_LONGEST_NAME), AfterValidator(_read_step_name)]
    url: str = Field(repr=False)
    request: RequestOptions = Field(default_factory=RequestOptions)
    expect: list[Any] = Field(default_factory=list)  # Any: the core reads expectations
    capture: dict[CaptureName, Capture] = Field(default_factory=dict)
    poll: Annotated[Duration, AfterValidator(_read_pause)] | None = None
    always: bool = False

    @field_validator("url", mode="before")
    @classmethod
    def _check_url(cls, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected a URL such as https://shop.example/, found {found(value)}")
        if leading_name(value) is not None:
            return value
        host = _HOST.match(value)
        if host and next(names_in(host[0]), None):
            raise ValueError("the host is written out: what an answer says does not choose it")
        read_url(without_names(value, "x"))

        return value

    @field_validator("request")
    @classmethod
    def _check_request(cls, request: RequestOptions) -> RequestOptions:
        if request.burst is not None:
            raise ValueError("burst is of an endpoint with a url: a step is one request")

        return request

    @cached_property
    def stand_in(self) -> HttpOptions:
        """The request with something in the place of each name: for what is known beforehand."""
        url = self.url if leading_name(self.url) is None else _STAND_IN

        return HttpOptions(url=without_names(url, "x"), request=self.request)

    @property
    def shown(self) -> str:
        """Method and URL as they may be shown, each name in place of what is captured."""
        if leading_name(self.url) is not None:
            return f"{self.request.method} {self.url}"

        return f"{self.request.method} {self.stand_in.target}"

    @property
    def origin(self) -> URL | None:
        """Where it goes, None where that is captured."""
        return None if leading_name(self.url) else URL(without_names(self.url, "x")).origin()

    @property
    def texts(self) -> Iterator[tuple[Place, str]]:
        """Each text in which a name may stand, and where that is."""
        request = self.request
        yield ("url",), self.url
        for name, value in request.headers.items():
            yield ("request", "headers", name), value.current
        if request.auth and request.auth.basic:
            at: Place = ("request", "auth", "basic")
            yield (*at, "username"), request.auth.basic.username
            yield (*at, "password"), request.auth.basic.password.current
        if request.auth and request.auth.bearer:
            yield ("request", "auth", "bearer"), request.auth.bearer.current
        if request.body is not None:
            yield ("request", "body"), request.body
        yield from _texts_in(request.payload, ("request", "json"))
        yield from _texts_in(request.form or {}, ("request", "form"))


def _texts_in(value: Any, at: Place) -> Iterator[tuple[Place, str]]:
    """Give each text of a JSON document. Any: a document of the user's."""
    match value:
        case str():
            yield at, value
        case dict():
            for key, inner in value.items():
                yield (*at, key), str(key)
                yield from _texts_in(inner, (*at, key))
        case list():
            for index, inner in enumerate(value):
                yield from _texts_in(inner, (*at, index))


class JourneyOptions(ProbeOptions):
    """Steps, in order, with one set of cookies; written as a list."""

    steps: Annotated[list[StepOptions], Field(min_length=1, max_length=_MOST)]

    @model_validator(mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        return {"steps": value}

    @model_validator(mode="after")
    def _check_names(self) -> JourneyOptions:
        """Refuse a name that nothing captures before it is used, each where it stands."""
        wrong = [
            InitErrorDetails(
                type=PydanticCustomError("value_error", "{error}", {"error": message}),
                loc=("steps", *place),
                input=None,
            )
            for place, message in self._mistakes()
        ]
        if wrong:
            raise ValidationError.from_exception_data("journey", wrong)

        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Offer the list alone to editors."""
        whole = handler.resolve_ref_schema(handler(schema))
        written: JsonSchemaValue = whole["properties"]["steps"]

        return written

    @property
    def asked(self) -> Sequence[tuple[Place, list[object]]]:
        """Where lists of expectations stand, and what is in them."""
        return [((index, "expect"), step.expect) for index, step in enumerate(self.steps)]

    @cached_property
    def origins(self) -> frozenset[URL]:
        """Where the journey may lead."""
        return frozenset(origin for step in self.steps if (origin := step.origin) is not None)

    @cached_property
    def target(self) -> str:
        """The URL of the first step as it may be shown."""
        return self.steps[0].stand_in.target

    @cached_property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it: not for loopback."""
        return not all(is_loopback(origin.host or "") for origin in self.origins)

    @cached_property
    def harmless(self) -> bool:
        """Whether asking changes nothing there: a journey mostly leaves something behind."""
        return all(step.stand_in.harmless for step in self.steps)

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """The values that must never be shown; a name in braces is none."""
        told = (secret for step in self.steps for secret in step.stand_in.secrets)

        return tuple(
            secret for secret in told if secret.live or not _is_little_but_names(secret.current)
        )

    def _mistakes(self) -> Iterator[tuple[Place, str]]:
        known: set[str] = set()
        everywhere = {name for step in self.steps for name in step.capture}
        seen: set[str] = set()
        for index, step in enumerate(self.steps):
            if step.name in seen:
                yield (index, "name"), f"two steps are named {plain(step.name)}"
            seen.add(step.name)
            for place, text in step.texts:
                for name in names_in(text):
                    if name not in known:
                        yield (index, *place), _explain(name, everywhere)
            for place, text in _texts_in(step.expect, ("expect",)):
                if name := next((one for one in names_in(text) if one in everywhere), ""):
                    yield (index, *place), f"{{{name}}} is not filled in: an expectation is fixed"
            known |= set(step.capture)


def _explain(name: str, captured: set[str]) -> str:
    if name in captured:
        return f"{{{name}}} is captured only by this step or a later one"

    which = f", which capture {', '.join(sorted(captured))}" if captured else ""
    literal = f"; write {{{{{name}}}}} for the text {{{name}}} itself"

    return f"{{{name}}} is captured by none of the steps{which}{literal}"


def _is_little_but_names(secret: str) -> bool:
    return (
        any(True for _ in names_in(secret))
        and len(without_names(secret, "").strip()) < _SHORTEST_CREDENTIAL
    )
