"""A student's folder from elsewhere: whatever stands in it, it loads or it is StudentInvalid."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from newsieve.errors import NewsieveError, StudentInvalid
from newsieve.filters.registry import Filter
from newsieve.inference.manifest import read_manifest, student_hash
from newsieve.inference.student import load_student
from tests.support.mutations import mutate

ADAPTER = "adapter_model.safetensors"
GIB = 1024**3
NESTED = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def folder(tiny_student: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_student, tmp_path / "student"))


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def sparse(path: Path, size: int) -> None:
    with path.open("ab") as stream:
        stream.truncate(size)


def link_out(folder: Path, name: str) -> None:
    outside = folder.parent / f"outside-{name}"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def header(folder: Path, facts: bytes, length: int | None = None) -> None:
    length = len(facts) if length is None else length
    (folder / ADAPTER).write_bytes(struct.pack("<Q", length) + facts + bytes(64))


def overlapping(folder: Path) -> None:
    part = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    header(folder, json.dumps({"a": part, "b": part | {"data_offsets": [8, 24]}}).encode())


def as_integers(folder: Path) -> None:
    tensors = {name: value.int() for name, value in load_file(folder / ADAPTER).items()}
    save_file(tensors, folder / ADAPTER)


def edit_tokenizer(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    facts = json.loads((folder / "tokenizer.json").read_text())
    change(facts)
    (folder / "tokenizer.json").write_text(json.dumps(facts))


def last_id(facts: dict[str, Any], number: int) -> None:
    vocabulary = facts["model"]["vocab"]
    vocabulary[max(vocabulary, key=vocabulary.__getitem__)] = number


def explode(pattern: str) -> Callable[[dict[str, Any]], object]:
    split = {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    return lambda facts: facts.update(pre_tokenizer=split)


def wrap(facts: dict[str, Any], count: int) -> None:
    pieces = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}] * count
    facts["post_processor"]["single"] = [*pieces, {"Sequence": {"id": "A", "type_id": 0}}]


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "sparse adapter": (lambda f: sparse(f / ADAPTER, 20 * GIB), "bytes, at most"),
    "sparse tokenizer": (lambda f: sparse(f / "tokenizer.json", 20 * GIB), "bytes, at most"),
    "sparse manifest": (lambda f: sparse(f / "student.json", 20 * GIB), "bytes, at most"),
    "sparse canaries": (lambda f: sparse(f / "canaries.jsonl", 20 * GIB), "bytes, at most"),
    "sparse baseline": (lambda f: sparse(f / "baseline.jsonl", 20 * GIB), "bytes, at most"),
    "sparse stranger": (lambda f: sparse(f / "notes.txt", 20 * GIB), "bytes, at most"),
    "fifo": (lambda f: fifo(f / "canaries.jsonl"), "no regular file"),
    "another fifo": (lambda f: fifo(f / "notes"), "no regular file"),
    "device": (lambda f: (f / "zero").symlink_to("/dev/zero"), "link out of its folder"),
    "link out": (lambda f: link_out(f, "tokenizer.json"), "link out of its folder"),
    "dead link": (lambda f: (f / "x").symlink_to(f / "gone"), "cannot be read"),
    "link to itself": (lambda f: (f / "x").symlink_to(f / "x"), "cannot be read"),
    "folder": (
        lambda f: ((f / "canaries.jsonl").unlink(), (f / "canaries.jsonl").mkdir()),
        "no regular file",
    ),
    "name": (lambda f: (f / "a\nb\x1b[2J").write_text(""), r"a b\\u001b\[2J has a name"),
    "many files": (
        lambda f: [(f / f"n{number}").touch() for number in range(1_001)],
        "more than 1,000 files",
    ),
    "nested manifest": (lambda f: (f / "student.json").write_text(NESTED), "nested too deep"),
    "nested adapter": (lambda f: (f / "adapter_config.json").write_text(NESTED), "too deep"),
    "manifest twice": (
        lambda f: (f / "student.json").write_text('{"format": 1, "format": 1}'),
        "'format' stands twice",
    ),
    "configuration twice": (
        lambda f: (f / "adapter_config.json").write_text('{"r": 1, "r": 2}'),
        "'r' stands twice",
    ),
    "NaN": (lambda f: (f / "student.json").write_text('{"format": NaN}'), "NaN is no number"),
    "infinite": (
        lambda f: (f / "adapter_config.json").write_text('{"lora_alpha": 1e999}'),
        "not supported|LoRA configuration",
    ),
    "huge number": (
        lambda f: (f / "student.json").write_text('{"format": ' + "9" * 5_000 + "}"),
        "not JSON",
    ),
    "escape": (
        lambda f: edit_json(f / "student.json", **{"\x1b]0;x\x07": 1}),
        r"\\u001b\]0;x\\u0007: Extra",
    ),
    "many keys": (
        lambda f: edit_json(f / "student.json", **{f"k{n}" * 500: 1 for n in range(999)}),
        "and 989 more",
    ),
    "pickle": (lambda f: (f / ADAPTER).write_bytes(b"\x80\x04\x95" * 99), "its table has"),
    "long header": (lambda f: header(f, b"{}", 10**15), "its table has"),
    "overlapping tensors": (overlapping, "cannot be read"),
    "integers": (as_integers, "of type I32"),
    "lookahead": (
        lambda f: edit_json(f / "adapter_config.json", target_modules="(?!a).*query"),
        "RE2",
    ),
    "exploding targets": (
        lambda f: edit_json(f / "adapter_config.json", target_modules="(.*)*(.*)*(.*)*x"),
        "target_modules names no layer",
    ),
    "huge targets": (
        lambda f: edit_json(f / "adapter_config.json", target_modules="((a{999}){999}){999}"),
        "RE2",
    ),
    "high id": (lambda f: edit_tokenizer(f, lambda t: last_id(t, 10**9)), "1,000,000,000"),
    "one id too high": (lambda f: edit_tokenizer(f, lambda t: last_id(t, 600)), "up to 600"),
    "wrapped": (lambda f: edit_tokenizer(f, lambda t: wrap(t, 64)), "nothing of a text"),
    "panic": (
        lambda f: edit_tokenizer(f, explode("(a+)+b")),
        "not a usable tokenizer: PanicException",
    ),
    "swelling": (
        lambda f: edit_tokenizer(f, swell("b" * 100)),
        "more than 20 tokens or letters of one character",
    ),
    "long curve": (
        lambda f: edit_json(
            f / "student.json",
            calibration={"agency": {"raw": list(range(10_001)), "calibrated": [0] * 10_001}},
        ),
        "at most 10000 items",
    ),
    "far curve": (
        lambda f: edit_json(
            f / "student.json", calibration={"agency": {"raw": [0, 1], "calibrated": [0, 1e300]}}
        ),
        "less than or equal to 1000",
    ),
    "long window": (lambda f: edit_json(f / "student.json", max_tokens=10**9), "max_tokens"),
    "many canaries": (
        lambda f: (f / "canaries.jsonl").write_text("{}\n" * 1_001),
        "more than 1,000 canaries",
    ),
    "long canary": (
        lambda f: (f / "canaries.jsonl").write_text(
            json.dumps({"id": "a", "text": "a" * 100_001, "scores": {}})
        ),
        "at most 100000 characters",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_hostile_folder_is_one_clear_sentence(
    folder: Path, uplifting: Filter, damage: str
) -> None:
    """No traceback, no hanging, no gigabytes, no control characters."""
    change, complaint = DAMAGES[damage]
    change(folder)

    with pytest.raises(StudentInvalid, match=complaint) as raised:
        load_student(uplifting, folder, dtype="fp32")

    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 5_000


def test_the_hash_and_the_manifest_read_nothing_unchecked(folder: Path) -> None:
    """The drift monitor takes a student's hash and baseline without loading it."""
    base = read_manifest(folder).base
    before = student_hash(folder, base)
    (folder / "sub").mkdir()
    (folder / ".hidden").write_text("x")
    (folder / "linked").symlink_to(folder / "student.json")
    assert student_hash(folder, base) != before  # the link is one more file
    (folder / "linked").unlink()
    assert student_hash(folder, base) == before

    fifo(folder / "pipe")
    with pytest.raises(StudentInvalid, match="no regular file"):
        student_hash(folder, base)
    with pytest.raises(StudentInvalid, match="no regular file"):
        read_manifest(folder)


def swell(content: str) -> Callable[[dict[str, Any]], object]:
    return lambda facts: facts.update(
        normalizer={"type": "Replace", "pattern": {"String": "a"}, "content": content}
    )


@pytest.mark.parametrize("seed", range(24))
def test_a_changed_file_loads_or_is_refused(folder: Path, uplifting: Filter, seed: int) -> None:
    """Bytes flipped, files cut off, values of JSON replaced: never another error."""
    mutate(folder, seed)

    try:
        load_student(uplifting, folder, dtype="fp32")
    except NewsieveError as error:
        assert isinstance(error, StudentInvalid)
        assert str(error).isprintable()
