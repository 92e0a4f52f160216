"""A real Kafka broker on this machine, for the demo and the tests."""
