"""The configuration: reading YAML with places, checking it all at once, compiling core records."""

from __future__ import annotations

from monitor.config.compiled import Compiled, Plugin, Scope, Token, WebSettings
from monitor.config.doubts import find_doubts
from monitor.config.errors import ConfigError, Problem
from monitor.config.loading import (
    NoSuchEndpoint,
    compile_url,
    find_store,
    load,
    load_endpoint,
    schema,
)

__all__ = [
    "Compiled",
    "ConfigError",
    "NoSuchEndpoint",
    "Plugin",
    "Problem",
    "Scope",
    "Token",
    "WebSettings",
    "compile_url",
    "find_doubts",
    "find_store",
    "load",
    "load_endpoint",
    "schema",
]
