"""`python -m training`: what torchrun starts, once for each device."""

from training.cli import main

main()
