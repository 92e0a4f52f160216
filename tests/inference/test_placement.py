"""Students over one base hold in memory once what their adapters left alone."""

from __future__ import annotations

import numpy as np
import torch

from newsieve.inference.forward_choice import choose_forward
from newsieve.inference.packed_forward import PackedForward
from newsieve.inference.placement import share_parameters
from tests.support.tiny_models import LONGEST, tiny_model

CPU = torch.device("cpu")


def test_students_over_one_base_share_what_their_adapters_left_alone() -> None:
    """The embeddings are held once; scores stay as they are."""
    one, two = tiny_model("qwen2").merged, tiny_model("qwen2").merged
    with torch.no_grad():  # another adapter
        two.model.layers[0].mlp.up_proj.weight += 0.1
        two.score.weight += 0.1
    batch = [[5, 6, 7], [8] * 30]
    expected = PackedForward(two, CPU, torch.float32, LONGEST, 1_056)(batch)

    share_parameters(two, [one])

    theirs = {name: parameter.data_ptr() for name, parameter in one.named_parameters()}
    own = {
        name for name, parameter in two.named_parameters() if parameter.data_ptr() != theirs[name]
    }
    assert own == {"model.layers.0.mlp.up_proj.weight", "score.weight"}
    assert np.array_equal(PackedForward(two, CPU, torch.float32, LONGEST, 1_056)(batch), expected)


def test_students_over_different_bases_share_nothing() -> None:
    """Not by name, nor by shape alone."""
    one, two = tiny_model("qwen2").merged, tiny_model("bert").merged

    share_parameters(two, [one])

    theirs = {parameter.data_ptr() for parameter in one.parameters()}
    assert theirs.isdisjoint(parameter.data_ptr() for parameter in two.parameters())


def test_a_student_shares_memory_with_those_before_it() -> None:
    """On a CPU."""
    one, two = tiny_model("llama").merged, tiny_model("llama").merged
    choose_forward(one, CPU, torch.bfloat16, LONGEST)

    choose_forward(two, CPU, torch.bfloat16, LONGEST, others=[one])

    first, second = (m.model.get_input_embeddings().weight for m in (one, two))
    assert first.data_ptr() == second.data_ptr() and first.dtype == torch.bfloat16
