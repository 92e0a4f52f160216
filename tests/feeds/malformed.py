"""Feeds that are wrong in the ways in which feeds are, each with what can be saved of it: the
titles of its items, or a part of the reason why there is none."""

from __future__ import annotations

from typing import Final

_ITEM = b"<item><title>Ferry</title><link>https://a.example/7</link></item>"
_START = b'<rss version="2.0"><channel><title>Harbour</title>'
_END = b"</channel></rss>"
_LAUGHS = b"".join(
    b'<!ENTITY l%d "%s">' % (number, b"&l%d;" % (number - 1) * 10) for number in range(1, 20)
)

MALFORMED: Final[dict[str, tuple[bytes, list[str | None] | str]]] = {
    "cut within an item": (_START + _ITEM + b"<item><title>Cra", ["Ferry", None]),
    "cut within a tag": (_START + _ITEM + b"<item><tit", ["Ferry", None]),
    "no closing tags": (_START + b"<item><title>Ferry<item><title>Crane", [None]),
    "tags that cross": (_START + b"<item><title>Ferry</item></title>" + _END, [None]),
    "bare ampersands": (_START + b"<item><title>R&D & more</title></item>" + _END, ["R&D; & more"]),
    "entities of HTML": (
        _START + b"<item><title>Caf&eacute;&nbsp;au&hellip;</title></item>" + _END,
        ["Café au…"],
    ),
    "an unknown prefix": (
        _START + b"<item><title>Ferry</title><x:y>z</x:y></item>" + _END,
        ["Ferry"],
    ),
    "attributes without quotes": (b"<rss version=2.0><channel>" + _ITEM + _END, ["Ferry"]),
    "white space before the declaration": (
        b'\n\n <?xml version="1.0"?>' + _START + _ITEM + _END,
        ["Ferry"],
    ),
    "text before the declaration": (
        b'Warning: mysql failed\n<?xml version="1.0"?>' + _START + _ITEM + _END,
        ["Ferry"],
    ),
    "text behind the end": (_START + _ITEM + _END + b"<script>x()</script>", ["Ferry"]),
    "two documents": (_START + _ITEM + _END + _START + _ITEM + _END, ["Ferry", "Ferry"]),
    "control characters": (_START + b"<item><title>Fer\x0bry</title></item>" + _END, ["Fer ry"]),
    "a zero byte": (_START + b"<item><title>Ferry\0</title></item>" + _END, ["Ferry\0"]),
    "a lone surrogate": (
        _START + b"<item><title>Ferry &#xD800;</title></item>" + _END,
        ["Ferry \N{REPLACEMENT CHARACTER}"],
    ),
    "a character beyond all": (
        _START + b"<item><title>Ferry &#x11FFFF;</title></item>" + _END,
        ["Ferry \N{REPLACEMENT CHARACTER}"],
    ),
    "a number without end": (
        _START + b"<item><title>Ferry &#" + b"9" * 5_000 + b";</title></item>" + _END,
        ["Ferry \N{REPLACEMENT CHARACTER}"],
    ),
    "an unknown encoding": (
        b'<?xml version="1.0" encoding="x-none"?>' + _START + _ITEM + _END,
        ["Ferry"],
    ),
    "a billion laughs": (
        b'<!DOCTYPE rss [<!ENTITY l0 "ha">' + _LAUGHS + b"]>" + _START
        + b"<item><title>&l19;</title></item>" + _END,
        ["&l19;"],
    ),
    "a file as an entity": (
        b'<!DOCTYPE rss [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + _START
        + b"<item><title>&f;</title></item>" + _END,
        ["&f;"],
    ),
    "items outside the channel": (b'<rss version="2.0"><channel/>' + _ITEM + b"</rss>", ["Ferry"]),
    "no channel": (b'<rss version="2.0">' + _ITEM + b"</rss>", ["Ferry"]),
    "no root": (_ITEM, ["Ferry"]),
    "upper case": (b"<RSS><CHANNEL>" + _ITEM.upper() + b"</CHANNEL></RSS>", ["FERRY"]),
    "no items": (_START + _END, []),
    "deep nesting": (_START + b"<item><title>" + b"<b>" * 5_000 + b"x", [None]),
    "unclosed tags": (_START + b"<item><title>Ferry</title>" + b"<b" * 2_000, ["Ferry"]),
    "a page": (b"<!doctype HTML><html><body>" + _ITEM + b"</body></html>", "a page in HTML"),
    "a page in XHTML": (
        b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>',
        "a page in HTML",
    ),
    "an error in JSON": (b'{"error": "not found"}', "no list `items`"),
    "a list in JSON": (b"[1, 2]", "no list `items`"),
    "JSON nested too deep": (b'{"items":' + b"[" * 5_000, "it is no JSON"),
    "JSON that is cut": (b'{"version": "https://jsonfeed.org/version/1", "items": [{', "no JSON"),
    "JSON with NaN": (b'{"items": [{"id": NaN}]}', "it is no JSON"),
    "JSON with a lone surrogate": (b'{"items": [{"title": "\\ud800"}]}', "it is no JSON"),
    "JSON of no UTF-8": (b'{"items": [{"title": "\xe9"}]}', "it is no JSON"),
    "text": (b"Service unavailable", "neither RSS, Atom nor JSON Feed"),
    "an image": (b"GIF89a\x01\x00\x01\x00\x80\x00\x00", "neither RSS, Atom nor JSON Feed"),
    "nothing": (b"", "the document is empty"),
    "white space": (b"\xef\xbb\xbf \n", "the document is empty"),
    "half a mark": (b"\xff\xfe", "neither RSS, Atom nor JSON Feed"),
}  # fmt: skip
