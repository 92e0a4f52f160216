"""What the oracle is asked: instructions, the article's text, the shape of the answer.

All of it follows from a filter's folder and the one rendering of articles; its hashes are part of
every oracle key. Knows no provider.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from newsieve.filters.definition import SCORE_MAX, SCORE_MIN
from newsieve.filters.registry import Filter
from newsieve.filters.rendering import LAYOUT
from newsieve.filters.suspect import Detector
from newsieve.oracle.prompt_frame import (
    FRAME_BYTES,
    TEMPLATE,
    Draw,
    Framed,
    framed,
    without_role_markers,
)
from newsieve_schemas.oracle import OracleKey

REASONING: Final = "reasoning"
KEY_MARKERS: Final = "key_markers"
CONTENT_TYPE: Final = "content_type"
SCORES: Final = "scores"
# Providers hold their models to the schema; others, and models without it, read this.
_FORMAT: Final = (
    "\n\n## Form of the answer\n\n"
    "One JSON object and nothing else, with these four keys: `content_type` (a string), "
    "`key_markers` (an array of strings), `reasoning` (a string), `scores` (an object with exactly "
    "these keys, each a whole number from 0 to 10: {dimensions}).\n"
)


@dataclass(frozen=True, slots=True)
class LabelPrompt:
    """One article to be labelled by one filter's prompt."""

    article_id: str
    text: str
    prompt: Prompt

    def framed(self, draw: Draw) -> Framed:
        """Return what a provider is sent in one call: `draw` gives the word of its boundary."""
        return framed(self.prompt.instructions, self.text, draw)


@dataclass(frozen=True)
class Prompt:
    """A filter's instructions and the schema of its answers, the same for every article. Texts that
    are longer than `max_characters` are cut."""

    filter: Filter
    max_characters: int

    @cached_property
    def instructions(self) -> str:
        """The filter's prompt, and the form of the answer."""
        names = ", ".join(f"`{name}`" for name in self.filter.definition.dimension_names)
        prompt = self.filter.prompt.strip().replace("\r\n", "\n")
        return prompt + _FORMAT.format(dimensions=names)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the answer. Its reasons come first, so that scores follow from
        them."""
        score = {"type": "integer", "minimum": int(SCORE_MIN), "maximum": int(SCORE_MAX)}
        return _object(
            {
                CONTENT_TYPE: {"type": "string"},
                KEY_MARKERS: {"type": "array", "items": {"type": "string"}},
                REASONING: {"type": "string"},
                SCORES: _object(dict.fromkeys(self.filter.definition.dimension_names, score)),
            }
        )

    @cached_property
    def detector(self) -> Detector:
        """What finds texts that speak to a model which has this prompt."""
        return Detector(self.filter.definition.dimension_names)

    @cached_property
    def prompt_hash(self) -> str:
        """The hash of the instructions and of how a text is laid out, framed and cut; not of
        the boundary's word, which is another in each call."""
        return _hash([self.instructions, LAYOUT, TEMPLATE, self.max_characters])

    @cached_property
    def schema_hash(self) -> str:
        """The hash of the answer's schema."""
        return _hash(self.schema)

    @cached_property
    def overhead_bytes(self) -> int:
        """The bytes that are sent beside the text; no tokeniser makes more tokens than bytes."""
        return len(self.instructions.encode()) + FRAME_BYTES + len(json.dumps(self.schema))

    def for_article(self, article_id: str, text: str) -> LabelPrompt:
        """Return the prompt for one article, whose rendered text is `text`."""
        return LabelPrompt(article_id, without_role_markers(text[: self.max_characters]), self)


@dataclass(frozen=True, slots=True)
class OracleConfig:
    """The model that is asked, and how: the part of an oracle key that is known before an
    answer."""

    provider: str
    model: str
    thinking: str | None
    temperature: float | None

    def key(self, prompt: Prompt, model_version: str) -> OracleKey:
        """Return the key of labels by this version of the model."""
        return OracleKey(
            provider=self.provider,
            model=self.model,
            model_version=model_version,
            prompt_hash=prompt.prompt_hash,
            schema_hash=prompt.schema_hash,
            thinking=self.thinking,
            temperature=self.temperature,
        )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _hash(value: Any) -> str:
    canonical = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()
