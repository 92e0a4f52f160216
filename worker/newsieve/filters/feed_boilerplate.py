"""Takes from the end of a text what feeds append to each article: links back, "read more".

The phrases are a closed list, each a whole line or the end of one. Only an article that came as
HTML has them; a text that is nothing else keeps them.
"""

from __future__ import annotations

import re
from typing import Final

MOST_LINES: Final = 6  # of boilerplate, one below another
MOST_LINE_CHARACTERS: Final = 400  # a title, a site and the words between them
_ARROW: Final = r"[\s\u00a0]*(?:\u2192|\u00bb|\u203a|>+|\u2026|\.{3})?"
# What WordPress writes in the languages that have most of its sites.
_APPEARED: Final = (
    r"(?:The|This) (?:post|article) .+ (?:appeared first|first appeared) (?:on|at|in) .+",
    r"Der (?:Beitrag|Artikel) .+ erschien zuerst (?:auf|bei) .+",
    r"Het (?:bericht|artikel) .+ verscheen (?:als )?eerste? op .+",
    r"(?:L[\u2019']|Cet )article .+ est apparu en premier sur .+",
    r"(?:La entrada|El art\u00edculo) .+ (?:se public\u00f3|aparece|apareci\u00f3) primero en .+",
    r"L[\u2019']articolo .+ (?:proviene da|sembra essere il primo su) .+",
    r"O (?:post|artigo) .+ (?:apareceu|aparece) primeiro em .+",
    r"(?:Artyku\u0142|Wpis) .+ pochodzi z serwisu .+",
    r"Inl\u00e4gget .+ d\u00f6k f\u00f6rst upp p\u00e5 .+",
    r"Indl\u00e6gget .+ blev f\u00f8rst udgivet p\u00e5 .+",
    r"Innlegget .+ dukket f\u00f8rst opp p\u00e5 .+",
)
_MORE: Final = (
    r"Continue reading\b.*",
    r"Read more(?: (?:about|at|on|here|from|of this story)\b.{0,200}|:.{0,200})?",
    r"Read (?:the |this )?(?:full|whole|entire|rest of (?:the|this)) (?:article|story|post)\b.*",
    r"Keep reading\b.{0,200}",
    r"Weiterlesen\b.{0,200}", r"Lees (?:verder|meer)\b.{0,200}", r"Lire la suite\b.{0,200}",
    r"(?:Seguir|Sigue|Contin\u00faa) leyendo\b.{0,200}", r"Leer m\u00e1s\b.{0,200}",
    r"Leggi tutto\b.{0,200}", r"Continua a leggere\b.{0,200}", r"Leia mais\b.{0,200}",
    r"Czytaj dalej\b.{0,200}", r"L\u00e4s mer\b.{0,200}",
)  # fmt: skip
_SHARE: Final = (
    r"Flattr this!?",
    r"Share (?:this\b|(?:on|via) (?:Facebook|Twitter|X|LinkedIn|WhatsApp|Reddit|email)\b).{0,60}",
    r"(?:(?:Share|Tweet|Like|Pin it|Email(?: this)?|Print)[ |\u2022\u00b7,:]*)+",
    r"submitted by\s+/?u/\S+.*",
    r"\[link\](?:\s+\[comments\])?",
)
_LINE: Final = re.compile(
    rf"\s*(?:\[?(?:{'|'.join((*_APPEARED, *_MORE, *_SHARE))})\]?){_ARROW}\s*", re.IGNORECASE
)
# Behind the ellipsis of an excerpt they stand in its own paragraph.
_TAIL: Final = re.compile(
    r"(?<=\u2026|\]|\.) (?:Continue reading|Read more|Weiterlesen|Lees (?:verder|meer)|"
    r"Lire la suite|Leer m\u00e1s|Seguir leyendo|Leggi tutto|Leia mais)"
    rf"\b[^.\n]{{0,200}}{_ARROW}\Z",
    re.IGNORECASE,
)
_ELLIPSIS: Final = re.compile(r"(?:\u2026|\.\.\.|\[\u2026\]|\[\.\.\.\])\Z")


def without_boilerplate(text: str) -> str:
    """Return the text without the lines at its end that a feed appended. A text that would be empty
    then stays as it is."""
    kept = text
    for _ in range(MOST_LINES):
        before, _, last = kept.rpartition("\n")
        if len(last) > MOST_LINE_CHARACTERS or _LINE.fullmatch(last) is None:
            break
        kept = before.rstrip()
    tail = kept[-MOST_LINE_CHARACTERS:]
    match = _TAIL.search(tail)
    if match is not None and _ELLIPSIS.search(tail[: match.start()]):
        kept = kept[: len(kept) - len(tail) + match.start()]
    return kept or text
