"""Brings notices to their receivers, at least once, in order, and no faster than they may."""

from monitor.dispatch.dispatch import DEADLINE, STOP_GRACE, STORE_PATIENCE, Dispatch

__all__ = ["DEADLINE", "STOP_GRACE", "STORE_PATIENCE", "Dispatch"]
