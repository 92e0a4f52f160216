"""`newsieve-train` and `python -m newsieve_training`: torchrun starts one for each device."""

from newsieve_training.cli.main import main

if __name__ == "__main__":
    main()
