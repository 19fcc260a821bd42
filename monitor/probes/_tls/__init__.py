"""What the kind `tls` is made of."""
