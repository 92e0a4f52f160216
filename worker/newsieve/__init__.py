"""newsieve's programs and their command line. Start reading at `newsieve.programs.scoring.loop`."""

from importlib.metadata import version

__version__ = version("newsieve")
