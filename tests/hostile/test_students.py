"""Texts and students from elsewhere against the real command, metered by the kernel.

A start alone, torch and a base model included, takes some 10 s and 1.1 GB, so that is what the
bounds stand above.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from newsieve.errors import NewsieveError, StudentInvalid
from newsieve.filters.registry import Filter
from newsieve.inference.student import load_student
from tests.hostile.metered import Metered, metered
from tests.support.filters import load
from tests.support.mutations import mutate

NEWSIEVE = [str(Path(sys.executable).with_name("newsieve"))]
GIB = 1024**3
ADAPTER = "adapter_model.safetensors"
DESERT = "a" + " " * 6_000 + "b"  # fewer tokens than the window in its first characters
BOMBS = 12
BOMB_CHARACTERS = 3_980_000
MUTATIONS = 150
CPU_SECONDS_OF_A_LOAD = 1.0  # on average; a tokenizer may take 20 in its trial


def score(stdin: bytes, student: Path | None = None) -> Metered:
    folders = {"NEWSIEVE_STUDENT__FOLDERS": json.dumps({"uplifting": str(student)})}
    one = {"OMP_NUM_THREADS": "1", "NEWSIEVE_STUDENT__DTYPE": "fp32", "RUST_BACKTRACE": "0"}
    command = [*NEWSIEVE, "score", "-", "--filter", "uplifting"]
    return metered(command, stdin=stdin, env={**one, **(folders if student else {})})


def test_texts_that_give_no_tokens_cost_no_gigabytes() -> None:
    """Twelve of 4 MB took 8 GB and 52 s of CPU."""
    content = DESERT + ".," * ((BOMB_CHARACTERS - len(DESERT)) // 2)
    lines = [
        json.dumps({"id": f"bomb-{number}", "title": "A library opens", "content": content})
        for number in range(BOMBS)
    ]

    used = score("\n".join(lines).encode())

    assert used.code == 0, used.err
    assert len(used.out.splitlines()) == BOMBS
    assert used.peak_bytes < 1.6 * GIB
    assert used.cpu_seconds < 25


def test_a_text_that_breaks_the_tokeniser_is_a_dead_letter(
    tiny_student: Path, tmp_path: Path
) -> None:
    """Its neighbours are scored, and the program ends as it does for any dead letter. The pattern
    is harmless on what the tokenizer is tried with, and explodes on a text made for it."""
    student = Path(shutil.copytree(tiny_student, tmp_path / "student"))
    facts = json.loads((student / "tokenizer.json").read_text())
    split = {
        "type": "Split",
        "pattern": {"Regex": "zq(x+x+)+y"},
        "behavior": "Isolated",
        "invert": False,
    }
    both = [split, facts["pre_tokenizer"]]
    facts["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": both}
    (student / "tokenizer.json").write_text(json.dumps(facts))
    texts = ["A village", "Shares fall", "zq" + "x" * 60, "A bridge"]
    lines = [
        json.dumps({"id": str(at), "title": "News", "content": text})
        for at, text in enumerate(texts)
    ]

    used = score("\n".join(lines).encode(), student)

    found = [json.loads(line) for line in used.out.splitlines()]
    assert used.code == 1
    assert [
        "dlq.error" in json.dumps(row) or "ModelFailed" in json.dumps(row) for row in found
    ] == [
        False,
        False,
        True,
        False,
    ]
    assert "Traceback" not in used.err
    assert used.peak_bytes < 1.6 * GIB and used.cpu_seconds < 40


def sparse(path: Path) -> None:
    with path.open("ab") as stream:
        stream.truncate(20 * GIB)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def explode(path: Path) -> None:
    facts = json.loads(path.read_text())
    split = {"Regex": "(a+)+b"}
    facts["pre_tokenizer"] = {
        "type": "Split",
        "pattern": split,
        "behavior": "Isolated",
        "invert": False,
    }
    path.write_text(json.dumps(facts))


def catastrophe(path: Path) -> None:
    """Names that Python's re would match for years, and ranks of terabytes."""
    facts = json.loads(path.read_text())
    patterns = {f"(([a-z.]*)*)*(x|y|{number})": 1 << 20 for number in range(1_000)}
    facts |= {"rank_pattern": patterns, "target_modules": "((([a-z.0-9]*)*)*)*query"}
    path.write_text(json.dumps(facts))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "sparse": lambda folder: sparse(folder / ADAPTER),
    "fifo with a name": lambda folder: fifo(folder / "\x1b]0;owned\x07"),
    "adapter": lambda folder: catastrophe(folder / "adapter_config.json"),
    "pattern": lambda folder: explode(folder / "tokenizer.json"),
}


def test_a_hostile_student_ends_the_command_with_one_sentence(
    tiny_student: Path, tmp_path: Path
) -> None:
    """Exit code 1, no traceback, no control characters, bounded time and memory. Side by side:
    each has its own account."""

    def scored(name: str) -> Metered:
        student = Path(shutil.copytree(tiny_student, tmp_path / name))
        DAMAGE[name](student)
        return score(b"{}", student)

    with ThreadPoolExecutor() as pool:
        found = dict(zip(DAMAGE, pool.map(scored, DAMAGE), strict=True))

    for name, used in found.items():
        assert used.code == 1, name
        (sentence,) = [line for line in used.err.splitlines() if line.startswith("newsieve: ")]
        assert sentence.isprintable(), name
        assert "Traceback" not in used.err, name
        # Of it 4 GiB of address space are a tokenizer's in its trial.
        assert used.peak_bytes < 5 * GIB, name
        assert used.cpu_seconds < 40, name


def test_a_changed_student_loads_or_is_refused(
    tiny_student: Path, tmp_path: Path, uplifting: Filter
) -> None:
    """The long run of what `make test` does with a few seeds."""
    outcomes = {True: 0, False: 0}
    before = sum(os.times()[:4])  # children included
    for seed in range(1_000, 1_000 + MUTATIONS):
        folder = Path(shutil.copytree(tiny_student, tmp_path / f"student-{seed}"))
        what = mutate(folder, seed)
        try:
            load_student(uplifting, folder, dtype="fp32")
            outcomes[True] += 1
        except NewsieveError as error:
            assert isinstance(error, StudentInvalid), (seed, what)
            assert str(error).isprintable(), (seed, what)
            outcomes[False] += 1
    assert min(outcomes.values()) > MUTATIONS / 20, outcomes
    assert sum(os.times()[:4]) - before < MUTATIONS * CPU_SECONDS_OF_A_LOAD


def test_a_changed_row_of_the_shipped_base_is_refused(tmp_path: Path) -> None:
    """It moved scores by two points under the same hash, and passed the canaries."""
    from safetensors.torch import load_file, save_file

    from newsieve.inference.base_files import find_base

    facts = json.loads((load("uplifting").student_folder / "student.json").read_text())["base"]
    base = Path(shutil.copytree(find_base(facts["name"], facts["revision"]), tmp_path / "base"))
    tensors = load_file(base / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"][20_000] += 1
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    command = [*NEWSIEVE, "score", "-", "--filter", "uplifting"]

    used = metered(command, stdin=b"{}", env={"NEWSIEVE_STUDENT__BASE": str(base)})

    assert used.code == 1
    assert "is not the one that the student in" in used.err
    assert "model.safetensors" in used.err
    assert used.peak_bytes < 1.6 * GIB and used.cpu_seconds < 25
