"""What the kind `dns` is made of."""
