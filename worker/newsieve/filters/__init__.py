"""Pure domain: what a filter is and decides. No torch, no Kafka, no clock."""
