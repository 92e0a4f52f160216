"""A fit that is killed at random moments, beside one that is left alone: the same weights?

    python -m benchmarks.resume --labels FILE [--kills N] [--articles N] [--seed N]

Trains the CPU recipe's student on the first N rows with a process of its own, kills it (SIGKILL) at
moments drawn at random, starts it again, and compares the adapter bit by bit with an unbroken run.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.results import publish
from newsieve_training.pipeline.files import file_hash
from newsieve_training.fit.stage import FINAL, checkpoint
from newsieve_training.data.label_aggregation import read_source
from newsieve_training.data.prepare import prepare
from newsieve_training.pipeline.recipe import read_recipe
from newsieve_training.pipeline.run_folder import Run
from newsieve.inference.manifest import ADAPTER
from tests.support.filters import BUILTIN

RECIPE = (
    Path(__file__).parents[1]
    / "training"
    / "newsieve_training"
    / "recipes"
    / "sustainability_minilm.toml"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--articles", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    options = parser.parse_args()
    recipe = read_recipe(RECIPE)
    small = {"checkpoint_steps": 2, "epochs": 4, "batch_size": 8, "micro_batch": None}
    recipe = recipe.model_copy(
        update={
            "fit": recipe.fit.model_copy(update=small),
            "labels": recipe.labels.model_copy(update={"bad_rows_allowed": 0.1}),  # few rows
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        lines = options.labels.read_bytes().splitlines(keepends=True)[: options.articles]
        labels = Path(folder) / options.labels.name
        labels.write_bytes(b"".join(lines))
        sources = [read_source(labels)]
        whole, broken = (
            prepare(recipe, sources, Path(folder) / n, BUILTIN)[0] for n in ("whole", "broken")
        )
        unbroken = _fit(whole, None)
        training = whole.state["stages"]["fit"]["seconds"]
        starting = unbroken - training
        chance, moments = random.Random(options.seed), list[str]()
        for _ in range(options.kills):
            # From while it starts up to some steps on, so that it comes through them all.
            after = chance.uniform(0.7 * starting, starting + 1.5 * training / options.kills)
            if not _fit(broken, after):
                break
            moments.append(f"{after:.1f}")
            sys.stderr.write(f"killed after {after:.1f} s: {_progress(broken)}\n")
        _fit(broken, None)
        same = file_hash(checkpoint(whole, FINAL) / ADAPTER) == file_hash(
            checkpoint(broken, FINAL) / ADAPTER
        )
    publish(
        "A fit that is killed",
        [
            f"{options.articles} rows of `{options.labels.name}`, {recipe.fit.epochs} epochs, a "
            f"checkpoint every {recipe.fit.checkpoint_steps} steps; unbroken {unbroken:.0f} s with "
            f"its start. Killed {len(moments)} times, after {', '.join(moments)} s.",
            "",
            f"Weights equal to the unbroken run's, bit by bit: **{'yes' if same else 'NO'}**.",
        ],
        options.save,
    )
    sys.exit(0 if same else 1)


def _fit(run: Run, kill_after_seconds: float | None) -> float:
    """Seconds it took; 0 when it ended before it was killed. None: let it end."""
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "newsieve_training", "fit", str(run.folder), "--threads", "1"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if process.wait(kill_after_seconds) != 0:
            raise SystemExit("the fit failed")
        return 0 if kill_after_seconds else time.monotonic() - start
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return time.monotonic() - start


def _progress(run: Run) -> str:
    steps = [
        int(path.name.partition("-")[2])
        for path in run.folder.glob(f".unfinished/fit-*/{FINAL}/checkpoint-*")
    ]
    return f"checkpoint at step {max(steps)}" if steps else "no checkpoint yet"


if __name__ == "__main__":
    main()
