"""Articles as pages: lists, cards, one article whole, and whatever stands in it."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from newsieve.filters.rendering import rendered_title
from newsieve.web.cards import TITLE_CHARACTERS
from tests.support.filled_store import SAME, Filled
from tests.support.html_page import read_page
from tests.support.pages import shown, titles

HOSTILE = (
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><img src=x onerror=alert(2)>",
    "\x1b[31mred\x07",
    "safe\u202egnp.exe\u2066",
    '"><a href="javascript:alert(3)">x</a>',
    "{{ 7 * 7 }}{% raw %}",
    "\u0000\u200b\ufeff",
)


def test_the_first_page_is_the_first_filter(client: TestClient) -> None:
    """The address says which, so that it can be kept."""
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/articles?filter=uplifting")


def test_a_card_says_what_decided(client: TestClient, store: Filled) -> None:
    """Tier, score, conditions, confidence, tokens, where it came from, and the oracle's label."""
    store.article("one", level=6.0, label=3, truncated=True, suspect=["instruction"])
    store.article(
        "two", outcome="blocked", scores=None, weighted_average=None, score=None, tier=None,
        blocked_by="code_hosting_domains", content_rules=["code_hosting_domains"], tokens=None,
        truncated=None, tier_confidence=None,
    )  # fmt: skip

    blocked, scored = shown(client, "/articles?filter=uplifting").all("article")

    assert "connection" in scored.all("span", "tier", "published")[0].text
    assert scored.all("span", "score")[0].text == "score 6.0"
    for said in (
        "connection needs score >= 4.0", "Not impact, which needs score >= 7.0",
        "probability of 83%", "312 tokens, and no more", "tells a model what to do",
        "articles.raw, partition 0, offset 1", "oracle: not uplifting",
        "Neighbours help each other.", "openai/oracle-1",
    ):  # fmt: skip
        assert said in scored.text, said
    rows = [[cell.text for cell in row.children] for row in scored.all("tbody")[0].all("tr")]
    assert rows[0] == ["agency", "", "6.0", "3"]
    assert "Blocked by the content rule code_hosting_domains: Repositories" in blocked.text
    assert blocked.all("span", "tier", "blocked") and not blocked.all("table")
    (link,) = scored.all("h2")[0].all("a")
    assert link.attributes["href"] == "https://news.example.org/one"
    assert link.attributes["rel"] == "noopener noreferrer nofollow"


def test_limits_are_said_with_their_conditions(client: TestClient, store: Filled) -> None:
    """A gate and a cap, where this machine's filter is the one that decided."""
    store.article("one", gates=["no_such_gate"], caps=["corporate_finance"])
    store.article("two", filter_hash="sha256:" + "0" * 64, caps=["corporate_finance"])
    other, same = shown(client, "/articles?filter=uplifting").all("article")
    assert "The gate no_such_gate limits the score." in same.text
    assert re.search(r"cap of the rule corporate_finance limits the score to \d", same.text)
    assert "another definition of uplifting" in other.text and "needs score" not in other.text


def test_lists_are_chosen_by_filter_tier_and_all_else(client: TestClient, store: Filled) -> None:
    """Tabs count, published tiers come first, and a form keeps what was chosen."""
    store.article("low", level=2.0, language="de", source="a.example")
    store.article("high", "A heron came back", level=8.0)
    store.article("other", filter_="sustainability", level=8.0)

    page = shown(client, "/articles?filter=uplifting")
    tabs, tiers = (nav.all("li") for nav in page.all("nav")[1:3])
    assert [item.text for item in tabs] == [
        "uplifting 2", "sustainability 1", "investment risk 0", "all filters 3",
    ]  # fmt: skip
    assert [item.text for item in tiers] == [
        "all 2", "impact 1", "connection 0", "not uplifting 1",
    ]  # fmt: skip

    def found(parameters: str) -> list[str]:
        return titles(shown(client, f"/articles?{parameters}"))

    assert found("filter=uplifting") == ["A heron came back", "Title of low"]
    assert found("filter=uplifting&tier=impact") == ["A heron came back"]
    assert found("q=heron") == ["A heron came back"]
    assert found("language=de") == found("source=a.example") == ["Title of low"]
    assert found("min_score=5&filter=uplifting") == ["A heron came back"]
    assert found("since=2031-01-01") == []
    assert len(found("")) == 3
    form = shown(client, "/articles?filter=uplifting&tier=impact&q=%22heron").all("form")[0]
    values = {i.attributes["name"]: i.attributes.get("value") for i in form.all("input")}
    assert (values["filter"], values["tier"], values["q"]) == ("uplifting", "impact", '"heron')
    options = [item.attributes["value"] for item in form.all("datalist")[0].all("option")]
    assert sorted(options) == ["a.example", "news.example.org"]


def test_older_articles_are_behind_a_link(client: TestClient, store: Filled) -> None:
    """No article is on two pages, and none on no page."""
    for number in range(7):
        store.article(f"n{number}")
    seen, address = [], "/articles?filter=uplifting&limit=3"
    while True:
        page = shown(client, address)
        seen += titles(page)
        older = [a for a in page.all("a") if a.attributes.get("rel") == "next"]
        if not older:
            break
        address = older[0].attributes["href"]
    assert seen == [f"Title of n{number}" for number in reversed(range(7))]
    assert "To the newest" in page.text


def test_copies_are_folded_behind_the_first(client: TestClient, store: Filled) -> None:
    """They unfold on the card, and all are on the article's page."""
    for number in range(4):
        store.article(f"c{number}", f"Heading {number}", SAME, source=f"{number}.example")
    (card,) = shown(client, "/articles?filter=uplifting").all("article")
    assert "+3 copies" in card.text
    copies = card.all("details", "copies")[0].all("li")
    assert [item.text for item in copies] == [
        f"Heading {number} {number}.example {item.text[-16:]}"
        for number, item in enumerate(copies, start=1)
    ]
    page = shown(client, card.all("p", "links")[0].all("a")[0].attributes["href"])
    assert "3 copies of this story" in page.text


def test_an_article_is_shown_whole(client: TestClient, store: Filled) -> None:
    """Its text, each filter's outcome, its labels and its records."""
    text = "First line.\n\n\tSecond <b>line</b>.\r\nThird."
    store.article("one", content=text, label=5)
    last = store.article("one", content=text, filter_="sustainability")
    page = shown(client, f"/articles/{last}")
    assert [item.all("h2")[0].text for item in page.all("section", "card")] == [
        "sustainability", "uplifting",
    ]  # fmt: skip
    (shown_text,) = page.all("div", "text")
    assert "".join(shown_text.parts) == "First line.\n\n    Second <b>line</b>.\nThird."
    assert '"oracle_scores": {' in page.text and '"filter": "uplifting"' in page.text
    assert client.get("/articles/by-id/one").headers["location"] == f"/articles/{last}"
    assert client.get(f"/articles/{last}/text").text == text


def test_a_long_text_is_cut_in_the_page_and_whole_in_the_file(
    client: TestClient, store: Filled
) -> None:
    """The page says how much is left out."""
    text = "word " * 100_000
    last = store.article("long", content=text)
    assert "200,000 more characters" in shown(client, f"/articles/{last}").text
    answer = client.get(f"/articles/{last}/text")
    assert answer.text == text
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_an_article_says_is_text(client: TestClient, store: Filled, text: str) -> None:
    """Markup is rendered to text or shown, and never run; invisible characters are seen, and so are
    those of dead letters."""
    title = f"before {text} after"
    last = store.article(
        "a" + text,
        title,
        f"{text} content",
        source=text,
        language=text[:90],
        published_at=text[:90],
    )
    store.letter(f'{{"title": "{text}"}}'.encode(), text.encode(), error=text, message=text)
    visible = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff]*")
    for path in ("/articles", f"/articles/{last}", "/dead-letters", "/dead-letters/1"):
        page = shown(client, path)
        assert visible.fullmatch(page.text), path
        assert "before 49" not in page.text
    card = titles(shown(client, "/articles"))[0]
    assert card.startswith("before ") and card.endswith(" after")
    if text.isprintable():
        assert card == rendered_title(title)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "//evil", "file:///etc", "HTTPS:", " x"]
)
def test_what_is_no_address_on_the_web_is_no_link(
    client: TestClient, store: Filled, address: str
) -> None:
    """The title then leads to the article's own page."""
    last = store.article("one", url=address)
    (card,) = shown(client, "/articles").all("article")
    assert card.all("h2")[0].all("a")[0].attributes["href"] == f"/articles/{last}"
    assert address.strip() in shown(client, f"/articles/{last}").text


def test_a_title_of_a_megabyte_is_cut_in_lists(client: TestClient, store: Filled) -> None:
    """The article's page has all of it."""
    title = "W" * 1_000_000
    last = store.article("big", title)
    answer = client.get("/articles")
    assert titles(read_page(answer.text)) == ["W" * (TITLE_CHARACTERS - 1) + "…"]
    assert len(answer.text) < 40_000
    assert shown(client, f"/articles/{last}").all("h1")[0].text == title


def test_a_title_of_several_lines_is_one(client: TestClient, store: Filled) -> None:
    """White space is a blank, and no title at all is said."""
    last = store.article("lines", " Two\n\tlines ")
    store.article("none", "")
    assert titles(shown(client, "/articles")) == ["(no title)", "Two lines"]
    assert shown(client, f"/articles/{last}").all("h1")[0].text == "Two lines"


def test_records_of_other_versions_are_shown_as_far_as_they_are_known(
    client: TestClient, store: Filled
) -> None:
    """A field that is missing or strange takes nobody's page away."""
    store.article("one")
    connection = store.connection
    connection.execute("UPDATE outcomes SET record = replace(record, '\"scores\"', '\"marks\"')")
    (card,) = shown(client, "/articles").all("article")
    assert card.all("h2")[0].text == "Title of one" and "connection" in card.text
    shown(client, "/articles/1")
    shown(client, "/students")
