"""What the kind `heartbeat` is made of."""
