"""What Prometheus reads: blackbox_exporter's series per endpoint, and the monitor's own figures."""

from monitor.metrics.counting import Metrics
from monitor.metrics.endpoints import render_probe, why_no_series
from monitor.metrics.exposition import OPENMETRICS, TEXT

__all__ = ["OPENMETRICS", "TEXT", "Metrics", "render_probe", "why_no_series"]
