"""The options of figures out of metrics: a page and a series of it, or a Prometheus and a query."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Final, Self

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from yarl import URL

from monitor.core.expectations.shown import quote
from monitor.options import Secret, is_loopback
from monitor.probes._http.options import HttpOptions, RequestOptions
from monitor.probes._http.urls import read_url, show_url
from monitor.probes._metrics.figures import Aggregate
from monitor.probes._metrics.selector import Selector, read_selector
from monitor.probes.kind import ProbeOptions

_PAGE: Final = 8 * 1024 * 1024
_ACCEPT_PAGE: Final = (
    "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"
)
_ACCEPT_JSON: Final = "application/json"
_BODIES: Final = ("body", "body_file", "payload", "form")
_OF_A_PAGE: Final = ("series", "divided_by", "aggregate", "rate")
_LONGEST_QUERY: Final = 100_000


def _read_aggregate(value: object) -> object:
    names = [str(one) for one in Aggregate]
    if isinstance(value, Aggregate):
        return value
    if not isinstance(value, str) or value not in names:
        shown = quote(value) if isinstance(value, str) else str(value)
        raise ValueError(f"expected one of {', '.join(names)}, found {shown}")

    return Aggregate(value)


SelectorText = Annotated[
    Selector,
    PlainValidator(read_selector),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ['http_requests_total{code=~"5.."}']}),
]
AggregateName = Annotated[
    Aggregate,
    BeforeValidator(_read_aggregate),
    WithJsonSchema({"enum": [str(one) for one in Aggregate]}),
]


class MetricsOptions(ProbeOptions):
    """An exposition page (`url` and `series`), or a Prometheus that is asked a `query`.

    `divided_by` is the series by whose sum that of `series` is divided. `rate` looks at what
    counters grow by, per second, from one look to the next. `empty` is the value where nothing is
    found, or what is no number.
    """

    url: str | None = Field(default=None, repr=False)
    series: SelectorText | None = None
    divided_by: SelectorText | None = None
    aggregate: AggregateName | None = None
    rate: bool = False
    prometheus: str | None = Field(default=None, repr=False)
    query: Annotated[str, Field(min_length=1, max_length=_LONGEST_QUERY)] | None = Field(
        default=None, repr=False
    )
    empty: int | float | None = None
    request: RequestOptions = Field(default_factory=RequestOptions)

    @field_validator("url", "prometheus", mode="before")
    @classmethod
    def _check_url(cls, value: object) -> str:
        return read_url(value)

    @model_validator(mode="after")
    def _check_one_form(self) -> Self:
        if (self.url is None) == (self.prometheus is None):
            raise ValueError("expected either url with series, or prometheus with query")
        if self.url is not None:
            if self.series is None:
                raise ValueError("expected series beside url: which figure of the page is meant")
            if self.query is not None:
                raise ValueError("a page answers no query: expected prometheus in place of url")
            return self

        if self.query is None:
            raise ValueError("expected query beside prometheus: what it is asked")
        for name in _OF_A_PAGE:
            if name in self.model_fields_set:
                raise ValueError(f"{name} is of a page: with prometheus, the query says that")

        return self

    @model_validator(mode="after")
    def _check_divided(self) -> Self:
        if self.divided_by is not None and self.aggregate is not None:
            raise ValueError("divided_by adds up both sides: remove aggregate")

        return self

    @model_validator(mode="after")
    def _check_request(self) -> Self:
        if self.request.burst is not None:
            raise ValueError("request.burst is of an endpoint with a url: a figure is asked once")
        if self.prometheus is None:
            return self
        for name in _BODIES:
            if name in self.request.model_fields_set:
                shown = "json" if name == "payload" else name
                raise ValueError(f"request.{shown}: what is sent to a Prometheus is the query")
        if self.request.method not in ("GET", "POST"):
            raise ValueError("request.method: a Prometheus is asked by GET or POST")

        return self

    @cached_property
    def asked(self) -> HttpOptions:
        """The same as an HTTP request."""
        if self.prometheus is None:
            assert self.url is not None
            return HttpOptions(url=self.url, request=self._page_request())

        url = URL(self.prometheus) / "api/v1/query"
        if self.request.method == "GET" and "method" in self.request.model_fields_set:
            url = url.update_query({"query": self.query or ""})
            return HttpOptions(url=str(url), request=self._request(Accept=_ACCEPT_JSON))

        form = {"method": "POST", "form": {"query": self.query}}
        request = self._request(Accept=_ACCEPT_JSON).model_copy(update=form)

        return HttpOptions(url=str(url), request=request)

    @property
    def shown(self) -> URL:
        """The URL as it is configured."""
        return URL(self.prometheus or self.url or "")

    @cached_property
    def target(self) -> str:
        """The URL as it may be shown."""
        return show_url(self.shown)

    @property
    def question(self) -> str:
        """The series or the query."""
        divided = f" / {self.divided_by}" if self.divided_by else ""

        return f"{self.series or self.query}{divided}"

    @cached_property
    def shows_certificate(self) -> bool:
        """Whether the answer can come over TLS."""
        return self.asked.shows_certificate

    @cached_property
    def witnessed(self) -> bool:
        """Whether the witnesses can say anything about the way to it: not for loopback."""
        return not is_loopback(self.shown.host or "")

    @cached_property
    def secrets(self) -> tuple[Secret, ...]:
        """The values that must never be shown."""
        return self.asked.secrets

    def _page_request(self) -> RequestOptions:
        request = self._request(Accept=_ACCEPT_PAGE)
        if "body_limit" in request.model_fields_set:
            return request

        return request.model_copy(update={"body_limit": _PAGE})

    def _request(self, **headers: str) -> RequestOptions:
        """Give the request with headers that were not written."""
        written = {name.lower() for name in self.request.headers}
        more = {name: Secret(text) for name, text in headers.items() if name.lower() not in written}

        return self.request.model_copy(update={"headers": {**self.request.headers, **more}})
