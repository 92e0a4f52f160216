"""Delivers a topic's records to something outside: a webhook, or a command of the user's."""
