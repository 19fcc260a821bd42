"""production-monitor watches production after every deploy, tells on-call, and rolls back once."""
