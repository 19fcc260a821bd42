"""What the kind `icmp` is made of."""
