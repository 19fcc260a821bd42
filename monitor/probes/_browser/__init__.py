"""What the kind `browser` is made of: its options, one Chromium for all, and what is seen."""
