"""The contract: the records that travel between newsieve and the programs around it.

Pydantic models and the one table of topics. This package imports nothing else of newsieve, so a
subscriber can install it alone.
"""

from importlib.metadata import version

__version__ = version("newsieve-schemas")
