"""Tells whether a text is HTML, and turns HTML into the text that a reader sees.

It reads tags one after another and builds no tree, so that its cost grows with the length of the
text alone: the parsers that build one need seconds for 100,000 unclosed elements. It knows nothing
of articles, and runs nothing and fetches nothing that the HTML names.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from newsieve.filters.feed_boilerplate import without_boilerplate

# What stands in the text for a tag of an element, at its beginning and at its end.
_PARAGRAPH: Final = "\n\n"
_LINE: Final = "\n"
_BLOCKS: Final = (
    "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "dialog",
    "dir", "div", "dl", "dt", "fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4",
    "h5", "h6", "header", "hgroup", "hr", "html", "legend", "main", "menu", "nav", "ol", "p",
    "pre", "section", "summary", "table", "ul",
)  # fmt: skip
_LINES: Final = (
    "br", "caption", "li", "option", "tbody", "tfoot", "thead", "tr",
)  # fmt: skip
_CELLS: Final = (
    "td", "th",
)  # fmt: skip
_INLINE: Final = (
    "a", "abbr", "acronym", "area", "audio", "b", "base", "bdi", "bdo", "big", "button", "cite",
    "code", "col", "colgroup", "data", "datalist", "del", "dfn", "em", "embed", "font", "frame",
    "frameset", "head", "i", "img", "input", "ins", "kbd", "label", "link", "map", "mark",
    "marquee", "math", "meta", "meter", "nobr", "noembed", "optgroup", "output", "param",
    "picture", "progress", "q", "rb", "rp", "rt", "ruby", "s", "samp", "select", "slot", "small",
    "source", "span", "strike", "strong", "sub", "sup", "time", "tt", "track", "u", "var",
    "video", "wbr",
)  # fmt: skip
_DRAWING: Final = (
    "svg", "g", "path", "circle", "ellipse", "rect", "line", "polyline", "polygon", "use", "defs",
    "symbol", "desc", "text", "tspan", "stop", "lineargradient", "radialgradient", "clippath",
)  # fmt: skip
_FORMULA: Final = (
    "mi", "mn", "mo", "ms", "mtext", "mspace", "mrow", "mfrac", "msqrt", "mroot", "mstyle",
    "mpadded", "mphantom", "merror", "msub", "msup", "msubsup", "munder", "mover", "munderover",
    "mmultiscripts", "mtable", "mtr", "mtd", "semantics",
)  # fmt: skip
# What is in these is for machines, for other media, or stands beside the text.
_UNSEEN: Final = (
    "annotation", "applet", "canvas", "figcaption", "iframe", "noframes", "noscript", "object",
    "script", "style", "template", "textarea", "title",
)  # fmt: skip
_INSTEAD: Final[dict[str, str]] = {
    **dict.fromkeys(_BLOCKS, _PARAGRAPH),
    **dict.fromkeys(_LINES, _LINE),
    **dict.fromkeys(_CELLS, " "),
    **dict.fromkeys(
        (*_INLINE, *_DRAWING, *_FORMULA, *_UNSEEN), ""
    ),  # an end alone, of what is not seen
    **{f"/{name}": _PARAGRAPH for name in _BLOCKS},
    **{f"/{name}": "" for name in (*_LINES, *_CELLS, *_INLINE, *_DRAWING, *_FORMULA, *_UNSEEN)},
    "/br": _LINE,  # as browsers read it
}


def _any_of(names: Iterable[str]) -> str:
    """Return a pattern of these names in any case. It looks at a text's first letter alone where
    no name begins with it."""
    rests: dict[str, list[str]] = {}
    for name in sorted(names, key=len, reverse=True):
        rests.setdefault(name[0], []).append(name[1:])
    return "|".join(
        f"[{first}{first.upper()}](?i:{'|'.join(ends)})" for first, ends in rests.items()
    )


# A tag up to its `>`, or without one up to the next `<` or the end. A quoted value may hold both.
# Whatever matches is not looked at again.
_ATTRIBUTES: Final = r"""(?:[^<>"'=]++|=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))?+|["'])*+"""
_TAG: Final = re.compile(rf"<(/?+[a-zA-Z][a-zA-Z0-9:-]*+)(?=[\s/><]|\Z){_ATTRIBUTES}(>?+)")
_PARTS: Final = 3  # that `split` makes of a tag: the text before it, its name, its `>`
# Without an end, each of these hides the rest of the text, as in a browser.
_HIDDEN: Final = re.compile(
    r"<(?:!--(?:-?>|(?:[^-]++|-(?!-!?>))*+(?:--!?>)?+)"
    rf"|({_any_of(_UNSEEN)})(?=[\s/>])(?!{_ATTRIBUTES}(?<=/)>)"
    r"(?:[^<]++|<(?!/(?i:\1)[\s/>]))*+(?:</[^>]*+>?+)?+"
    r"|[!?][a-zA-Z\[][^>]*+>?+)"
)
_BREAKS: Final = re.compile(rf"<(?:{_any_of((*_BLOCKS, *_LINES, *_CELLS))})(?=[\s/>])")
_CDATA: Final = "<![CDATA["
_CDATA_END: Final = "]]>"
_PRE: Final = re.compile(r"<(?i:pre)(?=[\s>])(?:[^<]++|<(?!/(?i:pre)))*+")

# The signs of HTML: elements of articles, not each word that is the name of an element.
_CONTENT: Final = (
    "a", "article", "aside", "b", "big", "blockquote", "body", "br", "center", "cite", "code",
    "dd", "del", "div", "dl", "dt", "em", "figure", "font", "footer", "h1", "h2", "h3", "h4",
    "h5", "h6", "header", "hr", "html", "i", "iframe", "img", "ins", "li", "main", "mark",
    "noscript", "ol", "p", "picture", "pre", "script", "section", "small", "span", "strike",
    "strong", "style", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
    "video",
)  # fmt: skip
_NAMES: Final = _any_of(_CONTENT)
_VALUE: Final = r"""(?:"[^"]*+"|'[^']*+'|[^\s<>"'=]++)"""
_SIGN: Final = re.compile(
    rf"<(?:({_NAMES})(\s++[a-zA-Z][\w:.-]*+\s*+=\s*+{_VALUE}[^<>]*+)?+\s*+/?+>"
    rf"|/({_NAMES})\s*+>|(!--|!(?i:doctype\s++html)\b))"
)
_STARTS: Final = frozenset(("", "\n", ">"))  # what stands before a tag that begins a line
_BEFORE_MENTION: Final = frozenset(" \t\"'(\u2018\u201c\u00ab\u201e[")
_AFTER_MENTION: Final = frozenset("\n \t\"'),.:;!?\u2019\u201d\u00bb]\u2026-") | {""}
_CODE: Final = re.compile(r"```(?:[^`]++|`(?!``))*+(?:```)?+|`[^`\n]*+`")  # Markdown's
_SPACE: Final = frozenset(" \t\r\n\f")
_ENDS_LINE: Final = frozenset(("", "\n"))
_BREAK_NAMES: Final = frozenset(("br", "hr"))
_BLOCK_NAMES: Final = frozenset(_BLOCKS) | {"li", "tr"}

_NAMED: Final = r"[a-zA-Z][a-zA-Z0-9]{1,31};"
_NUMERIC: Final = r"#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6})(?![0-9a-fA-F]);?+"
_ENTITY: Final = re.compile(rf"&(?:{_NUMERIC}|{_NAMED})")
# Names that stand in a text for nothing else: `&sum;` and `&not;` may be code.
_ENTITY_SIGN: Final = re.compile(
    rf"&(?i:amp|lt|gt|quot|apos|nbsp|shy|zwn?j|[lr][sd]quo|[lr]aquo|[sb]dquo|sbquo|hellip|[mn]dash"
    rf"|[a-z]{{1,2}}(?:acute|grave|uml|circ|tilde|cedil|ring|slash|lig|caron);|euro|pound|{_NUMERIC})"
    r"(?:(?<=;)|;)"
)
_ESCAPED_TWICE: Final = re.compile(rf"&amp;(?={_NUMERIC}|{_NAMED})")
_ESCAPED_TAG: Final = re.compile(rf"&lt;/?+(?:{_NAMES})(?=\s|/|&gt;)")
_TEXTS_KEPT: Final = 4  # of one article, which is asked first whether it has a text
_ENTITIES_KEPT: Final = 512  # the spellings that news has are some hundred

_SPACES: Final = "\n\r\t\f"
_NO_BREAK_SPACE: Final = "\u00a0"


def plain_text(text: str) -> str:
    """Return what a reader sees of the text where it is HTML, and any other text as it is."""
    return _plain_text(text) if "<" in text or "&" in text else text


@lru_cache(_TEXTS_KEPT)
def _plain_text(text: str) -> str:
    has_tags = "<" in text
    if has_tags and is_html(text):
        return _text_of(text)
    if _ENTITY_SIGN.search(text) is None:
        return text
    if not has_tags and _ESCAPED_TAG.search(text) is not None:
        once = _unescaped(text)
        if is_html(once) and (shown := _text_of(once)):
            return shown
    return _unescaped(_ESCAPED_TWICE.sub("&", text)).replace(_NO_BREAK_SPACE, " ")


def is_html(text: str) -> bool:
    """Say whether the text uses tags, rather than to mention them, to be code, or to compare.

    A tag with an attribute is a use, and so is a block or a comment at the beginning of a line, a
    `<br>` that stands in no sentence, and an element with both of its tags. A tag that stands in a
    sentence like a word is a mention. Markdown's code is not looked at.
    """
    if "`" in text:
        text = _CODE.sub("", text)
    opened: set[str] = set()
    return any(_is_use(match, opened) for match in _SIGN.finditer(text))


def _is_use(match: re.Match[str], opened: set[str]) -> bool:
    """Say whether a sign of HTML is enough of one; `opened` has the elements that were opened
    before it, to which it adds its own."""
    name, attribute, closed, _ = match.groups()
    start, end = match.span()
    before, after = match.string[start - 1 : start], match.string[end : end + 1]
    begins_line = before in _STARTS
    if closed:
        return closed.lower() in opened
    if attribute or not name:
        return bool(attribute) or begins_line
    if not begins_line and before in _BEFORE_MENTION and after in _AFTER_MENTION:
        return False
    name = name.lower()
    if name in _BREAK_NAMES:
        return bool(before) or after in _ENDS_LINE or after not in _AFTER_MENTION
    opened.add(name)
    return begins_line and name in _BLOCK_NAMES and after not in _SPACE


def _text_of(text: str) -> str:
    """Return the text of HTML, its paragraphs parted by blank lines."""
    if _CDATA in text:
        text = text.replace(_CDATA, "").replace(_CDATA_END, "")
    text = _HIDDEN.sub(_PARAGRAPH, text)
    if _BREAKS.search(text) is None:
        # Nothing but inline elements: the lines of the text are its own.
        shown = _unescaped(_without_tags(text)).replace(_NO_BREAK_SPACE, " ").strip()
    else:
        if "<pre" in text or "<PRE" in text:
            text = _PRE.sub(lambda match: match[0].replace("\n", "<br>"), text)
        for space in _SPACES:
            text = text.replace(space, " ")
        shown = _in_paragraphs(_unescaped(_without_tags(text)))
    return without_boilerplate(shown)


def _in_paragraphs(text: str) -> str:
    """Return the text with single spaces and at most one blank line between its lines."""
    parts = (part.strip(" \n") for part in text.replace(_NO_BREAK_SPACE, " ").split("\n\n"))
    text = "\n\n".join([_in_lines(part) if "\n" in part else part for part in parts if part])
    while "  " in text:
        text = text.replace("  ", " ")
    return text.strip()


def _in_lines(text: str) -> str:
    """Return a part of the text without spaces at the ends of its lines."""
    text = "\n".join([line.strip(" ") for line in text.split("\n")])
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text


def _without_tags(text: str) -> str:
    """Return the text with what stands for its tags in their places."""
    parts = _TAG.split(text)
    names, ends = parts[1::_PARTS], parts[2::_PARTS]
    shown = [*map(_INSTEAD.get, names)]
    if None in shown or "" in ends:
        return _TAG.sub(_instead, text)  # by one call for each tag, which takes longer
    parts[1::_PARTS] = shown
    parts[2::_PARTS] = [""] * len(ends)
    return "".join(parts)


def _instead(match: re.Match[str]) -> str:
    """Return what stands for a tag: itself where it is of no known element, or has no end."""
    name, end = match[1].lower(), match[2]
    shown = _INSTEAD.get(name, "" if "-" in name or ":" in name else None)
    if shown is None or not (end or _is_cut_tag(match)):
        return match[0]
    return shown


def _is_cut_tag(match: re.Match[str]) -> bool:
    """Say whether a tag without its `>` was cut off together with its text."""
    rest = match[0][len(match[1]) + 1 :]
    return match.end() == len(match.string) and (not rest or rest.isspace() or "=" in rest)


def _unescaped(text: str) -> str:
    """Return the text with its entities decoded, once. Without its semicolon, a name is none."""
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    return _meaning(match[0])


@lru_cache(_ENTITIES_KEPT)
def _meaning(entity: str) -> str:
    meaning = html.unescape(entity)
    return " " if meaning in "\t\n\r\f" and meaning else meaning
