"""Loading a part of a configuration: what is wrong elsewhere does not count, what is in it does."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from monitor.config import ConfigError, NoSuchEndpoint, load, load_endpoint

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
    environment: production
    notifiers: {slack: {slack: {webhook_url: "${UNSET}"}}, odd: {slak: yes}}
    routes: [{notify: slack}, {match: {service: nowhere}, notify: slack}]
    services: {shop: {runbook: "${UNSET}"}}
    endpoints:
      shop: https://shop.example/
      api: {url: "https://${UNSET}/", every: 5}
    maintenance: [{services: [api], cron: "0 2 * * *", for: 1h}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "monitor.yml").write_text(dedent(TEXT))

    return tmp_path / "monitor.yml"


def test_what_is_wrong_in_a_section_that_is_not_used_is_no_mistake(file: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load([file], environ={}, without=["notifiers", "routes"])

    assert [problem.path for problem in refused.value.problems] == [
        "services.shop.runbook",
        "endpoints.api.url",
        "endpoints.api.every",
    ]


def test_one_endpoint_is_loaded_whatever_is_wrong_with_the_others(file: Path) -> None:
    compiled = load_endpoint("shop", [file], environ={})

    assert [endpoint.name for endpoint in compiled.endpoints] == ["shop"]
    assert compiled.directory.environment == "production"
    assert not compiled.notifiers


def test_what_is_wrong_with_the_endpoint_itself_counts(file: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load_endpoint("api", [file], environ={})

    assert [problem.path for problem in refused.value.problems] == [
        "endpoints.api.url",
        "endpoints.api.every",
    ]


def test_an_endpoint_that_is_not_there_is_told_with_the_one_that_was_meant(file: Path) -> None:
    with pytest.raises(NoSuchEndpoint, match=r"^shpo: no such endpoint; did you mean shop\?$"):
        load_endpoint("shpo", [file], environ={})


def test_where_no_name_is_like_it_some_are_told(tmp_path: Path) -> None:
    names = [f"e{number}" for number in range(12)]
    for some, told in ((names[:2], "e0, e1"), (names, ", ".join(names[:10]) + " and 2 more")):
        text = "".join(f"  {name}: https://{name}.example/\n" for name in some)
        (tmp_path / "m.yml").write_text(f"endpoints:\n{text}")

        with pytest.raises(NoSuchEndpoint) as refused:
            load_endpoint("storefront", [tmp_path / "m.yml"], environ={})

        assert str(refused.value) == f"storefront: no such endpoint; there are {told}"


def test_a_file_that_cannot_be_read_is_told_before_any_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_endpoint("shop", [tmp_path / "none.yml"], environ={})
