"""The commands of an installation without extras."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKER_EXTRA = ("safetensors", "tokenizers", "torch", "transformers")
START_SECONDS = 1.5  # of work, however busy the machine is
TRAIN_EXTRA = ("accelerate", "datasketch", "peft", "sklearn", "scipy")

TRAIN = "newsieve_training.cli.main"


def run_without(
    missing: tuple[str, ...], program: str, *arguments: str, **env: str
) -> tuple[int, str]:
    """Exit code and standard error of a command in a Python where these modules are missing."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing}))\n"
        f"from {program} import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("missing", "program", "arguments", "extra"),
    [
        (WORKER_EXTRA, "newsieve.cli", ["score"], "'newsieve[worker]'"),
        (
            TRAIN_EXTRA,
            TRAIN,
            ["prepare", "recipe.toml", "l.jsonl"],
            "newsieve-training",
        ),
        (
            WORKER_EXTRA + TRAIN_EXTRA,
            TRAIN,
            ["fit", "run"],
            "newsieve-training",
        ),
        (TRAIN_EXTRA, TRAIN, ["evaluate", "run"], "newsieve-training"),
    ],
)
def test_a_command_whose_extra_is_missing_names_it(
    missing: tuple[str, ...], program: str, arguments: list[str], extra: str
) -> None:
    """Exit 2 and how to install it, no traceback."""
    code, complaint = run_without(missing, program, *arguments)

    assert code == 2
    assert complaint.splitlines()[-1].endswith(f"is not installed: pip install {extra}")
    assert "Traceback" not in complaint


def test_pages_need_no_model(tmp_path: Path) -> None:
    """Without torch `newsieve serve` comes as far as its store; to score, it needs the extra."""
    settings = {
        "NEWSIEVE_SERVE__PORT": "0",
        "NEWSIEVE_SERVE__STORE": str(tmp_path / "none" / "pages.db"),
    }
    code, complaint = run_without(WORKER_EXTRA, "newsieve.cli", "serve", **settings)
    assert code == 1
    assert "as the store of pages" in complaint

    code, complaint = run_without(WORKER_EXTRA, "newsieve.cli", "serve", "--score", **settings)
    assert code == 2
    assert complaint.splitlines()[-1].endswith("is not installed: pip install 'newsieve[worker]'")


def test_a_missing_module_of_our_own_is_a_defect() -> None:
    """No extra would mend it: a traceback."""
    code, complaint = run_without(("newsieve.inference.student",), "newsieve.cli", "score")

    assert code == 1
    assert "Traceback" in complaint and "pip install" not in complaint


def test_the_base_installation_needs_no_extra_for_rules() -> None:
    """Filters and tiers are decided without a model."""
    code, _ = run_without(WORKER_EXTRA + TRAIN_EXTRA, "newsieve.cli", "filters", "list")

    assert code == 0


def test_the_oracle_needs_no_model(tmp_path: Path) -> None:
    """It never imports torch, nor what comes with it."""
    (tmp_path / "labels.jsonl").write_text('{"id": "a", "filter": "uplifting", "refusal": "no"}\n')
    (tmp_path / "articles.jsonl").write_text('{"id": "a", "title": "A title"}\n')
    settings = {
        "NEWSIEVE_ORACLE__PROVIDER": "label_file",
        "NEWSIEVE_ORACLE__LABEL_FILE": str(tmp_path / "labels.jsonl"),
    }

    code, complaint = run_without(
        WORKER_EXTRA + TRAIN_EXTRA,
        "newsieve.cli",
        *("oracle", "label", str(tmp_path / "articles.jsonl")),
        *("--out", str(tmp_path / "out.jsonl"), "--yes"),
        **settings,
    )

    assert code == 0, complaint
    assert '"refused"' in (tmp_path / "out.jsonl").read_text()


def test_oracle_and_drift_monitor_start_fast_and_never_import_torch() -> None:
    """All that comes before the broker: imports, settings, filters, prompts, baselines."""
    code = f"""
import sys, time
sys.modules.update(dict.fromkeys({WORKER_EXTRA + TRAIN_EXTRA}))
import newsieve.cli
from newsieve.bootstrap import drift
from newsieve.bootstrap import labeling
from newsieve.settings.loader import load_settings
settings = load_settings(None, {{"NEWSIEVE_ORACLE__PROVIDER": "label_file",
                                "NEWSIEVE_ORACLE__LABEL_FILE": sys.argv[1]}})
labeling.make_provider(settings).close()
monitored = drift.monitored_filters(settings, drift.load_filter_inputs(settings))()
print(len(monitored), time.process_time())
"""
    assert started(code, "/dev/null") == 1


def started(code: str, argument: str) -> int:
    """Run what a program does before its broker, fast, and return what it counts."""
    done = subprocess.run(
        [sys.executable, "-c", code, argument],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counted, seconds = done.stdout.split()
    assert float(seconds) < START_SECONDS
    return int(counted)


def test_an_ingester_of_feeds_starts_fast_and_never_imports_torch(tmp_path: Path) -> None:
    """All that comes before the broker: imports, settings, the list, what asks feeds."""
    (tmp_path / "feeds.txt").write_text("https://a.example/feed\n")
    code = f"""
import sys, time
from pathlib import Path
sys.modules.update(dict.fromkeys({WORKER_EXTRA + TRAIN_EXTRA}))
import newsieve.cli.ingest
from newsieve.bootstrap import ingest_feeds
from newsieve.settings.loader import load_settings
settings = load_settings(None, {{}})
listed = ingest_feeds.feed_list(settings, Path(sys.argv[1]))
ingest_feeds.make_fetcher(settings).close()
print(len(listed.feeds), time.process_time())
"""
    assert started(code, str(tmp_path / "feeds.txt")) == 1
