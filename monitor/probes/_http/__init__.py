"""One HTTP request as an observation: what is sent, the connection, the body, the redirects."""
