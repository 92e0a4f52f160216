"""The forward pass for GPUs: the articles of a batch stand in one row, and nothing is padded.

The model is transformers' own; only its attention is exchanged. `submit` lays the row out, copies
it to the device, runs the model on it and asks for the scores, and waits for none of that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from newsieve.inference.forward import Batch, Forward, PendingScores, ReadyScores, Scores
from newsieve.inference.model import StudentModel, counted_from
from newsieve.inference.out_of_memory import raising_out_of_memory
from newsieve.inference.packed_attention import NAME, NotPackable, register
from newsieve.inference.packed_layout import RowArrays, RowShape, fixed_shapes, lay_out
from newsieve.inference.placement import place


class Row(NamedTuple):
    """A row on the device, as `RowArrays` describes it."""

    ids: Tensor
    positions: Tensor
    offsets: Tensor


RowRunner = Callable[[Row], Tensor]  # the (articles, D) scores of a row, on the device, in fp32


@dataclass(frozen=True, slots=True)
class CopiedScores:
    """Scores on their way from a GPU into page-locked memory."""

    scores: Tensor
    arrived: Any  # a torch.cuda.Event

    def result(self) -> Scores:
        """Wait for the (N, D) scores. Raises what the device raises."""
        self.arrived.synchronize()
        scores: Scores = self.scores.double().numpy()
        return scores


class PackedForward(Forward):
    """Scores batches of token ids that stand in one row."""

    is_padded = False

    def __init__(
        self,
        model: StudentModel,
        device: torch.device,
        dtype: torch.dtype,
        longest: int,
        budget_tokens: int,
    ) -> None:
        """Take the merged model over: the backbone goes to `dtype`, the head stays fp32.

        `longest` is the most tokens that an article has. Raises NotPackable.
        """
        place(model, device, dtype)
        self.model = model
        self._own_attention = attention_of(model)
        set_attention(model, NAME)
        model.config.use_cache = False  # a decoder would keep all keys and values for a next token
        self.longest = longest
        self.runners: dict[RowShape, RowRunner] = {}  # what runs rows of a shape faster
        self.set_budget(budget_tokens)
        self._device = device
        self._padding_id = counted_from(model)

    def set_budget(self, budget_tokens: int) -> None:
        """Set how many tokens a row has at most, at any time, also while a row is submitted.

        Rows are filled up to parts of this budget from then on. Runners of other shapes are
        dropped, and the memory of their CUDA graphs with them.
        """
        self.budget_tokens = budget_tokens
        self.shapes = fixed_shapes(budget_tokens)
        self.runners = {
            shape: runner for shape, runner in self.runners.items() if shape in self.shapes
        }

    def use_own_attention(self) -> None:
        """Give the model back the attention that it came with, for another forward pass."""
        set_attention(self.model, self._own_attention)

    def use_packed_attention(self) -> None:
        """Let the model's layers read rows of articles again."""
        set_attention(self.model, NAME)

    def submit(self, batch: Batch) -> PendingScores:
        """Begin the forward pass. On a CPU it has ended when this returns."""
        with raising_out_of_memory(), torch.no_grad():
            row, shape = self.stage(batch)
            scores = self.runners.get(shape, self.run_eagerly)(row)[: len(batch)]
            return self._fetch(scores)

    def run_eagerly(self, row: Row) -> Tensor:
        """Score a row of any shape, one kernel after the other."""
        return score_row(self.model, row, self.longest)

    def stage(self, batch: Batch) -> tuple[Row, RowShape]:
        """Lay a batch out in a row, and copy it to the device.

        Page-locked memory comes from torch's cache of it, which gives a piece out again only when
        the device has read it.
        """
        arrays = lay_out(batch, self.shapes, self.longest, self._padding_id)
        return self._copied(arrays), arrays.shape

    def _copied(self, arrays: RowArrays) -> Row:
        parts = [torch.from_numpy(a) for a in (arrays.ids, arrays.positions, arrays.offsets)]
        if self._device.type == "cuda":
            parts = [_page_locked(part).copy_(part) for part in parts]
            parts = [part.to(self._device, non_blocking=True) for part in parts]
        return Row(*parts)

    def _fetch(self, scores: Tensor) -> PendingScores:
        if self._device.type != "cuda":
            return ReadyScores(scores.double().numpy())
        fetched = _page_locked(scores).copy_(scores, non_blocking=True)
        return CopiedScores(fetched, torch.cuda.current_stream(self._device).record_event())


def _page_locked(like: Tensor) -> Tensor:
    """Memory of the host for as much as this tensor holds, which a GPU reads and writes by
    itself."""
    return torch.empty(like.shape, dtype=like.dtype, pin_memory=True)


def score_row(model: StudentModel, row: Row, longest: int) -> Tensor:
    """Map a row to its articles' (articles, D) scores, in fp32; those of empty ones mean nothing.

    Articles longer than `longest` are not scored right.
    """
    hidden = model.model(
        input_ids=row.ids,
        position_ids=row.positions,
        return_dict=True,
        packed_offsets=row.offsets,
        packed_longest=longest,
    ).last_hidden_state[0]
    precision = model.score.weight.dtype
    if model.pooling == "last":
        pooled = hidden[row.offsets[1:].long() - 1].to(precision)
    else:
        pooled = _means(hidden.to(precision), row.offsets.long())
    scores: Tensor = model.score(pooled)
    return scores


def _means(hidden: Tensor, offsets: Tensor) -> Tensor:
    """The mean over each article's tokens. One that is not finite spoils no other."""
    return torch.segment_reduce(hidden, "mean", offsets=offsets, axis=0, unsafe=True)


def set_attention(model: StudentModel, name: str) -> None:
    """Exchange the attention of the model's layers. Raises NotPackable."""
    register()
    backbone: Any = model.model
    try:
        backbone.set_attn_implementation(name)
    except Exception as error:
        raise NotPackable(str(error)) from error
    if attention_of(model) != name:
        raise NotPackable("its attention cannot be exchanged")


def attention_of(model: StudentModel) -> str:
    """The name of the attention that the model's layers use."""
    backbone: Any = model.model
    return str(backbone.config._attn_implementation)  # noqa: SLF001 - where models look it up
