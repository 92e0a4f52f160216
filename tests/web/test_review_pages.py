"""`/review`: blind, kept, safe; who may, and what is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from newsieve.programs.reviewing.service import Reviewing, SampleWanted
from newsieve.store.reviews import ReviewStore
from tests.support.evil_texts import EVIL
from tests.support.reviewers import HOST, TOKEN, Browser, reviews, sampled
from tests.support.reviews import FILTER, NAMES
from tests.support.site import Filled, app_of, make_site, serve_settings

REVIEWER = {"authorization": f"Bearer {TOKEN}"}
HOSTILE = (
    '<script>alert(1)</script><svg onload="alert(2)"><b>bold</b>',
    '"><img src=x onerror=alert(3)>',
    "{{ 7*7 }}{% raw %}",
    "x" * 1_000_000,
    *EVIL[::2],
)
INVISIBLE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return sampled(
        tmp_path / "store.db", tier="secret_tier", weighted_average=4.4444, score=3.3333,
        tier_confidence=0.9876,
    )  # fmt: skip


@pytest.fixture
def ann(path: Path) -> Iterator[Browser]:
    with Browser(path, "ann") as browser:
        yield browser


def test_a_page_to_review_on_is_blind(ann: Browser) -> None:
    """No score or tier of student or oracle is anywhere in it, nor why the article was drawn."""
    page = ann.get("/review").text
    page = page[page.index("<main") :]  # the navigation has words of other pages
    assert re.search(r"Content \d of a story", page)
    assert "gazette.example" in page
    for secret in (
        "7.31", "4.44", "3.33", "0.98", "secret", "not_uplifting", "not uplifting",
        "tudent", "racle", "Neighbours help", "random",
        "disagree", "sha256", "confidence", "checked",
    ):  # fmt: skip
        assert secret not in page, secret


def test_a_page_is_the_same_whatever_student_and_oracle_say(tmp_path: Path) -> None:
    """And whether an article was drawn for its disagreement, or at random."""
    paths = (
        sampled(tmp_path / "one.db", 7.3179, 2),
        sampled(tmp_path / "other.db", 1.0, 9, tier="impact", gates=["collective_benefit"]),
    )
    found = []
    for path in paths:
        with Browser(path, "ann") as ann:
            pages = {}
            while "Nothing to review" not in (page := ann.get("/review").text):
                pages[ann.text_of()] = re.sub(r"\d reviewed, \d waiting|saved=\w+", "", page)
                ann.submit()
        found.append(pages)
    assert len(found[0]) == 3
    assert found[0] == found[1]


def test_the_form_has_eleven_scores_for_each_dimension_with_its_definition(ann: Browser) -> None:
    """From 0 to 10, none chosen, by name and by the paragraph of the prompt."""
    page = ann.get("/review").text
    for name in NAMES:
        values = re.findall(rf'name="score-{name}" value="(\d+)" required>', page)
        assert values == [str(score) for score in range(11)]
    assert "People or communities acting effectively toward wellbeing." in page
    assert "Stay at 2 or below for business partnerships" in page


def test_whoever_may_not_review_is_told_how_to(path: Path) -> None:
    """Without a session, with one that only reads, and with a token but without a name."""
    with Browser(path) as nobody:
        cases = [
            ({}, "Sign in with a token that allows reviews"),
            (REVIEWER, "A review needs a name"),
        ]
        for headers, advice in cases:
            for method, address in (
                ("GET", "/review"),
                ("POST", "/review"),
                ("POST", "/review/sample"),
                ("GET", f"/review/compared?text={'0' * 64}"),
            ):
                answer = nobody.request(method, address, headers=headers)
                assert answer.status_code == 403
                assert advice in answer.text
                assert 'href="/sign-in?next=/review"' in answer.text
        assert nobody.get("/review/report").status_code == 200


def test_a_site_without_a_review_token_says_so(path: Path) -> None:
    """Nobody can sign in for it."""
    app = app_of(make_site(serve_settings(path)))
    with TestClient(app, HOST) as client:
        assert "serve.review_token" in client.get("/review").text


def test_what_was_reviewed_can_be_compared_afterwards_and_not_before(ann: Browser) -> None:
    """Only by whoever has reviewed it."""
    text = ann.text_of()
    compared = f"/review/compared?filter=uplifting&text={text}"
    assert ann.get(compared).status_code == 404
    ann.submit(text=text)
    page = ann.get(compared).text
    assert ">7.3</td>" in page
    assert ">2</td>" in page
    assert "secret tier" in page
    assert ann.get("/review/compared?text=junk").status_code == 422
    link = f'href="/review/compared?filter=uplifting&amp;text={text}"'
    assert link in ann.get(f"/review?filter=uplifting&saved={text}").text


def test_hostile_articles_names_and_notes_are_text(tmp_path: Path) -> None:
    """On the page to review, on the comparison and in the report."""
    path = tmp_path / "store.db"
    with Filled(path) as store:
        for number, text in enumerate(HOSTILE):
            title = text[:9_999]
            store.article(
                f"a{number}", title, f"{text}\n\n{number}", source=title[:900],
                published_at=title[:99],
            )  # fmt: skip
    Reviewing(ReviewStore(path)).draw(FILTER, SampleWanted(len(HOSTILE)))
    answers = []
    with Browser(path, HOSTILE[0]) as browser:
        for note in HOSTILE:
            answers.append(browser.get("/review"))
            text_hash = browser.text_of()
            assert browser.submit(text=text_hash, note=note[:4_000]).status_code == 303
            answers.append(browser.get(f"/review/compared?filter=uplifting&text={text_hash}"))
        answers.append(browser.get("/review/report"))
    assert len(reviews(path)) == len(HOSTILE)
    for answer in answers:
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "<svg onload" not in answer.text
        assert "<img" not in answer.text
        assert not re.search(INVISIBLE, answer.text)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert len(answer.text) < 2_000_000


def test_the_report_is_a_page(ann: Browser) -> None:
    """It names who is compared with whom, in each half, and what is not there yet."""
    assert "No article is reviewed yet" in ann.get("/review/report").text
    for _ in range(3):
        ann.submit()
    page = ann.get("/review/report?filter=uplifting").text
    assert "student" in page
    assert "human ann" in page
    assert "collective benefit" in page
    assert "secret tier" in page
    assert ann.get("/review/report?filter=nowhere").status_code == 404
    assert "No article is reviewed yet" in ann.get("/review/report?filter=sustainability").text
