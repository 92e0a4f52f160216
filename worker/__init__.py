"""The streaming programs: worker, and the commands around it. Start reading at `pipeline`."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("newsieve")
except PackageNotFoundError:  # a bare checkout on the path, not installed
    __version__ = "0+unknown"
