"""What a stage found, as a typed model that one JSON file of the run holds.

Writers are closed: a model with a key that it does not declare is refused. Readers are open: keys
that a later version wrote are passed over. Knows neither the stages nor what the figures mean.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from newsieve.validation_text import validation_message
from newsieve_training.errors import RunInvalid
from newsieve_training.pipeline.files import write_json

Interval = tuple[float, float]
Model = TypeVar("Model", bound=BaseModel)


class ResultFile(BaseModel):
    """The content of a whole file, whose name in the run folder is `FILE`."""

    model_config = ConfigDict(frozen=True)
    FILE: ClassVar[str]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the file of this run folder. Raises RunInvalid, naming the file and the key."""
        return read_result(cls, folder / cls.FILE)

    def write(self, folder: Path) -> None:
        """Write the file below this folder, whole or not at all."""
        write_json(folder / self.FILE, as_json(self))


class Part(BaseModel):
    """A frozen object of a result file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def as_json(result: BaseModel) -> Any:
    """Return the JSON values of a result. A field that was not set is not among them."""
    return result.model_dump(mode="json", by_alias=True, exclude_unset=True)


def read_result(kind: type[Model], path: Path) -> Model:
    """Read a file that holds one result. Raises RunInvalid, naming the file and the key."""
    try:
        return kind.model_validate_json(path.read_bytes(), extra="ignore")
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None
    except ValidationError as error:
        raise _unreadable(path, validation_message(error)) from None


def _unreadable(path: Path, reason: str) -> RunInvalid:
    return RunInvalid(
        f"{path} cannot be read ({reason}): delete it, and run again the stage of newsieve-train "
        "that makes it"
    )
