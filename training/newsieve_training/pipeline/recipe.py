"""The recipe of a student: a TOML file that is checked, and saved whole in the run that it made."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from newsieve.inference.forward import Pooling
from newsieve.inference.manifest import BaseName, compile_targets
from newsieve.validation_text import validation_message
from newsieve_training.errors import RecipeInvalid

CROSS_VALIDATION: Final = "cross_validation"
HOLDOUT: Final = "holdout"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=1)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Agreement = Annotated[float, Field(ge=0, le=1)]
Correlation = Annotated[float, Field(ge=-1, le=1)]


class Part(BaseModel):
    """A section of the recipe; keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Base(BaseName):
    """The base model and how its hidden states become one vector."""

    pooling: Pooling
    head_bias: bool
    max_tokens: int = Field(gt=0)
    license: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="License of the base, as hubs name it; the model card gives it to the adapter.",
    )


class Labels(Part):
    """Which labels and articles a student is made of."""

    oracles: list[str] = Field(
        default=[], description="Oracles to mix. Empty: there must be only one."
    )
    near_duplicate_similarity: float = Field(
        default=0.8,
        gt=0,
        le=0.98,  # above it 128 permutations are too few for two bands
        description="Jaccard similarity of 5-word shingles, from which two texts are one article.",
    )
    bad_rows_allowed: Fraction = 0.01
    include_suspect: bool = Field(
        default=False,
        description="Include articles that speak to a model, whose labels their writers may have "
        "moved. The drift baseline never includes them.",
    )


class Split(Part):
    """How quality is measured: on held-out rows, or on each row by a student that never saw it."""

    kind: Literal["holdout", "cross_validation"]
    validation: Fraction = 0.1
    test: Fraction = 0.1
    folds: int = Field(default=5, ge=2)
    seed: Seed = 42

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> Self:
        if self.kind == HOLDOUT and not (self.validation and self.test):
            raise ValueError("validation chooses and test judges: neither may be 0")
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        return self


class Lora(Part):
    """The adapter. `targets` is a regular expression for whole names of layers, or a list of their
    last names."""

    rank: int = Field(gt=0)
    alpha: Positive
    dropout: Fraction
    targets: str | list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _targets_can_be_read(self) -> Self:
        if isinstance(self.targets, str):
            compile_targets(self.targets)
        return self


class Fit(Part):
    """How the adapter and the head are optimised."""

    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0, description="Articles a step, over all processes.")
    micro_batch: int | None = Field(
        default=None,
        gt=0,
        description="Articles on a device at once; default: the whole batch. Halved by itself "
        "when memory runs out.",
    )
    learning_rate: Rate
    head_learning_rate: Rate
    warmup: NotNegative = Field(description="Below 1 a fraction of all steps, else steps.")
    clip: Positive = Field(description="Largest gradient norm.")
    weight_decay: NotNegative = 0.0
    loss: Literal["mse", "huber"] = "mse"
    seed: Seed = 42
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32",
        description="Precision of both passes; weights stay in fp32.",
    )
    gradient_checkpointing: bool = Field(
        default=False, description="Less memory, a third more work."
    )
    early_stopping_epochs: int | None = Field(
        default=None, gt=0, description="Stop after so many epochs without a better validation."
    )
    checkpoint_steps: int = Field(
        default=200,
        ge=0,
        description="Steps between checkpoints, from which a killed fit goes on; 0: one an epoch.",
    )


class Gate(Part):
    """What a student must reach on the judging articles to be packaged; unset is not asked."""

    mae: Positive
    dimension_mae: Positive | None = Field(
        default=None, description="Largest MAE of any dimension."
    )
    spearman: Correlation | None = None
    tier_agreement: Agreement | None = Field(default=None, description="Share of equal tiers.")
    tier_kappa: Correlation | None = None
    surfaced_agreement: Agreement | None = Field(
        default=None, description="Share of equal answers whether a tier is published."
    )
    surfaced_kappa: Correlation | None = None


class Recipe(Part):
    """All sections of a recipe, and what they say together."""

    filter: str
    purpose: str = Field(description="One sentence for the model card: what the student is for.")
    base: Base
    labels: Labels = Labels()
    split: Split
    lora: Lora
    fit: Fit
    gate: Gate

    @model_validator(mode="after")
    def _stops_early_on_something(self) -> Self:
        if self.fit.early_stopping_epochs and self.split.kind == CROSS_VALIDATION:
            raise ValueError(
                "fit.early_stopping_epochs needs a validation split: with cross-validation the "
                "articles that would choose the epoch are those that judge"
            )
        return self

    def settings(self, *sections: str) -> dict[str, Any]:
        """Return these sections as JSON values, from which inputs of stages are hashed."""
        values = self.model_dump(mode="json")
        if not self.labels.include_suspect:  # runs of versions that had no such setting stay good
            del values["labels"]["include_suspect"]
        return {name: values[name] for name in sections}


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe file. Raises RecipeInvalid."""
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise RecipeInvalid(f"{path}: {validation_message(error)}") from None
    except (OSError, RecursionError, ValueError) as error:
        raise RecipeInvalid(f"{path}: {error}") from None


def recipe_from(saved: dict[str, Any]) -> Recipe:
    """Return the recipe that a run saved. Raises pydantic's ValidationError."""
    return Recipe.model_validate(saved)
