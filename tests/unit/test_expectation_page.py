"""The page on expectations says what is really said, of every source."""

from __future__ import annotations

import pytest
import yaml

from monitor.core.expectations import Source
from tests.support.expectation_page import CASES, PAGE, page


def test_the_page_on_expectations_is_current() -> None:
    assert PAGE.read_text() == page(), "run python -m tests.support.expectation_page"


@pytest.mark.parametrize("source", Source)
def test_each_source_has_a_failure_on_the_page(source: Source) -> None:
    assert any(source in yaml.safe_load(case.written) for case in CASES)
