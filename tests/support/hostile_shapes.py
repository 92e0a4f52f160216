"""Hostile raw records of any size: each costs as much as its maker could think of.

A shape is a function of a size in bytes; the record is about that large.
"""

from __future__ import annotations

import base64
import json
import sys
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final

from newsieve.records.decode import Headers, RawRecord

INPUT: Final = {"topic": "articles.raw", "partition": 0, "offset": 0, "timestamp": None}
NESTING_DEPTH: Final = 90  # close to the limit, so that it is no dead letter
INTEGER_DIGITS: Final = 3_900  # close to what Python converts
DOMAIN: Final = "github.com"  # of a rule
TRIGGERS: Final = (
    "share price Wall Street earnings per share initial public offering ballistic missiles "
)
ALMOST: Final = "share pric wall stree nato allie product launc lanceert een de cours de l'actio "

Shape = Callable[[int], RawRecord]


def record(value: bytes, key: bytes | None = b"k", headers: Headers | None = None) -> RawRecord:
    return RawRecord(value, key, headers, 1_700_000_000_000, INPUT)


def filled(unit: str, size: int) -> str:
    """The unit again and again."""
    return unit * max(size // len(unit.encode(errors="surrogatepass")), 1)


def field(name: str, unit: str, size: int, before: str = "", after: str = "") -> RawRecord:
    """An article in which one field is a text of this unit."""
    facts = {"id": "hostile", "title": "A library opens", name: before + filled(unit, size) + after}
    return record(json.dumps(facts, ensure_ascii=False).encode())


def raw(unit: str, size: int, opening: str = "[", closing: str = "]", sep: str = ",") -> RawRecord:
    """An article with a field that nobody knows, of this JSON."""
    body = sep.join([unit] * max(size // (len(unit) + len(sep)), 1))
    return record(
        f'{{"id":"hostile","title":"A library opens","x":{opening}{body}{closing}}}'.encode()
    )


def behind_mark(unit: str, size: int, opening: str = "[", closing: str = "]") -> RawRecord:
    """The same behind a byte order mark, which orjson does not take."""
    return record(b"\xef\xbb\xbf" + raw(unit, size, opening, closing).value)


def known(name: str, unit: str, size: int) -> RawRecord:
    """An article in which a field that is read is this JSON, again and again."""
    body = ",".join([unit] * max(size // (len(unit) + 1), 1))
    return record(f'{{"title":"A library opens","{name}":[{body}]}}'.encode())


def keys(size: int, *, different: bool) -> RawRecord:
    """An article with as many fields as there is room for."""
    count = size // 10
    names = (f'"{at if different else 0:05x}":0' for at in range(count))
    return record(f'{{"id":"hostile","title":"A library opens",{",".join(names)}}}'.encode())


def event(size: int, *, as_text: bool) -> RawRecord:
    """A structured CloudEvent whose data are escaped or in base64."""
    inner = {"id": "hostile", "title": "A library opens"}
    envelope: dict[str, Any] = {"specversion": "1.0", "type": "t", "source": "s", "id": "e"}
    if as_text:
        envelope["data"] = json.dumps({**inner, "content": "\n" * (size // 4)})
    else:
        text = json.dumps({**inner, "content": filled("word ", size * 3 // 4)})
        envelope["data_base64"] = base64.b64encode(text.encode()).decode()
    return record(json.dumps(envelope).encode())


@cache
def every_character(size: int) -> RawRecord:
    """All of Unicode, in its order, as often as there is room."""
    characters = "".join(
        c for c in map(chr, range(0x80, sys.maxunicode)) if unicodedata.category(c) != "Cs"
    )
    text = characters * (size // len(characters.encode()) + 1)
    content = text.encode()[:size].decode(errors="ignore")
    facts = {"id": "hostile", "title": "A library opens", "content": content}
    return record(json.dumps(facts, ensure_ascii=False).encode())


def many_headers(
    size: int,
    name: str = "",
    last: str = "",
    value: bytes = b'{"id":"h","title":"A library opens"}',
) -> RawRecord:
    """And one more, where it has a name."""
    headers: Headers = [(name, None) for _ in range(size // (len(name) + 2))]
    return record(value, headers=[*headers, (last, b"0" * 64)] if last else headers)


def large_header(size: int, name: str) -> RawRecord:
    return record(b'{"id":"hostile","title":"A library opens"}', headers=[(name, b"5" * size)])


SHAPES: Final[Mapping[str, Shape]] = {
    "plain words": partial(field, "content", "Ordinary words of an article. "),
    # addresses
    "url: dots": partial(field, "url", "a.", before="http://"),
    "url: dots before a listed domain": partial(field, "url", "a.", before="http://", after=DOMAIN),
    "url: percent signs": partial(field, "url", "%2e", before="http://a"),
    "url: percent signs of other scripts": partial(field, "url", "%D0%B0", before="http://"),
    "url: punycode": partial(field, "url", "xn--", before="http://"),
    "url: punycode labels": partial(field, "url", "xn--brse-5qa.", before="http://"),
    "url: schemes": partial(field, "url", "http:"),
    "url: at signs": partial(field, "url", "@", before="http://"),
    "url: marks": partial(field, "url", "\u0301\u0316", before="http://a"),
    "url: blanks": partial(field, "url", " "),
    "url: invisible": partial(field, "url", "\u200b"),
    # JSON
    "brackets, nested deep": partial(raw, "[" * NESTING_DEPTH + "]" * NESTING_DEPTH),
    "brackets, opened only": partial(raw, "[", sep="", closing=""),
    "braces, opened only": partial(raw, '{"":', sep="", closing=""),
    "brackets in a string": partial(field, "x", "[{"),
    "quotes in a string, beside nesting": partial(raw, '[["\\""]]'),
    "quotes, many strings, beside nesting": partial(raw, '"","[",[[]]'),
    "backslashes in a string, beside nesting": lambda n: raw('"' + filled("\\\\", n) + '",[[]]', 1),
    "empty objects": partial(raw, "{}"),
    "empty arrays": partial(raw, "[]"),
    "small objects": partial(raw, '{"":0}'),
    "small objects of two": partial(raw, '{"":0,"a":0}'),
    "small objects, nested": partial(raw, '{"":{"":[]}}'),
    "small objects behind a mark": partial(behind_mark, '{"":0}'),
    "empty arrays behind a mark": partial(behind_mark, "[]"),
    "empty objects behind a mark": partial(behind_mark, "{}"),
    "numbers": partial(raw, "7"),
    "numbers behind a mark": partial(behind_mark, "7"),
    "truths": partial(raw, "true"),
    "large numbers": partial(raw, "1234567"),
    "short strings": partial(raw, '"\u00e9"'),
    "short strings behind a mark": partial(behind_mark, '"ab"'),
    "tags: empty arrays": partial(known, "tags", "[]"),
    "tags: strings": partial(known, "tags", '"a"'),
    "id: empty arrays": partial(known, "id", "[]"),
    "many fields": partial(keys, different=True),
    "one field many times": partial(keys, different=False),
    "an integer of all digits": lambda n: raw("9" * n, 1, "", ""),
    "integers of thousands of digits": partial(raw, "9" * INTEGER_DIGITS),
    "integers beyond 64 bits": partial(raw, "99999999999999999999"),
    "a float of all digits": lambda n: raw("0." + "1" * n, 1, "", ""),
    "floats of thousands of digits": partial(raw, "0." + "3" * INTEGER_DIGITS),
    "floats beyond a double": partial(raw, "1e400"),
    "floats": partial(raw, "2.2250738585072011e-308"),
    "an id beyond 64 bits, beside arrays": lambda n: record(
        raw("[]", n).value.replace(b'"hostile"', b"9" * 30)
    ),
    "an id beyond a double, beside objects": lambda n: record(
        raw('{"":0}', n).value.replace(b'"hostile"', b"9" * 400)
    ),
    # texts
    "title: long": partial(field, "title", "title "),
    "id: long": partial(field, "id", "i"),
    "source: long": partial(field, "source", "s"),
    "content: NULs, escaped": lambda n: record(
        json.dumps({"id": "h", "title": "t", "content": "\0" * (n // 6)}).encode()
    ),
    "title: NULs": lambda n: record(
        json.dumps({"id": "h", "title": "t" + "\0" * (n // 6)}).encode()
    ),
    "content: lone surrogates": lambda n: record(
        json.dumps({"id": "h", "title": "t", "content": "\ud800" * (n // 6)}).encode()
    ),
    "small texts with lone surrogates": partial(raw, '"\\ud800"'),
    "small keys with lone surrogates": partial(raw, '{"\\ud800":""}'),
    "content: combining marks": partial(field, "content", "\u0301\u0316", before="a"),
    "content: marks beyond the basic plane": partial(field, "content", "\U00010a0f", before="a"),
    "content: marks in runs of 31": partial(field, "content", "a" + "\u0316\u0301" * 15 + "\u0316"),
    "content: zero width": partial(field, "content", "\u200b"),
    "content: zero width between letters": partial(field, "content", "a\u200b"),
    "content: white space": partial(field, "content", " "),
    "content: lines": partial(field, "content", "\n"),
    "content: odd white space": partial(field, "content", "\u2003"),
    "content: one word": partial(field, "content", "a"),
    "content: ligatures": partial(field, "content", "\ufdfa"),
    "content: ligatures of three": partial(field, "content", "\ufb03"),
    "content: Hangul apart": partial(field, "content", "\u1112\u1161\u11ab"),
    "content: letters of three parts, and a mark": partial(
        field, "content", "\u1f86", after="e\u0301"
    ),
    "content: letters of three parts with marks": partial(field, "content", "\u1f86\u0316"),
    "content: quotes and hyphens": partial(
        field, "content", "\u2018\u2010\u201b\u2032\u00b4 \u2003"
    ),
    "content: every character": every_character,
    "content: rules' words": partial(field, "content", TRIGGERS),
    "content: almost rules' words": partial(field, "content", ALMOST),
    "content: rules' letters": partial(field, "content", "s"),
    "title: rules' words": partial(field, "title", TRIGGERS),
    "content: tags around nothing": partial(field, "content", "<p>"),
    "content: tags with attributes": partial(field, "content", '<a b="c" d>'),
    "content: a tag that does not end": partial(field, "content", '<a "'),
    "content: comments": partial(field, "content", "<!--"),
    "content: scripts": partial(field, "content", "<script>"),
    "content: ends of scripts": partial(field, "content", "<script></script"),
    "content: entities": partial(field, "content", "&#160;"),
    "content: entities of nothing": partial(field, "content", "&nbsp;"),
    "content: marks that stand on nothing": partial(field, "content", "\u0301"),
    "nothing but blanks": lambda n: record(b" " * n),
    # envelopes
    "CloudEvent, escaped": partial(event, as_text=True),
    "CloudEvent, base64": partial(event, as_text=False),
    "no base64 at the end": lambda n: record(
        event(n, as_text=False).value.removesuffix(b'"}') + b'!"}'
    ),
    "no UTF-8 at the end": lambda n: record(field("content", "w ", n).value[:-2] + b'\xff"}'),
    "behind a byte order mark": lambda n: record(b"\xef\xbb\xbf" + field("content", "w ", n).value),
    "no JSON at the end": lambda n: record(field("content", "w ", n).value[:-1]),
    "many headers": many_headers,
    "many headers of dead letters": partial(many_headers, name="dlq."),
    "many headers, and a signature": partial(many_headers, last="dlq.signature"),
    "many headers, a signature, no JSON": partial(many_headers, last="dlq.signature", value=b"{"),
    "a large header": partial(large_header, name="traceparent"),
    "a large count of attempts": partial(large_header, name="dlq.attempts"),
    "a large filter": partial(large_header, name="dlq.filter"),
    "a large key": lambda n: record(b'{"title":"A library opens"}', key=b"\xff" * n),
}
