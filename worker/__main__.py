"""`python -m worker` is `newsieve`."""

from worker.cli import main

main()
