"""The base class of all sections of the settings, and the types that several of them share."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST: Final = 1_000_000_000  # of anything counted: more is a slip, and fits no C integer


class Section(BaseModel):
    """A section of the settings: an unknown name in it is an error."""

    # A value may be a secret in the wrong place: no error quotes one.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _from_json(value: Any) -> Any:
    """Read a mapping from the environment, where it is a JSON object.

    Control characters in strings are let through: a secret that an orchestrator puts into the text
    may bring its line end along.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, strict=False)
    except json.JSONDecodeError as error:
        what = error.msg.partition(":")[0].removesuffix(" at")  # behind the colon it may quote
        raise ValueError(f"not a JSON object: {what} at character {error.pos + 1}") from None
    except (ValueError, RecursionError):
        raise ValueError("not a JSON object: a number too long, or nested too deep") from None


def _from_commas(value: Any) -> Any:
    """Read a list from the environment, where its items are separated by commas."""
    if not isinstance(value, str):
        return value
    return [name.strip() for name in value.split(",") if name.strip()]


FromJson = BeforeValidator(_from_json)
FromCommas = BeforeValidator(_from_commas)
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
