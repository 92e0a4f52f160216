"""What the oracle is asked: it follows from the filter, and so do its hashes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from newsieve.oracle.prompt import OracleConfig, Prompt
from tests.support.filters import BUILTIN, load

ASKED = OracleConfig("gemini", "oracle", "low", None)


@pytest.mark.parametrize("reference", BUILTIN.references)
def test_every_filters_prompt_asks_for_its_dimensions_and_for_nothing_else(reference: str) -> None:
    """The prompt as it stands in the folder, and a schema that holds the model to it, reasons
    before scores."""
    prompt = Prompt(load(reference), 1_000)
    names = list(prompt.filter.definition.dimension_names)

    fields = prompt.schema["properties"]
    scores = fields["scores"]

    assert prompt.instructions.startswith(prompt.filter.prompt.strip())
    assert all(f"**{name}**" in prompt.filter.prompt for name in names)
    assert list(scores["properties"]) == scores["required"] == names
    assert all(
        item == {"type": "integer", "minimum": 0, "maximum": 10}
        for item in scores["properties"].values()
    )
    assert list(fields) == prompt.schema["required"]
    assert list(fields) == ["content_type", "key_markers", "reasoning", "scores"]
    for field in list(fields)[:-1]:
        assert f"`{field}`" in prompt.filter.prompt


def test_a_label_under_another_prompt_has_another_key() -> None:
    """Another wording, another place where long articles are cut, another filter."""
    filter_ = load("uplifting")
    reworded = replace(filter_, prompt=filter_.prompt + "\nBe kind.")
    prompts = [
        Prompt(filter_, 1_000),
        Prompt(filter_, 2_000),
        Prompt(reworded, 1_000),
        Prompt(load("sustainability"), 1_000),
    ]

    names = {ASKED.key(prompt, "001").name for prompt in prompts}

    assert len(names) == 4
    assert ASKED.key(prompts[0], "001").name.startswith("gemini/oracle/001/")
    assert ASKED.key(prompts[0], "001") == ASKED.key(Prompt(filter_, 1_000), "001")
    assert ASKED.key(prompts[0], "002").name not in names


def test_an_article_longer_than_is_wanted_is_cut() -> None:
    """So that one article cannot cost a day's budget."""
    prompt = Prompt(load("uplifting"), 10)

    assert prompt.for_article("a", "0123456789 and more").text == "0123456789"
