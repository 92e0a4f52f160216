"""What the person on call sees: logs, metrics, health. Observes; decides nothing."""
