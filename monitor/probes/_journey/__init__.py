"""Several HTTP requests as one observation: what is found in one answer goes into the next."""
