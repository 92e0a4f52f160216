"""Asking a large language model for labels: prompts, providers, retries, the budget."""
