"""Programs over the same engine: the demo."""
