"""A run's folder, its recipe, and its stages: what each reads and when it is up to date."""
