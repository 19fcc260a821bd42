"""What the kind `command` is made of."""
