"""What the kind `tcp` is made of: its options, the dialogue, and how TLS is begun in one."""
