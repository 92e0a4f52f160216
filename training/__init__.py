"""Makes students from oracle labels: prepare → fit → evaluate → package, one folder a run."""
