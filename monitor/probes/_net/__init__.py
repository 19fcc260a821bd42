"""What kinds of probes share below their protocol: names, TLS, phases and the words for faults."""
