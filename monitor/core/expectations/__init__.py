"""Expectations: a source, an operator and what is healthy, compiled at load."""

from monitor.core.expectations.checking import check
from monitor.core.expectations.compiling import compile_expectation
from monitor.core.expectations.evidence import Evidence
from monitor.core.expectations.record import Expectation, ExpectationError, Source, schemas_of
from monitor.core.expectations.schema import expectation_schema
from monitor.core.expectations.sources import HTTP_SOURCES

__all__ = [
    "HTTP_SOURCES",
    "Evidence",
    "Expectation",
    "ExpectationError",
    "Source",
    "check",
    "compile_expectation",
    "expectation_schema",
    "schemas_of",
]
