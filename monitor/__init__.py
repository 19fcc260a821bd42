"""production-monitor watches production after every deploy, tells on-call, and rolls back once."""

__version__ = "0.1.0"
