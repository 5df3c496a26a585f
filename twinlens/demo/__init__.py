"""A small, lively sample workload. It knows nothing of the server's inside: it sends what programs send, OTLP and REST."""
