"""The pages of the site, over a store: what they show, and that it harms nobody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from newsieve.errors import BrokerUnavailable
from newsieve.web.cards import TITLE_CHARACTERS
from newsieve.web.guards import CONTENT_SECURITY_POLICY
from newsieve.web.letter_pages import replay_command
from newsieve.web.model_card import rendered_card
from newsieve.web.refreshed import Refreshed
from newsieve.web.sign_in import local_address
from newsieve.web.site import DriftReport
from tests.support.html_page import Element, read_page
from tests.support.site import Filled, app_of, make_site, serve_settings

PAGES = ("/articles", "/dead-letters", "/drift", "/students", "/status", "/sign-in")
HTML = {"accept": "text/html"}
HOSTILE = (
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><img src=x onerror=alert(2)>",
    "\x1b[31mred\x07",
    "safe\u202egnp.exe\u2066",
    '"><a href="javascript:alert(3)">x</a>',
    "{{ 7 * 7 }}{% raw %}",
    "\u0000\u200b\ufeff",
)
SAME = "The council of a village opened a library. " * 20
TOKEN, REVIEW_TOKEN = "r" * 32, "w" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Filled]:
    with Filled(tmp_path / "store.db") as filled:
        yield filled


@pytest.fixture
def client(store: Filled) -> Iterator[TestClient]:
    with client_of(store) as made:
        yield made


def client_of(store: Filled, replaced: dict[str, Any] | None = None, **serve: Any) -> TestClient:
    site = make_site(serve_settings(store.path, **serve), **(replaced or {}))
    return TestClient(
        app_of(site), base_url="http://localhost", headers=HTML, follow_redirects=False
    )


def shown(client: TestClient, address: str, status: int = 200) -> Element:
    """What a page's elements are. Each page has its headers, one heading, and no script in it."""
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = read_page(answer.text)
    assert len(page.all("h1")) == 1
    for item in page.below():
        assert not any(name == "style" or name.startswith("on") for name in item.attributes)
        for name in ("href", "src", "action"):
            if name in item.attributes:
                assert re.match(r"https?://|/|#|\?", item.attributes[name]), item
        if item.tag == "script":
            assert item.attributes["src"].startswith("/static/") and item.text == ""
        assert item.tag not in {"style", "iframe", "object", "embed", "base", "img"}
    return page


def titles(page: Element) -> list[str]:
    return [item.all("h2")[0].text for item in page.all("article")]


def test_the_first_page_is_the_first_filter(client: TestClient) -> None:
    """The address says which, so that it can be kept."""
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/articles?filter=uplifting")


@pytest.mark.parametrize("path", PAGES)
def test_each_page_stands_over_an_empty_store(client: TestClient, path: str) -> None:
    """It says that there is nothing yet."""
    page = shown(client, path)
    assert page.all("main") and page.all("nav") and page.all("a", "skip")
    current = [a.attributes["href"] for a in page.all("a") if "aria-current" in a.attributes]
    assert (path in current) == (path != "/sign-in")


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
    """Markup is shown and not run, invisible characters are seen; so are those of dead letters."""
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
        assert card == title


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


def test_dead_letters_say_why_and_how_to_put_them_back(client: TestClient, store: Filled) -> None:
    """With the bytes as they were, and whether it was done."""
    store.letter(b'{"id": 1}', error="InvalidTitle", filter="uplifting", offset=7)
    store.letter(b"\xff\x00\n", error="NotUtf8", stage="decode", offset=8)
    store.replayed(1, 7)
    page = shown(client, "/dead-letters")
    assert [row.all("th")[0].text for row in page.all("tbody")[1].all("tr")] == [
        "NotUtf8", "InvalidTitle",
    ]  # fmt: skip
    assert "newsieve dlq replay --stage decode --error NotUtf8" in page.text
    first, second = shown(client, "/dead-letters/1"), shown(client, "/dead-letters/2")
    assert first.all("pre", "original")[0].text == '{"id": 1}'
    assert "Replayed yes" in first.text.replace("\n", " ") or "yes" in first.all("dd")[4].text
    assert "--stage validate --error InvalidTitle --filter uplifting --since 20" in first.text
    assert not second.all("pre", "original") and "It is not UTF-8" in second.text
    assert "000000 ff 00 0a" in second.all("pre", "dump")[0].text
    sent = client.get("/dead-letters/2/value")
    assert sent.content == b"\xff\x00\n"
    assert sent.headers["content-type"] == "application/octet-stream"
    assert sent.headers["content-disposition"].startswith("attachment")


def test_a_letter_of_another_topic_is_not_put_back(client: TestClient, store: Filled) -> None:
    """No command is shown, since it would leave it where it is."""
    store.letter(topic="articles.control")
    page = shown(client, "/dead-letters/1")
    assert "It is no raw record" in page.text and "--since" not in page.text


def test_commands_are_quoted_for_a_shell() -> None:
    """Whatever a header says is one argument; a stage that there is not is no option."""
    assert replay_command("x; rm", "a b'$(id)", "f", 0) == (
        "newsieve dlq replay --error 'a b'\"'\"'$(id)' --filter f "
        "--since 1970-01-01T00:00:00.000Z --until 1970-01-01T00:00:00.001Z"
    )


def test_letters_are_listed_in_pages(client: TestClient, store: Filled) -> None:
    """Fifty of them, and a link to the older ones."""
    for number in range(51):
        store.letter(error=f"E{number}")
    page = shown(client, "/dead-letters")
    (older,) = (a for a in page.all("a") if a.attributes.get("rel") == "next")
    rest = shown(client, older.attributes["href"])
    assert [row.all("th")[0].text for row in rest.all("tbody")[0].all("tr")] == ["E0"]


def test_an_incident_has_its_course(client: TestClient, store: Filled) -> None:
    """Cause, action and examples, also while no broker answers."""
    store.article("one")
    store.alert("pending", "ok")
    store.alert("alert", "pending")
    page = shown(client, "/drift")
    assert "no broker answers" in page.text
    (row,) = page.all("tbody")[0].all("tr")
    assert "concept drift" in row.text and row.text.endswith("2")
    incident = shown(client, row.all("a")[0].attributes["href"])
    assert [item.all("span", "state")[1].text for item in incident.all("ol")[0].all("li")] == [
        "pending", "alert",
    ]  # fmt: skip
    assert "Train a new student." in incident.text
    (example,) = (a for a in incident.all("a") if "by-id" in a.attributes["href"])
    assert client.get(example.attributes["href"]).headers["location"] == "/articles/1"


def test_the_last_known_drift_is_shown_while_the_broker_is_away(store: Filled) -> None:
    """With how old it is, and why."""
    reports = iter([DriftReport(*empty_state(), read_ms=store.now_ms)])

    def read() -> DriftReport:
        for report in reports:
            return report
        raise BrokerUnavailable("the broker is away")

    with client_of(store, {"drift": Refreshed(read, 0.0)}) as client:
        assert "No monitor of group watchers" in shown(client, "/drift").text
        page = shown(client, "/drift")
        assert "the broker is away" in page.text and "No monitor of group" in page.text


def empty_state() -> tuple[Any, Any]:
    from newsieve.programs.drift.current_state import CurrentState, MonitorGroup

    return CurrentState({}, {}), MonitorGroup("watchers", at_work=False, standing_by=0)


def test_students_are_shown_with_their_cards(client: TestClient, store: Filled) -> None:
    """Who scored lately, canaries, metrics, and a filter without a student."""
    store.article("one")
    store.canaries(passed=False)
    page = shown(client, "/students")
    first, _, third = page.all("section", "card")
    assert "sha256:555555555555" in first.text and "failed" in first.text
    assert "error (MAE) 1.35" in first.text and first.all("h3")[-1].text != "Dimensions"
    assert "no usable student" in third.text
    assert "/filters/builtin" not in first.text


def test_a_model_card_is_no_markup_of_its_own() -> None:
    """Tables and headings are rendered; HTML, pictures and strange links are text."""
    card = rendered_card(
        "---\na: b\n---\n# One\n\n<script>alert(1)</script> ![p](https://x/y.png) "
        "[a](javascript:alert(1)) [b](https://x/)\n\n| a | b |\n|---|---|\n| 1 | \x1b |\n"
    )
    page = read_page(str(card))
    assert page.all("h3")[0].text == "One" and page.all("td")[1].text == "\\u001b"
    assert {item.tag for item in page.below()}.isdisjoint({"script", "img"})
    links = {link.attributes["href"]: link.attributes["rel"] for link in page.all("a")}
    assert links == dict.fromkeys(["https://x/y.png", "https://x/"], "noopener noreferrer nofollow")


def test_the_status_counts_what_comes(client: TestClient, store: Filled) -> None:
    """Of the last minute by filter and tier, with latency, lag and whether topics are read."""
    for number in range(3):
        store.article(f"n{number}")
    page = shown(client, "/status")
    figures = {item.all("dt")[0].text: item.all("dd")[0].text for item in page.all("div")
               if len(item.all("dt")) == 1}  # fmt: skip
    assert figures["outcomes in the last minute"] == "3"
    assert figures["raw records that wait for workers"] == "12"
    assert figures["records that wait for these pages"] == "3"
    assert figures["end to end, 50 % are faster"] == "350 ms"
    assert [cell.text for cell in page.all("tbody")[0].all("td")] == ["connection", "3", "3", "3"]
    assert "uplifting 3" in page.all("svg", "hours")[0].text or "uplifting 3" in page.text


@pytest.mark.parametrize(
    ("address", "status"),
    [("/nowhere", 404), ("/articles/99", 404), ("/articles/x", 422), ("/dead-letters/9", 404),
     ("/articles?before=x", 422), ("/articles?min_score=11", 422), ("/articles?what=1", 422),
     ("/drift/incidents/none", 404), ("/articles/by-id/none", 404),
     (f"/articles/{10**30}", 404)],
)  # fmt: skip
def test_errors_are_pages_for_people_and_problems_for_programs(
    client: TestClient, address: str, status: int
) -> None:
    """In the frame of all pages, with what is wrong."""
    assert "Status" in shown(client, address, status).text
    answer = client.get(address, headers={"accept": "*/*"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_too_many_requests_are_refused_in_a_page(store: Filled) -> None:
    """It says how long to wait."""
    with client_of(store, requests_per_minute=1) as client:
        shown(client, "/articles")
        answer = client.get("/articles")
    assert answer.status_code == 429 and answer.headers["retry-after"]
    assert "too many requests" in read_page(answer.text).text


def test_signing_in_sets_a_cookie_that_scripts_cannot_read(store: Filled) -> None:
    """And leads to where the visitor wanted to go; a wrong token does neither."""
    with client_of(store, read_token=TOKEN, review_token=REVIEW_TOKEN) as client:
        answer = client.get("/articles?filter=uplifting")
        assert answer.status_code == 303
        address = answer.headers["location"]
        assert parse_qs(urlsplit(address).query)["next"] == ["/articles?filter=uplifting"]
        form = shown(client, address).all("form")[0]
        fields = {i.attributes["name"]: i.attributes.get("value", "") for i in form.all("input")}

        wrong = client.post("/sign-in", data=fields | {"token": "x" * 32})
        assert wrong.status_code == 403 and "set-cookie" not in wrong.headers
        right = client.post("/sign-in", data=fields | {"token": TOKEN, "name": "Ada"})
        assert (right.status_code, right.headers["location"]) == (303, fields["next"])
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie
        assert TOKEN not in cookie

        page = shown(client, "/articles")
        assert "Ada" in page.text and "Sign out" in page.text
        out = client.post("/sign-out")
        assert out.headers["location"] == "/sign-in"
        assert client.get("/articles").status_code == 303


def test_a_cookie_is_for_https_alone_where_the_site_is(store: Filled) -> None:
    """Behind a trusted proxy that says so, or by serve.url."""
    with client_of(store, read_token=TOKEN, url="https://localhost/") as client:
        answer = client.post("/sign-in", data={"token": TOKEN})
        assert "Secure" in answer.headers["set-cookie"]


def test_another_sites_page_cannot_sign_anybody_in(store: Filled) -> None:
    """Nor out, and a form of another kind is refused."""
    with client_of(store, read_token=TOKEN) as client:
        foreign = {"origin": "https://evil.example"}
        answer = client.post("/sign-in", data={"token": TOKEN}, headers=foreign)
        assert answer.status_code == 403
        assert client.post("/sign-in", json={"token": TOKEN}).status_code == 415


@pytest.mark.parametrize(
    "address",
    ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "", "/a\nb", "/\t/evil",
     "javascript:alert(1)", "/ä"],
)  # fmt: skip
def test_nobody_is_led_elsewhere_after_signing_in(address: str) -> None:
    """What is no address of this site is the first page's."""
    assert local_address(address) == "/"


def test_pages_are_compressed_for_those_who_take_it(client: TestClient, store: Filled) -> None:
    """And only for those."""
    store.article("one")
    small = client.get("/articles", headers={"accept-encoding": "gzip"})
    plain = client.get("/articles", headers={"accept-encoding": "identity"})
    assert small.text == plain.text and "content-encoding" not in plain.headers
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert small.headers["vary"] == plain.headers["vary"] == "accept-encoding"


def test_static_files_are_kept_for_ever_under_their_content(client: TestClient) -> None:
    """An address of another version is not there."""
    page = shown(client, "/articles")
    (style,) = (i for i in page.all("link") if i.attributes["rel"] == "stylesheet")
    address = style.attributes["href"]
    answer = client.get(address)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/css")
    assert "url(" not in answer.text and "@import" not in answer.text
    assert client.get(re.sub(r"/static/\w+/", "/static/0/", address)).status_code == 404
    assert client.get("/static/x/..%2fsite.py").status_code == 404
