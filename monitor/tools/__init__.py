"""Programs over the same engine: the demo, and the explanation of one probe."""
