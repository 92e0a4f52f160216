"""HTML becomes the text that a reader sees, and any other text stays as it is, byte for byte."""

from __future__ import annotations

import html
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from newsieve.filters.feed_boilerplate import without_boilerplate
from newsieve.filters.markup import is_html, plain_text
from newsieve.filters.readable import has_text
from newsieve.filters.rendering import render, rendered_title

NO_HTML = [
    "a < b", "<3", "I <3 you, and you & me", "x<y>z", "a<b>c", "p < .001 and q > .5", "1<2 && 3>2",
    "List<String> names", "Map<String, List<Object>> m; T<A> t;",
    "vector<int> v; #include <stdio.h>",
    "for (i = 0; i < n; i++) { if (a<b && c>d) { x<i>y; } }", "p = &sum; q = &reg; r = a & b;",
    r"$0<|\Omega|<\infty$ and $[X]^{<\omega}$ \begin{matrix} 1 & 2 \\ 3 & 4; \end{matrix}",
    "From <Answer> to <Think>: models",
    "See <https://example.com/?a=1&copy=2> and <me@example.com>.",
    "# Title\n\n* one\n* two\n\n> quoted & [a link](https://example.com?a=b&c=d)\n\n    a < b\n",
    "Write `<p>Hello</p>` for a paragraph.",
    "```html\n<div class=\"x\">Hello</div>\n```\nThat is all.",
    "Use the <p> tag, and close it with </p>.", "Between <script> and </script>, nothing is text.",
    "<strong>, <em> and <b> stand in a line.", "A <br> breaks a line; \"<hr>\" draws one.",
    "AT&T and R&D", "a &unknown; b", "tags like <p>", "&", "<", "<>", "</>", "<!",
    "< p >text</ p >",
    "  spaces\tstay \r\n", "if x <a and b> y", "\u200bzero\u00adwidth\u202e", "<p", "<a title='x>",
]  # fmt: skip
HTML = {
    "<p>Hello &amp; bye</p>": "Hello & bye",
    "<p>One</p>\n  <p>Two\n lines</p>": "One\n\nTwo lines",
    "<P CLASS=lead>Caps</P>": "Caps",
    "<p> Padded </p>": "Padded",
    "One<br>two<br/>three<br /><br />four": "One\ntwo\nthree\n\nfour",
    "<p>A</p><ul> <li>one</li> <li>two</li> </ul><p>B</p>": "A\n\none\ntwo\n\nB",
    "<h2>Head</h2>Text<blockquote>Said</blockquote>more": "Head\n\nText\n\nSaid\n\nmore",
    "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>": "a b\n1 2",
    "A <em>word</em> in\n\ntwo paragraphs": "A word in\n\ntwo paragraphs",
    'Text with <a href="https://x.example/?a=1&b=2">a link</a>.': "Text with a link.",
    "H<sub>2</sub>O": "H2O",
    "<p>a&nbsp;b &#8217;c&#x2019; &hellip;</p>": "a b \u2019c\u2019 \u2026",
    "<p>5 &lt; 6 and List&lt;String&gt;</p>": "5 < 6 and List<String>",
    "<p>5 < 6, a<b then c, List<String> too</p>": "5 < 6, a<b then c, List<String> too",
    "<p>write &lt;b&gt;x&lt;/b&gt; for bold</p>": "write <b>x</b> for bold",
    "<script>if (a<b) { x = '<p>'; }</script><p>Seen</p>": "Seen",
    "<style>p > b {}</style><p>Seen</p><noscript><img src=x></noscript>": "Seen",
    "<p>A</p><iframe src='https://v.example'>no frames</iframe><p>B</p>": "A\n\nB",
    "<iframe src='https://v.example'/><p>Seen</p>": "Seen",
    "<!-- wp:paragraph --><p>Seen</p><!-- <script> -->": "Seen",
    "<figure><img src='a.jpg' alt='Alt'><figcaption>Caption</figcaption></figure><p>T</p>": "T",
    "<figure class='table'><table><tr><td>1</td></tr></table></figure><p>T</p>": "1\n\nT",
    "<p>Seen<img src='https://t.example/pixel.gif' width='1' height='1'/></p>": "Seen",
    "<p>Cut <a href='https://x.exa": "Cut",
    "<p>Cut</p": "Cut",
    "<!--[if mso]><p>Outlook</p><![endif]--><!--[if !mso]><!--><p>Seen</p><!--<![endif]-->": "Seen",
    "<!--><p>Seen</p><!-- x --!><p>too</p>": "Seen\n\ntoo",
    "<p>where <math><mrow><mi>x</mi><mo>&lt;</mo><mn>3</mn></mrow></math></p>": "where x<3",
    "<![CDATA[<p>Seen</p>]]>": "Seen",
    "<pre>a\nb</pre>": "a\nb", "<DIV><PRE>a\nb</PRE></DIV>": "a\nb",
    "a<br> <br>\n<br> b": "a\n\nb",
    "<p>x</p><o:p></o:p><amp-img src='a'></amp-img>": "x",
    "<!DOCTYPE html><html><head><title>T</title></head><body><p>x</p></body></html>": "x",
    '<p title="a > b">x</p>': "x",
    "<p>tag \U000e0041\U000e0042 &#xE0043;</p>": "tag \U000e0041\U000e0042 \U000e0043",
    "AT&amp;T": "AT&T",
    "Don&#8217;t": "Don\u2019t",
    "Don&amp;#8217;t": "Don\u2019t",
    "M&uuml;nchen\n\nund &quot;mehr&quot;": 'M\u00fcnchen\n\nund "mehr"',
    "&lt;p&gt;Escaped &amp;amp; twice&lt;/p&gt;": "Escaped & twice",
    "Use the &lt;p&gt; tag": "Use the <p> tag",
}  # fmt: skip
BOILERPLATE = [
    "<p>The post <a href='x'>A title</a> appeared first on <a href='y'>A site</a>.</p>",
    "<p>Der Beitrag <a href='x'>Titel</a> erschien zuerst auf <a href='y'>Seite</a>.</p>",
    "<p>Het bericht <a href='x'>Titel</a> verscheen eerst op <a href='y'>Site</a>.</p>",
    "<p>L&#8217;article <a href='x'>T</a> est apparu en premier sur <a href='y'>Site</a>.</p>",
    "<p>La entrada <a href='x'>T</a> se public\u00f3 primero en <a href='y'>S</a>.</p>",
    "<p><a href='x'>Continue reading <span>T</span> <span>&rarr;</span></a></p>",
    "<a href='x'>Read more &#187;</a>", "<p>Read the full article at A site.</p>",
    "<br/><a href='x'>Weiterlesen</a>", "<p><a href='x'>Flattr this!</a></p>",
    "<p>Share this: </p>",
    "<br/>submitted by <a> /u/somebody </a><br/><a>[link]</a> <a>[comments]</a>",
]  # fmt: skip
HOSTILE = {
    "unclosed": "<p>" * 100_000, "unclosed divs": "<div>" * 100_000,
    "nested": "<div>" * 10_000 + "x" + "</div>" * 10_000, "formatting": "<p>x<a><b>" * 50_000,
    "4 MB of <": "<p>x</p>" + "<" * 4_000_000, "names": "<p>x" + "<a " * 500_000,
    "attributes": "<p " + " ".join(f"a{i}=b" for i in range(200_000)) + ">x",
    "quotes": "<p>x" + '<a b="' * 300_000,
    "mixed quotes": "<p>x" + "<a b=\"<a c='\" d=\"" * 200_000,
    "comments": "<p>x" + "<!--" * 500_000, "scripts": "<p>x<script></script" * 100_000,
    "entities": "&amp;" * 400_000, "a number": "&#" + "9" * 4_000_000 + ";",
    "mentions": "the <p> tag " * 100_000, "backticks": "`<p>" * 300_000,
    "breaks": "<br>x " * 300_000,
    "spaces": "<p>x" + " \n" * 1_000_000 + "y</p>", "pre": "<p>x" + "<pre>" * 200_000,
    "escaped": "&lt;p" * 400_000, "signs": "<p a=b" * 300_000,
    "boilerplate": "<p>x</p>" + "<p>Read more</p>" * 50_000,
}  # fmt: skip
WORDS = st.text(alphabet="abc \u00e9\u4e2d<>&\"'/=;!?-`\n\t", max_size=60)


@pytest.mark.parametrize("text", NO_HTML)
def test_what_is_no_html_is_unchanged(text: str) -> None:
    """Comparisons, hearts, types, code, mathematics, Markdown, and texts about tags."""
    assert plain_text(text) == text


@pytest.mark.parametrize("source", HTML)
def test_html_becomes_what_a_reader_sees(source: str) -> None:
    """Blocks become paragraphs, entities characters, and what is for machines goes."""
    assert render(None, source) == HTML[source]


@pytest.mark.parametrize("appended", BOILERPLATE)
def test_what_feeds_append_goes_where_it_ends_html(appended: str) -> None:
    """It stays where it is all there is, where something follows it, and in a text without tags."""
    whole = f"<p>It rained. Nobody read more.</p>{appended}"
    shown = plain_text(appended).strip()

    assert render(None, whole) == "It rained. Nobody read more."
    assert shown
    assert render(None, f"{appended}<p>After.</p>").startswith(shown.split("\n")[0])
    assert render(None, f"It rained.\n\n{shown}") == f"It rained.\n\n{shown}"


def test_an_excerpt_ends_with_its_ellipsis() -> None:
    """The link to the rest, in the same paragraph, goes."""
    excerpt = "<p>It rained all day [&#8230;] <a href='x'>Continue reading A title &rarr;</a></p>"

    assert render(None, excerpt) == "It rained all day [\u2026]"


def test_a_title_without_markup_is_one_line() -> None:
    """Its inline elements and entities go; a title without any stays as it came."""
    assert rendered_title("A <i>rare</i>\n beetle &amp; its<br/>home") == "A rare beetle & its home"
    for title in ("a\t& b", "".join(("a\t", "& b"))):  # equal, but not the same string
        assert rendered_title(title) == "a\t& b"
    assert rendered_title(" From <Answer> \n to <Think> ") == "From <Answer> \n to <Think>"


@given(st.text(alphabet=st.characters(exclude_characters="<&")))
def test_a_text_without_tags_and_entities_is_unchanged(text: str) -> None:
    """Whatever its characters."""
    assert plain_text(text) is text


@given(WORDS)
def test_escaped_text_in_a_paragraph_is_itself(text: str) -> None:
    """But for its white space: whatever it looks like, it is rendered once."""
    shown = plain_text(f"<p class='x'>{html.escape(text)}</p>")

    assert shown.split() == text.split()


@given(st.lists(st.sampled_from([*HTML, *NO_HTML, "<p>", "</div>", "<b", ">", '"', "'", "&"])))
def test_what_has_a_text_is_rendered_to_one(parts: list[str]) -> None:
    """A decoder takes the first field that has a text, and renders it."""
    source = "".join(parts)

    assert has_text(source) == bool(re.search(r"\S", render(None, source)))


@given(st.lists(st.sampled_from(
    ["<p>", "</p>", "<b>", "</b>", "<ul>", "<li>", "</li></ul>", "<br/>", "<h2>", "</h2>", "word ",
     "&amp;", "&#8217;", "5 &lt; 6", "\n", "<a href='x'>", "</a>", "<img src='y'>", "<div class=z>"]
), min_size=1))  # fmt: skip
def test_it_reads_the_words_that_a_browser_reads(parts: list[str]) -> None:
    """As a parser that builds the tree."""
    source = "<p>" + "".join(parts) + "</p>"
    body = LexborHTMLParser(source).body
    read = body.text() if body is not None else ""

    assert "".join(plain_text(source).split()) == "".join(read.split())


@pytest.mark.parametrize("kind", HOSTILE)
def test_the_cost_is_linear_in_hostile_texts(kind: str) -> None:
    """Twice the text costs about twice the time, not four times: a megabyte a second at least."""
    text = HOSTILE[kind]
    started = time.process_time()
    render(text[:1_000], text)

    assert time.process_time() - started < 0.2 + len(text) / 1_000_000


def test_a_long_line_of_a_link_back_is_looked_at_in_little_time() -> None:
    """Patterns with two gaps, on a line that fits them many times."""
    line = "The post appeared first " * 15
    started = time.process_time()
    for _ in range(100):
        without_boilerplate(f"Text\n{line}")

    assert time.process_time() - started < 0.5


def test_markdown_with_tags_in_its_code_alone_is_no_html() -> None:
    """A code span ends with its line, and a fence that does not end takes the rest."""
    assert not is_html("`<p>x</p>`\n```\n<p class='a'>y</p>\n")
    assert is_html("`<p>x</p>`\n<p class='a'>y</p>\n")
