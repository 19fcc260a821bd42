"""Expectations: a source, an operator and what is healthy, compiled at load."""
