"""What the sections of the settings are made of: their base, and types that several share."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST: Final = 1_000_000_000  # of anything counted: more is a slip, and fits no C integer


class Section(BaseModel):
    """A closed part of the tree."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _from_json(value: Any) -> Any:
    """A mapping comes as a JSON object from the environment."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON object: {error}") from None


FromJson = BeforeValidator(_from_json)
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
