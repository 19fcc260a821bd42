"""What the kind `grpc` is made of."""
