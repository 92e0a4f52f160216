"""Texts to token ids, as the student was trained to read them.

Cuts characters before tokenising: the library truncates only after encoding everything, and a
long article would cost twelve times more for the same ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from worker.engine.scorer import Tokens
from worker.errors import StudentInvalid

CHARACTERS_PER_TOKEN: Final = 10  # more than natural text needs; a shorter cut is tried again
# A text without white space is cut only here, where the tokens that the cut may change are far
# behind the last one the student reads.
UNBROKEN_CHARACTERS_PER_TOKEN: Final = 40
_WHITE_SPACE: Final = (" ", "\n", "\t", "\u3000")


class Tokeniser:
    """A fast tokenizer with its limit. Thread-safe; `encode` releases the GIL."""

    def __init__(self, tokenizer_file: Path, max_tokens: int) -> None:
        """Reads a `tokenizer.json`. `max_tokens` counts special tokens too.

        Raises StudentInvalid.
        """
        facts = tokenizer_file.read_bytes()
        try:
            self._tokenizer = Tokenizer.from_str(facts.decode())
        except Exception as error:  # the library has no class of its own
            raise StudentInvalid(f"{tokenizer_file} is not a tokenizer: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # "[SEP]" in an article is text
        self._before, self._after = self._special_ids()
        self.max_tokens = max_tokens
        self.identity = f"{hashlib.sha256(facts).hexdigest()}/{max_tokens}"
        self._room = max_tokens - len(self._before) - len(self._after)

    def encode(self, texts: Sequence[str]) -> list[Tokens]:
        """One Tokens per text, each with 1 to `max_tokens` ids."""
        cut = [_cut(text, self._room) for text in texts]
        found = self._encode(cut)
        again = [
            index
            for index, ids in enumerate(found)
            if len(ids) <= self._room and len(cut[index]) < len(texts[index])
        ]
        for index, ids in zip(again, self._encode([texts[i] for i in again]), strict=True):
            found[index] = ids
        return [self._tokens(ids) for ids in found]

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _tokens(self, ids: list[int]) -> Tokens:
        read = [*self._before, *ids[: self._room], *self._after]
        return Tokens(read or [0], truncated=len(ids) > self._room)

    def _special_ids(self) -> tuple[list[int], list[int]]:
        """The ids the tokenizer puts around a text, read off an example."""
        plain = self._tokenizer.encode("a", add_special_tokens=False).ids
        full = self._tokenizer.encode("a").ids
        for start in range(len(full) - len(plain) + 1):
            if full[start : start + len(plain)] == plain:
                return full[:start], full[start + len(plain) :]
        return [], []


def _cut(text: str, room_tokens: int) -> str:
    """A beginning of the text that should still fill the student's window."""
    limit = room_tokens * CHARACTERS_PER_TOKEN
    if len(text) <= limit:
        return text
    at = max(text.rfind(space, limit // 2, limit) for space in _WHITE_SPACE)
    return text[:at] if at > 0 else text[: room_tokens * UNBROKEN_CHARACTERS_PER_TOKEN]
