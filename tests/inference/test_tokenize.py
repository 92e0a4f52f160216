"""Texts to the ids a student reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from newsieve.filters.registry import BUILTIN_FOLDER
from newsieve.inference import tokenize
from newsieve.inference.tokenize import (
    MOST_CHARACTERS_PER_TOKEN,
    SLICE_CHARACTERS,
    UNSETTLED_TOKENS,
    Tokeniser,
    TokeniserFailed,
)

CLS, SEP = 1, 2
WORD_PIECES = BUILTIN_FOLDER / "uplifting" / "v4" / "student" / "tokenizer.json"


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


WORDS = st.sampled_from(
    [
        "the",
        "village",
        "Müller",
        "résumé",
        "don't",
        "12,450.75",
        "図書館",
        "القرية",
        "กรุงเทพ",
        "नगर",
        "🏡",
        "[UNK]",
    ]
)
BETWEEN = st.sampled_from([" ", "  ", "\n\n", "\t", "\u3000", ". ", ", ", "-", "/", "", " " * 80])
PIECES = st.lists(
    st.one_of(
        st.tuples(WORDS, BETWEEN, st.integers(1, 60)),
        st.tuples(st.text(min_size=1, max_size=3), BETWEEN, st.integers(1, 60)),
        st.tuples(
            st.sampled_from(["x" * 79, "x" * 99, "ab" * 300, "0f" * 40]), BETWEEN, st.just(3)
        ),
    ),
    min_size=1,
    max_size=60,
)


@pytest.fixture(scope="module")
def word_pieces() -> Tokeniser:
    """A shipped student's, for which white space makes no tokens."""
    return Tokeniser(WORD_PIECES, 64)


@pytest.fixture(scope="module", params=["word pieces", "byte pairs"])
def reader(request: pytest.FixtureRequest, tiny_qwen: Path) -> tuple[Tokeniser, Tokenizer]:
    """A shipped student's tokeniser and a decoder's, each beside the library's own."""
    file = WORD_PIECES
    if request.param == "byte pairs":
        file = tiny_qwen / "tokenizer.json"
    library = Tokenizer.from_file(str(file))
    library.no_truncation()
    library.no_padding()
    library.encode_special_tokens = True
    return Tokeniser(file, 64), library


@settings(max_examples=40, deadline=None)
@given(PIECES)
def test_a_text_is_read_as_if_all_of_it_had_been_encoded(
    reader: tuple[Tokeniser, Tokenizer], pieces: list[tuple[str, str, int]]
) -> None:
    """Natural or unbroken, whatever its scripts, wherever the cut falls."""
    ours, library = reader
    text = "".join((word + between) * times for word, between, times in pieces)
    whole = library.encode(text, add_special_tokens=False).ids
    around = len(ours.encode([""])[0].ids) if library.post_processor else 0

    (found,) = ours.encode([text])

    room = 64 - around
    inner = found.ids[1:-1] if around else found.ids
    assert inner == (whole[:room] or inner)
    assert found.truncated == (len(whole) > room)


def test_what_lies_beyond_the_bound_is_not_read(word_pieces: Tokeniser) -> None:
    """A text that hides what it says behind a desert counts as truncated."""
    bound = 62 * MOST_CHARACTERS_PER_TOKEN
    (before,), (beyond,) = (
        word_pieces.encode([" " * (bound + shift) + "village" + " " * 3_000])
        for shift in (-1_000, 1_000)
    )

    assert (len(before.ids), len(beyond.ids)) == (3, 2)
    assert beyond.truncated


def test_texts_are_encoded_in_slices_of_bounded_size(
    word_pieces: Tokeniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of long ones never lies in memory as a whole, nor do all of their ids."""
    slices: list[int] = []

    class Counted:
        def encode_batch_fast(self, texts: list[str], *, add_special_tokens: bool) -> object:
            slices.append(sum(map(len, texts)))
            return library.encode_batch_fast(texts, add_special_tokens=add_special_tokens)

    library = word_pieces._tokenizer
    monkeypatch.setattr(word_pieces, "_tokenizer", Counted())
    desert = "a" + " " * 10_000 + "b" + ".," * 50_000

    found = word_pieces.encode([desert] * 20)

    assert max(slices) <= SLICE_CHARACTERS
    assert sum(slices) < 20 * 62 * MOST_CHARACTERS_PER_TOKEN * 1.5
    assert len({tuple(item.ids) for item in found}) == 1
    assert len(word_pieces._encode(["a " * 5_000])[0]) == 62 + UNSETTLED_TOKENS
    assert list(tokenize._slices(["a" * 600_000, "b", "c" * 600_000])) == [
        ["a" * 600_000],
        ["b"],
        ["c" * 600_000],
    ]


def explosive(folder: Path) -> Path:
    """A tokenizer whose pattern goes back for ever on a run of a's, until the library panics."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+b"), "isolated")
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def test_a_panic_of_the_library_is_an_error_like_others(tmp_path: Path) -> None:
    """And no end of the process, which the library's own class, no Exception, would be."""
    tokeniser = Tokeniser(explosive(tmp_path), 64)

    assert tokeniser.encode(["harmless"])[0].ids == [0]
    with pytest.raises(TokeniserFailed, match="PanicException"):
        tokeniser.encode(["harmless", "a" * 60])


def test_an_interruption_is_no_error_of_the_tokeniser(
    tokeniser: Tokeniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C goes through."""

    class Interrupted:
        def encode_batch_fast(self, *_: object, **__: object) -> object:
            raise KeyboardInterrupt

    monkeypatch.setattr(tokeniser, "_tokenizer", Interrupted())

    with pytest.raises(KeyboardInterrupt):
        tokeniser.encode(["a"])


@settings(deadline=None)  # two cores are shared with a broker
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
