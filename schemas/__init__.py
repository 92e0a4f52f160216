"""The contract: what travels between newsieve and the programs around it.

Pydantic models and the one table of topics. Imports nothing of ours, so that a subscriber can
vendor this folder alone.
"""
