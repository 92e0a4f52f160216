"""A real Kafka broker for the demo and the tests, on this machine."""
