"""newsieve's programs and their command line. Start reading at `newsieve.programs.scoring.loop`."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("newsieve")
except PackageNotFoundError:  # the source on a path, not installed
    __version__ = "0"
