"""Loading a student: strictly, and to the same scores as PEFT's own way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from newsieve.errors import CanaryMismatch, StudentInvalid
from newsieve.filters.registry import Filter
from newsieve.inference.manifest import student_hash
from newsieve.inference.student import (
    CANARY_PASS_TOKENS,
    Student,
    check_canaries,
    load_student,
    raw_scores,
)
from tests.support.forwards import ScriptedForward

TEXTS = [
    "",
    "a",
    "The village opened a library.",
    "Shares fell. " * 200,
    "図書館が夜間も開館",
    "مكتبة القرية",
    "The village opened a library.",
    "[SEP] <|endoftext|> [CLS]",
    "word " * 62,
    "word " * 63,
]


def scores(student: Student, texts: list[str], budget: int = 256) -> np.ndarray:
    return raw_scores(student, texts, budget)


# The filter's label hash in the version before, which read no markup.
EARLIER = "sha256:db347c162e47cbff74310950d30568b977d0a069e6efa7c8c3b47a848d476125"


@pytest.fixture(params=["bert", "qwen2"])
def student(request: pytest.FixtureRequest, uplifting: Filter) -> Student:
    name = {"bert": "tiny_student", "qwen2": "tiny_qwen"}[request.param]
    return load_student(uplifting, request.getfixturevalue(name), dtype="fp32")


def test_merged_scores_are_those_of_unmerged_peft(tiny_qwen: Path, uplifting: Filter) -> None:
    """A Qwen2 student's folder opens with plain PEFT as a sequence classifier."""
    student = load_student(uplifting, tiny_qwen, dtype="fp32")
    base = json.loads((tiny_qwen / "student.json").read_text())["base"]["name"]
    plain = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=8, dtype=torch.float32
    )
    peft = PeftModel.from_pretrained(plain, tiny_qwen).eval()
    tokens = student.tokeniser.encode(TEXTS)

    with torch.inference_mode():
        reference = np.stack(
            [peft(input_ids=torch.tensor([t.ids])).logits[0].numpy() for t in tokens]
        )

    assert np.abs(scores(student, TEXTS) - reference).max() < 1e-3
    assert np.ptp(reference, axis=0).min() > 0.1, "the texts must differ for this to mean anything"


def test_an_articles_scores_do_not_depend_on_its_neighbours(student: Student) -> None:
    """Alone, first, last, among others."""
    alone = np.concatenate([scores(student, [text]) for text in TEXTS])

    assert np.abs(scores(student, TEXTS, budget=64) - alone).max() < 1e-4
    assert np.abs(scores(student, TEXTS, budget=4_096) - alone).max() < 1e-4
    assert np.abs(scores(student, TEXTS[::-1])[::-1] - alone).max() < 1e-4


def test_a_student_shares_its_bases_memory_with_those_that_are_loaded(
    tiny_student: Path, uplifting: Filter
) -> None:
    """And scores as it does alone."""
    first = load_student(uplifting, tiny_student, dtype="fp32")
    second = load_student(uplifting, tiny_student, dtype="fp32", loaded=[first])

    one, two = (s.model.model.get_input_embeddings().weight for s in (first, second))
    assert one.data_ptr() == two.data_ptr()
    assert np.array_equal(scores(first, TEXTS), scores(second, TEXTS))


def test_bf16_stays_near_fp32(tiny_student: Path, uplifting: Filter) -> None:
    """Rounding, not another model."""
    full = load_student(uplifting, tiny_student, dtype="fp32")
    half = load_student(uplifting, tiny_student, dtype="bf16")

    difference = np.abs(scores(half, TEXTS) - scores(full, TEXTS))

    assert 0 < difference.mean() < 0.2


def test_the_canaries_are_reproduced(student: Student) -> None:
    """By the engine, on the machine that made them."""
    assert max(difference for _, _, difference in check_canaries(student)) < 1e-4


def test_canaries_share_forward_passes(student: Student) -> None:
    """Each pass makes threads wait for each other: on busy processors one a text took 30 s."""
    many = tuple(student.canaries) * 40
    sizes: list[int] = []

    def forward(batch: Sequence[Sequence[int]]) -> np.ndarray:
        sizes.append(len(batch) * max(map(len, batch)))
        return np.asarray(student.forward(batch))

    found = check_canaries(replace(student, canaries=many, forward=ScriptedForward(forward)))

    assert [canary for canary, _, _ in found] == list(many)
    assert len(sizes) * 5 < len(many) and max(sizes) <= CANARY_PASS_TOKENS


@pytest.fixture
def copied(tiny_student: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "student"
    shutil.copytree(tiny_student, folder)
    return folder


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    change(tensors)
    save_file(tensors, folder / "adapter_model.safetensors")


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


LORA = "base_model.model.model.encoder.layer.0.attention.self.query.lora_A.weight"


def rename(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.model.extra.lora_A.weight"] = tensors.pop(LORA)


def poison(tensors: dict[str, torch.Tensor]) -> None:
    tensors[LORA] = torch.full_like(tensors[LORA], float("nan"))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda f: (f / "adapter_model.safetensors").unlink(), "adapter_model.safetensors missing"),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"no"), "cannot be read"),
        (lambda f: edit_tensors(f, lambda t: t.pop(LORA)), "parameters"),
        (lambda f: edit_tensors(f, rename), "1 tensors missing"),
        (lambda f: edit_tensors(f, poison), "not finite"),
        (lambda f: edit_json(f / "student.json", trainable_parameters=5), "holds"),
        (lambda f: edit_json(f / "student.json", label_hash="sha256:x"), "something else"),
        (lambda f: edit_json(f / "student.json", label_hash=EARLIER), "newsieve-train repackage"),
        (lambda f: edit_json(f / "student.json", surprise=1), "surprise"),
        (lambda f: (f / "student.json").write_text("{"), "student.json"),
        (lambda f: edit_json(f / "adapter_config.json", use_dora=True), "magnitude"),
        (lambda f: edit_json(f / "adapter_config.json", use_qalora=True), "use_qalora"),
        (lambda f: edit_json(f / "adapter_config.json", r="many"), "not a LoRA configuration"),
        (lambda f: edit_json(f / "adapter_config.json", target_modules="("), "LoRA configuration"),
        (lambda f: edit_json(f / "adapter_config.json", target_modules=5), "LoRA configuration"),
        (lambda f: edit_json(f / "adapter_config.json", r=10**400), "LoRA configuration"),
        (lambda f: edit_json(f / "adapter_config.json", r=2), "lora_A has shape"),
        (lambda f: edit_json(f / "student.json", max_tokens=100_000), "reads 100,000 tokens"),
        (lambda f: (f / "tokenizer.json").write_bytes(b"{}"), "tokenizer.json"),
        (lambda f: (f / "tokenizer.json").write_bytes(b""), "tokenizer.json"),
        (lambda f: (f / "tokenizer.json").write_bytes(b"\xff\x00"), "tokenizer.json"),
        (lambda f: (f / "canaries.jsonl").write_text(""), "canaries.jsonl is empty"),
        (
            lambda f: (f / "canaries.jsonl").write_text('{"id": "a", "text": "b", "scores": {}}'),
            "other dimensions",
        ),
        (
            lambda f: (f / "canaries.jsonl").write_text('{"id": "a", "text": 5, "scores": {}}'),
            "canaries.jsonl",
        ),
        (
            lambda f: edit_json(
                f / "student.json", base={"name": "package:nope_x", "revision": "1"}
            ),
            "trusted_packages",
        ),
        (
            lambda f: edit_json(
                f / "student.json", base={"name": "package:nope_x.y", "revision": "1"}
            ),
            "top-level",
        ),
        (
            lambda f: edit_json(
                f / "student.json", base={"name": "no/such/folder", "revision": "1"}
            ),
            "STUDENT__BASE",
        ),
    ],
)
def test_a_damaged_folder_is_refused_with_what_is_wrong(
    copied: Path, uplifting: Filter, damage: Callable[[Path], object], complaint: str
) -> None:
    """Nothing is loaded half, nothing guessed."""
    damage(copied)

    with pytest.raises(StudentInvalid, match=complaint):
        load_student(uplifting, copied)


@pytest.mark.parametrize("scores", [[], {"agency": "5"}, {"agency": float("nan")}])
def test_canaries_without_true_scores_are_refused(
    copied: Path, uplifting: Filter, scores: object
) -> None:
    """A list, texts, what is no number."""
    names = uplifting.definition.dimension_names
    scores = dict.fromkeys(names, scores["agency"]) if isinstance(scores, dict) else scores
    line = json.dumps({"id": "a", "text": "b", "scores": scores})
    (copied / "canaries.jsonl").write_text(line)

    with pytest.raises(StudentInvalid, match=r"canaries\.jsonl: scores"):
        load_student(uplifting, copied)


def test_canaries_are_split_at_line_feeds_only(copied: Path, uplifting: Filter) -> None:
    """A Unicode line separator is part of an id."""
    path = copied / "canaries.jsonl"
    path.write_text(path.read_text().replace("canary-0", "canary\u2028zero"))

    assert load_student(uplifting, copied).canaries[0].id == "canary\u2028zero"


def test_another_filters_student_is_refused(tiny_student: Path, sustainability: Filter) -> None:
    """Bound by what its labels mean."""
    with pytest.raises(StudentInvalid, match="label"):
        load_student(sustainability, tiny_student)


def test_a_student_that_does_not_reproduce_its_canaries_does_not_run(
    copied: Path, uplifting: Filter
) -> None:
    """A wrong base model loads without complaint; only its scores betray it."""
    path = copied / "canaries.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["scores"]["agency"] += 0.05
    path.write_text("\n".join(map(json.dumps, lines)))

    with pytest.raises(CanaryMismatch, match="canary-0"):
        check_canaries(load_student(uplifting, copied, dtype="fp32"))


def test_the_students_hash_covers_every_file_and_the_base(copied: Path, uplifting: Filter) -> None:
    """Any change is another student; loading twice is not."""
    base = load_student(uplifting, copied).manifest.base
    before = student_hash(copied, base)
    assert student_hash(copied, base) == before
    (copied / "README.md").write_text("card")
    assert student_hash(copied, base) != before
    assert student_hash(copied, base.model_copy(update={"revision": "2"})) != before


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"calibration": {"agency": {"raw": [1, 1], "calibrated": [1, 2]}}}, "raw does not rise"),
        ({"calibration": {"agency": {"raw": [1, 2], "calibrated": [2, 1]}}}, "calibrated falls"),
        ({"calibration": {"agency": {"raw": [1], "calibrated": []}}}, "different lengths"),
        ({"calibration": {"charm": {"raw": [1], "calibrated": [1]}}}, "no dimension charm"),
        ({"residuals": {"neighbours": 2, "averages": [1], "errors": [[0] * 8]}}, "fewer than"),
        ({"residuals": {"neighbours": 1, "averages": [1], "errors": [[0] * 7]}}, "one error for"),
        (
            {"residuals": {"neighbours": 1, "averages": [2, 1], "errors": [[0] * 8] * 2}},
            "averages do not rise",
        ),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(
    facts: dict[str, Any], complaint: str, copied: Path, uplifting: Filter
) -> None:
    """A curve that falls would turn the scale around."""
    manifest = json.loads((copied / "student.json").read_text())
    (copied / "student.json").write_text(json.dumps(manifest | facts))

    with pytest.raises(StudentInvalid, match=complaint):
        load_student(uplifting, copied)
