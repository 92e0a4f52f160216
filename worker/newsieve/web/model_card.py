"""A student's model card as markup, whatever stands in it: headings, lists, tables and text.

No HTML of the card's own, no picture, and no link but to the web. It knows no page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from newsieve.printable import printable_lines
from newsieve.web.shown import web_address

LEVELS_BELOW: Final = 2  # headings of a card are parts of a page's section
DEEPEST: Final = 6
_FRONT_MATTER: Final = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


class _Renderer(RendererHTML):
    def heading_open(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return f"<{_lowered(tokens[index].tag)}>"

    def heading_close(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        return f"</{_lowered(tokens[index].tag)}>\n"

    def link_open(
        self, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
    ) -> str:
        tokens[index].attrSet("rel", "noopener noreferrer nofollow")
        return self.renderToken(tokens, index, options, env)

    def table_open(self, *_: Any) -> str:
        return '<div class="table" tabindex="0" role="region" aria-label="Table">\n<table>\n'

    def table_close(self, *_: Any) -> str:
        return "</table>\n</div>\n"


def rendered_card(text: str) -> Markup:
    """Return a card's Markdown as markup, without its front matter."""
    body = _FRONT_MATTER.sub("", text.replace("\r\n", "\n"))
    markdown = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer)
    markdown.enable("table").disable("image")
    markdown.validateLink = lambda url: web_address(url) is not None  # type: ignore[method-assign]
    return Markup(markdown.render(printable_lines(body)))  # noqa: S704 - escaped by the renderer


def _lowered(tag: str) -> str:
    return f"h{min(int(tag[1:]) + LEVELS_BELOW, DEEPEST)}"
