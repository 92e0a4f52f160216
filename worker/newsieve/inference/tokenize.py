"""Turns texts into token ids, as the student was trained to read them.

It cuts characters before tokenizing: the library truncates only after encoding everything, and a
long article would cost twelve times more for the same ids. What a text can cost is bounded,
whatever stands in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from newsieve.errors import StudentInvalid
from newsieve.inference.scorer import Tokens
from newsieve.inference.student_files import TOKENIZER_BYTES, read_bytes
from newsieve.printable import one_line

CHARACTERS_PER_TOKEN: Final = 10  # more than natural text needs; a shorter cut is tried again
GROWTH: Final = 4  # of a cut that gave too few tokens: it costs a third more than going far at once
# Nothing is read behind this many characters for each token of the window. Natural text fills it
# with 3 to 7, long stretches of white space or of ideograms unknown to the vocabulary with some 50;
# 640 characters for one token are no text, and would let a record cost as much as it likes.
MOST_CHARACTERS_PER_TOKEN: Final = CHARACTERS_PER_TOKEN * GROWTH**3
# A cut may change the tokens of the word that it falls into. WordPiece splits words of at most 100
# characters; with byte pairs only the last few change. So many behind the window make it certain.
UNSETTLED_TOKENS: Final = 128
# Of texts encoded at once: the library holds some 500 bytes for each character of the worst text.
SLICE_CHARACTERS: Final = 500_000
PANIC: Final = "pyo3_runtime"  # the module of PanicException, which cannot be imported


class TokeniserFailed(Exception):
    """The library failed on these texts, or on one of them."""


class Tokeniser:
    """A fast tokenizer with its limit. Thread-safe; `encode` releases the GIL."""

    def __init__(self, tokenizer_file: Path, max_tokens: int) -> None:
        """Read a `tokenizer.json`. `max_tokens` counts special tokens too.

        Raises StudentInvalid.
        """
        facts = read_bytes(tokenizer_file, TOKENIZER_BYTES)
        try:
            self._tokenizer = Tokenizer.from_str(facts.decode())
        except Exception as error:  # the library has no class of its own
            raise StudentInvalid(
                f"{tokenizer_file} is not a tokenizer: {one_line(str(error))}"
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in an article is text
        self._before, self._after = self._special_ids()
        self.max_tokens = max_tokens
        self.identity = f"{hashlib.sha256(facts).hexdigest()}/{max_tokens}"
        self._room = max_tokens - len(self._before) - len(self._after)
        if self._room < 1:
            raise StudentInvalid(
                f"{tokenizer_file} puts {max_tokens - self._room:,} tokens around every text, and "
                f"max_tokens is {max_tokens:,}: nothing of a text would be read"
            )
        self._last = self._room * MOST_CHARACTERS_PER_TOKEN  # characters read

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """One Tokens per text, each with 1 to `max_tokens` ids. Raises TokeniserFailed.

        A text that needs more than MOST_CHARACTERS_PER_TOKEN to fill the window is read up to
        there, and counts as truncated.
        """
        found: dict[int, list[int]] = {}
        open_: Sequence[int] = range(len(texts))
        characters = self._room * CHARACTERS_PER_TOKEN
        while open_:
            encoded = self._encode([texts[index][:characters] for index in open_])
            found.update(zip(open_, encoded, strict=True))
            if characters >= self._last:
                break
            open_ = [
                index
                for index in open_
                if len(texts[index]) > characters
                and len(found[index]) < self._room + UNSETTLED_TOKENS
            ]
            characters *= GROWTH
        return [self._tokens(text, found[index]) for index, text in enumerate(texts)]

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The first ids of each text, as many as anybody looks at."""
        most = self._room + UNSETTLED_TOKENS
        try:
            return [
                encoding.ids[:most]
                for part in _slices(texts)
                for encoding in self._tokenizer.encode_batch_fast(part, add_special_tokens=False)
            ]
        except BaseException as error:
            # A panic of the library's Rust code is no Exception, as if it were an interruption.
            if isinstance(error, Exception) or type(error).__module__ == PANIC:
                raise TokeniserFailed(f"{type(error).__name__}: {error}") from None
            raise

    def _tokens(self, text: str, ids: list[int]) -> Tokens:
        read = [*self._before, *ids[: self._room], *self._after]
        return Tokens(read or [0], truncated=len(ids) > self._room or len(text) > self._last)

    def _special_ids(self) -> tuple[list[int], list[int]]:
        """The ids the tokenizer puts around a text, read off an example."""
        plain = self._tokenizer.encode("a", add_special_tokens=False).ids
        full = self._tokenizer.encode("a").ids
        for start in range(len(full) - len(plain) + 1):
            if full[start : start + len(plain)] == plain:
                return full[:start], full[start + len(plain) :]
        return [], []


def _slices(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in order, so many at once that memory stays bounded; a longer one is alone."""
    start = characters = 0
    for at, text in enumerate(texts):
        if at > start and characters + len(text) > SLICE_CHARACTERS:
            yield texts[start:at]
            start, characters = at, 0
        characters += len(text)
    if texts:
        yield texts[start:]
