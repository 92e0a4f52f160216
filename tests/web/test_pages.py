"""The pages of the site beside articles: letters, drift, students, the status; errors and files."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from newsieve.errors import BrokerUnavailable
from newsieve.web.letter_pages import replay_command
from newsieve.web.model_card import rendered_card
from newsieve.web.refreshed import Refreshed
from newsieve.web.site import DriftReport
from tests.support.filled_store import Filled
from tests.support.html_page import read_page
from tests.support.pages import client_of, shown

PAGES = ("/articles", "/dead-letters", "/drift", "/students", "/status", "/sign-in")


@pytest.mark.parametrize("path", PAGES)
def test_each_page_stands_over_an_empty_store(client: TestClient, path: str) -> None:
    """It says that there is nothing yet."""
    page = shown(client, path)
    assert page.all("main") and page.all("nav") and page.all("a", "skip")
    current = [a.attributes["href"] for a in page.all("a") if "aria-current" in a.attributes]
    assert (path in current) == (path != "/sign-in")


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
    parts = [[cell.text for cell in row.children] for row in incident.all("tbody")[0].all("tr")]
    assert parts == [
        ["The error of justice", "60 %", "0.71", "1.64", "1.40 to 1.90"],
        ["Student minus oracle in wonder", "20 %", "1.60", "-0.90", "-1.70 to -0.10"],
        ["another", "5 %", "0.00", "1.00", "0.50 to 1.50"],
    ]
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
