"""What is searched of a text: its words, also in scripts that put no space between them.

SQLite's tokenizer ends a word at a space or a mark, so that a Chinese sentence would be one word.
Characters of such scripts are therefore indexed one by one, and looked for as phrases.
"""

from __future__ import annotations

import re
from typing import Final

MOST_TERMS: Final = 12  # of a query; each costs a walk through an index
MOST_CHARACTERS: Final = 500
# Thai, Lao, Myanmar, Khmer; kana, CJK ideographs with their extensions. Hangul has spaces.
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_CHARACTER: Final = re.compile(f"([{_UNSPACED}\U00020000-\U0003ffff])")
_TERM: Final = re.compile(r'(-?)"([^"]+)"|(\S+)')
_WORD: Final = re.compile(r"\w")


def searchable(text: str | None) -> str:
    """Return a text with spaces between the characters of scripts that have none."""
    if not text:
        return ""
    if not text.isascii():
        text = _CHARACTER.sub(r" \1 ", text)
    return text.replace("\0", " ")


def match_expression(query: str) -> str | None:
    """Return what a reader typed as an FTS5 expression, or None where no word is in it.

    All words have to occur; "several words" are a phrase, `-word` must not occur, `word*` is the
    beginning of a word. Whatever else is typed is a word, never syntax.
    """
    wanted: list[str] = []
    unwanted: list[str] = []
    for minus, phrase, word in _TERM.findall(query[:MOST_CHARACTERS])[:MOST_TERMS]:
        term = phrase or word.lstrip("-")
        is_unwanted = bool(minus) or (not phrase and word.startswith("-"))
        if _WORD.search(term) is None:
            continue
        is_prefix = not phrase and term.endswith("*")
        quoted = '"' + searchable(term).strip().replace('"', '""').rstrip("*") + '"'
        (unwanted if is_unwanted else wanted).append(quoted + ("*" if is_prefix else ""))
    if not wanted:
        return None
    expression = " AND ".join(wanted)
    return " NOT ".join([f"({expression})", *unwanted]) if unwanted else expression
