"""What makes a stage done, and what a crash, a deletion or a change makes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import newsieve_training.pipeline.stage as stage_module
from newsieve_training.errors import RunInvalid
from newsieve_training.pipeline.run_folder import Run
from newsieve_training.pipeline.stage import Stage, StageWorkspace, require_up_to_date, run_stage
from tests.support.filters import BUILTIN


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run", BUILTIN)
    run.update({"setting": 1})
    return run


FIRST = Stage("prepare", (), lambda run: run.state["setting"])
SECOND = Stage("fit", (FIRST,), lambda _: "x")
LAST = Stage("evaluate", (SECOND,), lambda _: "y")


class Work:
    """Does all three stages: each copies what the one before it made. Counts."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.made: list[str] = []

    def stage(self, stage: Stage, name: str, content: Any) -> bool:
        def make(place: StageWorkspace) -> dict[str, Any]:
            self.made.append(stage.name)
            (place.out / "data").mkdir(parents=True, exist_ok=True)
            (place.out / "data" / name).write_text(str(content()))
            return {}

        return run_stage(self.run, stage, make)

    def all(self) -> list[str]:
        """Do what is not done; the names of the stages that were made."""
        self.made = []
        data = self.run.path("data")
        self.stage(FIRST, "a.txt", lambda: self.run.state["setting"] // 10)
        self.stage(SECOND, "b.txt", (data / "a.txt").read_text)
        self.stage(LAST, "c.txt", (data / "b.txt").read_text)
        return self.made


def test_a_stage_is_done_once(run: Run) -> None:
    """The second time nothing happens."""
    work = Work(run)

    assert work.all() == ["prepare", "fit", "evaluate"]
    assert work.all() == []


@pytest.mark.parametrize(("file", "stage"), [("a.txt", "prepare"), ("b.txt", "fit")])
def test_deleting_a_stages_files_rebuilds_just_that(run: Run, file: str, stage: str) -> None:
    """What comes after it is not done again, as long as it gets the same files; a changed file
    counts as deleted."""
    work = Work(run)
    work.all()

    run.path("data", file).unlink()
    assert work.all() == [stage]
    run.path("data", file).write_text("tampered with")
    assert work.all() == [stage]


def test_a_stage_that_comes_out_another_has_those_after_it_made_again(run: Run) -> None:
    """And one that comes out the same has not."""
    work = Work(run)
    work.all()

    run.update({"setting": 2})
    assert work.all() == ["prepare"]
    run.update({"setting": 20})
    assert work.all() == ["prepare", "fit", "evaluate"]


def test_a_stage_whose_forerunner_is_missing_or_out_of_date_says_which(run: Run) -> None:
    """And the command that mends it."""
    work = Work(run)
    with pytest.raises(RunInvalid, match="run `newsieve-train prepare` with the same"):
        work.stage(SECOND, "b.txt", str)
    work.all()

    run.path("data", "b.txt").unlink()
    with pytest.raises(RunInvalid, match=r"b.txt is missing or was changed: .* fit"):
        work.stage(LAST, "c.txt", str)
    work.all()
    run.update({"setting": 2})
    with pytest.raises(RunInvalid, match="what prepare was made of has changed"):
        work.stage(LAST, "c.txt", str)


def test_a_crash_leaves_nothing_half_made_and_the_stage_goes_on_from_its_workplace(
    run: Run,
) -> None:
    """As long as its inputs are the same; else it begins anew."""

    def dying(place: StageWorkspace) -> dict[str, Any]:
        (place.out / "half.txt").write_text("half")
        (place.folder / "progress").write_text("7 of 10")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(run, FIRST, dying)
    assert not run.path("half.txt").exists()
    with pytest.raises(RunInvalid):
        require_up_to_date(run, FIRST)

    found = []

    def looking(place: StageWorkspace) -> dict[str, Any]:
        found.append((place.folder / "progress").exists())
        return {}

    run_stage(run, FIRST, looking)
    run.update({"setting": 3})
    with pytest.raises(KeyboardInterrupt):
        run_stage(run, FIRST, dying)
    run.update({"setting": 4})
    run_stage(run, FIRST, looking)
    assert found == [True, False]
    assert not run.path(".unfinished").exists()


@pytest.mark.parametrize("where", ["_publish", "_delete"])
def test_a_crash_while_a_stage_is_put_into_place_does_no_harm(
    run: Run, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Before it is noted: it is put there again. After: it is done, and what is left over goes with
    the next."""
    whole = getattr(stage_module, where)
    work = Work(run)

    def dying(*arguments: Any) -> None:
        if where == "_publish":
            whole(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stage_module, where, dying)
        with pytest.raises(KeyboardInterrupt):
            work.all()

    assert work.all() == (["prepare"] if where == "_publish" else []) + ["fit", "evaluate"]
    run.path("data", "a.txt").unlink()
    assert work.all() == ["prepare"]
    assert not run.path(".unfinished").exists()


def test_what_only_an_earlier_result_had_is_taken_away(run: Run) -> None:
    """A fold that is no more, for one."""

    def make(names: list[str]) -> Any:
        def work(place: StageWorkspace) -> dict[str, Any]:
            for name in names:
                (place.out / name).write_text(name)
            return {"count": len(names)}

        return work

    run_stage(run, FIRST, make(["one", "two"]))
    run.update({"setting": 5})
    run_stage(run, FIRST, make(["one"]))

    assert run.path("one").exists() and not run.path("two").exists()
    assert run.state["stages"]["prepare"]["count"] == 1


def test_two_processes_do_not_work_on_one_run(run: Run) -> None:
    """The second is told; when the first has died, it may."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from newsieve_training.pipeline.run_folder import Run\n"
        "with Run(Path(sys.argv[1]), None).locked(): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(run.folder)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    try:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        with pytest.raises(RunInvalid, match="another newsieve-train works on"):
            Work(run).all()
    finally:
        holder.kill()
        holder.communicate()
    assert Work(run).all()


def test_run_json_is_parsed_once_until_it_is_replaced(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever replaces it: what is asked about a stage needs no reading of its own."""
    Work(run).all()
    fresh, reads = Run(run.folder, BUILTIN), []
    honest = Path.read_bytes

    def counting(path: Path) -> bytes:
        if path.name == "run.json":
            reads.append(path)
        return honest(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    for _ in range(3):
        require_up_to_date(fresh, LAST)
    assert len(reads) == 1
    Run(run.folder, BUILTIN).update({"setting": 9})
    assert fresh.state["setting"] == 9
    assert len(reads) == 1 + 2  # by who replaced it, and anew


def test_a_folder_that_is_not_there_is_no_run_and_is_not_made(tmp_path: Path) -> None:
    """Nor is it after it was to be locked."""
    with pytest.raises(RunInvalid, match="is not a run: `newsieve-train prepare` makes one"):
        Work(Run(tmp_path / "absent", BUILTIN)).all()
    assert not (tmp_path / "absent").exists()


def test_a_run_file_that_cannot_be_read_says_what_to_delete(run: Run) -> None:
    """As after a full disk."""
    run.path("run.json").write_text(json.dumps({"setting": 1})[:-3])

    with pytest.raises(RunInvalid, match="delete the folder"):
        Work(run).all()


def test_a_run_that_cannot_lie_where_it_should_is_refused() -> None:
    """Below a file."""
    with pytest.raises(RunInvalid, match="cannot work in"):
        Work(Run(Path(os.devnull) / "run", BUILTIN)).all()
