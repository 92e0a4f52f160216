"""One article in six usual shapes of record, as feeds, sites and crawlers deliver it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from html.entities import codepoint2name
from typing import Any, NamedTuple

import numpy as np

from newsieve.filters.article import Article
from newsieve.filters.content_rules import ContentRules
from newsieve.filters.registry import Filter
from newsieve.filters.rendering import rendered_content, rendered_title
from newsieve.filters.tiering import round_scores
from newsieve.inference.student import Student, raw_scores
from newsieve.records.decode import DecodePolicy, RawRecord, decode

SENTENCES_A_PARAGRAPH = 2
_SENTENCE = re.compile(r"(?<=[.!?\u201d]) +")


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a text; of one without blank lines, its sentences two by two."""
    parts = [part for part in text.split("\n\n") if part.strip()]
    if len(parts) > 1:
        return parts
    sentences = _SENTENCE.split(text)
    return [
        " ".join(sentences[start : start + SENTENCES_A_PARAGRAPH])
        for start in range(0, len(sentences), SENTENCES_A_PARAGRAPH)
    ]


def with_entities(text: str) -> str:
    """The text as cautious software escapes it: every character that has a name by its name."""
    return "".join(
        f"&{codepoint2name[ord(c)]};" if ord(c) in codepoint2name else c for c in text
    ).replace("'", "&#8217;" if "\u2019" in text else "&#39;")


def plain(title: str, content: str) -> dict[str, Any]:
    return {"title": title, "content": content}


def paragraphs_and_entities(title: str, content: str) -> dict[str, Any]:
    body = "\n".join(f"<p>{with_entities(part)}</p>" for part in paragraphs(content))
    return {"title": with_entities(title), "content": body}


def wordpress(title: str, content: str) -> dict[str, Any]:
    """`content:encoded` of WordPress, with what it and its plugins put around the text."""
    first, *rest = (html.escape(part, quote=False) for part in paragraphs(content))
    blocks = "\n\n\n\n".join(f"<p>{part}</p>" for part in rest)
    words = first.split(" ", 2)
    if len(words) > 1:
        words[1] = f'<a href="https://news.example/tag/?a=1&amp;b=2" rel="tag">{words[1]}</a>'
    body = (
        '<figure class="wp-block-image size-large"><img decoding="async" width="1024" height="683" '
        'src="https://news.example/wp-content/uploads/photo-1024x683.jpg" alt="" srcset="https://'
        'news.example/wp-content/uploads/photo-1024x683.jpg 1024w" sizes="(max-width: 1024px) '
        '100vw, 1024px" /><figcaption class="wp-element-caption">Photo: A. Person / Agency'
        f"</figcaption></figure>\n\n\n\n<p>{' '.join(words)}</p>\n\n\n\n{blocks}\n"
        f'<p>The post <a href="https://news.example/story/">{html.escape(title)}</a> appeared '
        'first on <a href="https://news.example">News Example</a>.</p>\n'
        '<img src="https://stats.example/pixel.gif?id=1&#038;x=2" width="1" height="1" alt="" />'
    )
    return {"title": html.escape(title).replace("&#x27;", "&#8217;"), "content": body}


def cms_blocks(title: str, content: str) -> dict[str, Any]:
    """What a newspaper's own system renders: sections, spans, scripts and embedded media."""
    inner = "".join(
        f'<div class="text-block" data-pos="{number}"><span style="font-size:1rem">'
        f"{html.escape(part)}<br/></span></div>\n"
        + ('<div class="ad-slot"><script>window.ads = window.ads || [];if (1 < 2 && 3 > 2)'
           " {ads.push('<p>mid</p>');}</script></div>" if number == 0 else "")
        for number, part in enumerate(paragraphs(content))
    )  # fmt: skip
    body = (
        "<!-- article body --><style>.text-block > span { color: #222 }</style>"
        f'<article><section class="body">{inner}</section></article>'
        '<iframe src="https://video.example/embed/1">Your browser shows no frames.</iframe>'
        '<noscript><img src="https://stats.example/p.gif"/></noscript>'
    )
    return {"title": f" {html.escape(title)} ", "body": body}


def news_please(title: str, content: str) -> dict[str, Any]:
    return {
        "title": title, "title_page": None, "maintext": content, "description": None,
        "authors": [], "date_publish": "2026-11-20 08:00:00", "language": "en",
        "source_domain": "news.example", "url": "https://news.example/story/",
    }  # fmt: skip


def json_feed(title: str, content: str) -> dict[str, Any]:
    body = "".join(f"<p>{html.escape(part)}</p>" for part in paragraphs(content))
    return {
        "id": "https://news.example/story/", "url": "https://news.example/story/", "title": title,
        "content_html": body, "date_published": "2026-11-20T08:00:00Z", "tags": ["news"],
    }  # fmt: skip


SHAPES: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "plain": plain,
    "<p> and entities": paragraphs_and_entities,
    "WordPress content:encoded": wordpress,
    "CMS blocks": cms_blocks,
    "news-please": news_please,
    "JSON Feed": json_feed,
}


def shaped(article: Article, shape: str) -> bytes:
    """The record of an article in one of the shapes."""
    title, content = rendered_title(article.title), rendered_content(article.content)
    fields = SHAPES[shape](title, content)
    return json.dumps({"id": article.id, **fields}).encode()


BUDGET_TOKENS = 2_048
POLICY = DecodePolicy(10**7, id_from_key=False)


class Shift(NamedTuple):
    """How many of the articles have the tier of their plain shape, how far their score is from its
    on average, and how many have other words at all."""

    same_tier: int
    articles: int
    mean_shift: float
    other_words: int


def words(text: str) -> str:
    """The text with single spaces: no shipped student's tokeniser sees more of white space."""
    return " ".join(text.split())


def shifts(student: Student, filter_: Filter, articles: Iterable[Article]) -> dict[str, Shift]:
    """What each shape does to the articles. Those of the same words have the same scores: they are
    not scored."""
    rules = ContentRules([filter_.definition])
    texts = {
        (article.id, shape): words(
            decode(RawRecord(shaped(article, shape), None, None, None, {}), POLICY).text
        )
        for article in articles
        for shape in SHAPES
    }
    plain_texts = {id_: text for (id_, shape), text in texts.items() if shape == "plain"}
    changed = {key: text for key, text in texts.items() if text != plain_texts[key[0]]}
    wanted = sorted({*changed.values(), *(plain_texts[id_] for id_, _ in changed)})
    raw = raw_scores(student, wanted, BUDGET_TOKENS) if wanted else np.empty((0, 0))
    met = [rules.match(text, None, None)[0].names for text in wanted]
    decisions = filter_.tiering.decide(round_scores(raw), met) if wanted else None
    places = {text: place for place, text in enumerate(wanted)}
    found = {}
    for shape in SHAPES:
        moved = [
            (places[text], places[plain_texts[id_]])
            for (id_, other), text in changed.items()
            if other == shape
        ]
        assert decisions is not None or not moved
        others = sum(decisions.tier[a] != decisions.tier[b] for a, b in moved)  # type: ignore[union-attr]
        shift = sum(abs(decisions.score[a] - decisions.score[b]) for a, b in moved)  # type: ignore[union-attr]
        total = len(plain_texts)
        found[shape] = Shift(total - others, total, float(shift) / total, len(moved))
    return found
