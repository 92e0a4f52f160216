"""Runs `newsieve-train` as `python -m newsieve_training`, which torchrun starts for each device."""

from newsieve_training.cli.main import main

if __name__ == "__main__":
    main()
