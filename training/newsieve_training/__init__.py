"""Makes students from oracle labels: prepare → fit → evaluate → package, one folder a run."""

from importlib.metadata import version

__version__ = version("newsieve-training")
