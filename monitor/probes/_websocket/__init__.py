"""What the kind `websocket` is made of."""
