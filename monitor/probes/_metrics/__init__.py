"""Figures out of metrics: read from an exposition page, or asked of a Prometheus."""
