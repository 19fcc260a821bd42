"""A starting configuration from that of a peer: what it says in our words, and what is left."""
