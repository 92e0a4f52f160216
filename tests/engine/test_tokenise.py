"""Texts to the ids a student reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from worker.engine.tokenise import Tokeniser

CLS, SEP = 1, 2


@pytest.fixture(scope="module")
def tokeniser(tiny_student: Path) -> Tokeniser:
    return Tokeniser(tiny_student / "tokenizer.json", 64)


@pytest.fixture(scope="module")
def library(tiny_student: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_student / "tokenizer.json"))


def test_special_tokens_stand_around_the_text(tokeniser: Tokeniser) -> None:
    """As the tokenizer's own template has them, also when it is cut."""
    short, long = tokeniser.encode(["the village", "village " * 500])

    assert short.ids[0] == long.ids[0] == CLS
    assert short.ids[-1] == long.ids[-1] == SEP
    assert (len(long.ids), long.truncated, short.truncated) == (64, True, False)


@pytest.mark.parametrize(
    "text",
    [
        "the village " * 2_000,
        "x" * 5_000,
        "図書館が夜間も開館" * 500,
        "مكتبة " * 900,
        ("a" * 700 + " ") * 10,
        " " * 5_000 + "late",
        "short",
        "",
        "word\n" * 3_000,
    ],
    ids=["english", "unbroken", "cjk", "arabic", "long words", "blank", "short", "empty", "lines"],
)
def test_cutting_characters_first_changes_no_id(
    tokeniser: Tokeniser, library: Tokenizer, text: str
) -> None:
    """The ids are those of the whole text, truncated."""
    whole = library.encode(text, add_special_tokens=False).ids

    (found,) = tokeniser.encode([text])

    assert found.ids == [CLS, *whole[:62], SEP]
    assert found.truncated == (len(whole) > 62)


@given(st.lists(st.text(max_size=400), max_size=5))
def test_a_text_is_read_alike_in_any_company(tokeniser: Tokeniser, texts: list[str]) -> None:
    """Batching changes nothing."""
    assert tokeniser.encode(texts) == [tokeniser.encode([text])[0] for text in texts]


def test_text_that_names_a_special_token_is_text(tokeniser: Tokeniser) -> None:
    """An article cannot end itself with [SEP]."""
    (found,) = tokeniser.encode(["a [SEP] b [CLS] [PAD]"])

    assert found.ids[1:-1].count(SEP) == 0
    assert found.ids[1:-1].count(CLS) == 0


def test_a_decoder_gets_no_special_tokens_but_always_one_token(tiny_qwen: Path) -> None:
    """An empty text still has a last token to read."""
    tokeniser = Tokeniser(tiny_qwen / "tokenizer.json", 64)

    (empty,), (text,) = tokeniser.encode([""]), tokeniser.encode(["village"])

    assert len(empty.ids) == 1
    assert CLS not in text.ids
