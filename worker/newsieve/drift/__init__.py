"""The drift monitor's thinking: pure, no Kafka, no clock. `watch` is the way in."""
