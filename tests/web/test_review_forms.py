"""Forms of reviews: kept, refused, never somebody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from newsieve.programs.reviewing.service import Reviewing
from newsieve.store.reviews import ReviewStore
from tests.support.reviewers import FORM, HOST, SCORES, Browser, reviews, sampled
from tests.support.reviews import FILTER, NAMES


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


def test_what_is_saved_is_stored_under_the_visitors_name_and_the_next_one_comes(
    path: Path, ann: Browser
) -> None:
    """Once each; then nothing is left, and more can be drawn."""
    seen = set()
    for _ in range(3):
        text = ann.text_of()
        answer = ann.submit(text=text, note="because")
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            f"/review?filter=uplifting&saved={text}",
        )
        seen.add(text)
    assert len(seen) == 3
    assert [(item.oracle.model, item.reasoning) for item in reviews(path)] == [
        ("ann", "because")
    ] * 3
    page = ann.get("/review")
    assert "Nothing to review" in page.text
    assert "3 reviewed, 0 waiting" in page.text
    assert page.headers["cache-control"] == "no-store"


def test_what_cannot_be_judged_is_stored_as_that(path: Path, ann: Browser) -> None:
    """Whatever scores were chosen before."""
    assert ann.submit(action="skip", note="Finnish").status_code == 303
    (review,) = reviews(path)
    assert (review.status, review.oracle_scores, review.reasoning) == ("refused", None, "Finnish")


def test_a_form_that_is_not_valid_keeps_what_was_entered(path: Path, ann: Browser) -> None:
    """And says what is missing; nothing is stored."""
    text = ann.text_of()
    answer = ann.submit(text=text, **{"score-wonder": None, "score-agency": "10"}, note="<b>so</b>")
    assert answer.status_code == 422
    assert "No score yet: wonder." in answer.text
    assert 'name="score-agency" value="10" required checked' in answer.text
    assert len(re.findall(r"required checked", answer.text)) == len(NAMES) - 1
    assert "&lt;b&gt;so&lt;/b&gt;</textarea>" in answer.text
    assert f'value="{text}"' in answer.text
    assert "7.31" not in answer.text
    assert reviews(path) == []


def test_what_no_form_of_ours_sends_is_refused(path: Path, ann: Browser) -> None:
    """With a reason; nothing is stored."""
    for wrong in (
        {"score-wonder": "11"},
        {"score-wonder": "-1"},
        {"score-wonder": "NaN"},
        {"score-wonder": "6.5"},
        {"score-wonder": "true"},
        {"score-wonder": "６"},
        {"score-wunder": "6"},
        {"note": "x" * 4_001},
        {"text": "00" * 32},
        {"text": "zz"},
        {"text": ""},
        {"filter": "nowhere"},
        {"note": "x" * 1_000_000},
    ):
        answer = ann.submit(**wrong)
        assert answer.status_code in {404, 413, 422}, wrong
        assert len(answer.text) < 60_000
    assert reviews(path) == []


def test_a_body_that_is_no_form_is_refused(ann: Browser) -> None:
    """Also one that says two things at once."""
    for body, kind, status in (
        (b'{"a": 1}', "application/json", 415),
        (b"\xff=%ff", FORM, 422),
        (b"score-wonder=1&score-wonder=9", FORM, 422),
        (b"&".join(b"a%d=" % n for n in range(300)), FORM, 422),
        (b"", "", 415),
    ):
        answer = ann.post("/review", content=body, headers={"content-type": kind, "origin": HOST})
        assert answer.status_code == status, body


def test_a_second_judgement_of_the_same_article_is_refused(path: Path, ann: Browser) -> None:
    """The first one stays; the same form sent twice is no error."""
    text = ann.text_of()
    assert ann.submit(text=text).status_code == 303
    assert ann.submit(text=text).status_code == 303
    answer = ann.submit(text=text, **{"score-wonder": "0"})
    assert answer.status_code == 422
    assert "ann has reviewed this article already" in answer.text
    assert [item.oracle_scores for item in reviews(path)] == [dict.fromkeys(NAMES, 6)]


def test_another_site_cannot_send_a_form(path: Path, ann: Browser) -> None:
    """A browser says which page a form comes from."""
    form = {"filter": "uplifting", "text": ann.text_of(), "action": "save", **SCORES}
    for origin in ("https://evil.example", "null"):
        for address in ("/review", "/review/sample"):
            answer = ann.post(
                address,
                content=urlencode(form),
                headers={"content-type": FORM, "origin": origin},
            )
            assert answer.status_code == 403
    assert reviews(path) == []


def test_the_name_comes_from_the_session_and_never_from_the_form(path: Path, ann: Browser) -> None:
    """Whoever sends another one is still who signed in."""
    ann.submit(reviewer="bob", name="bob")
    assert [item.oracle.model for item in reviews(path)] == ["ann"]


def test_two_people_review_at_the_same_time(path: Path) -> None:
    """Each under its own name; with one review wanted, the first one counts and both are kept."""
    with Browser(path, "ann") as ann, Browser(path, "bob") as bob:
        text = ann.text_of()
        assert ann.submit(text=text).status_code == 303
        assert bob.submit(text=text, **{"score-wonder": "1"}).status_code == 303
    assert {item.oracle.model for item in reviews(path)} == {"ann", "bob"}


def test_more_articles_can_be_drawn_on_the_page(path: Path) -> None:
    """Where there are any; what nobody has scored cannot be drawn."""
    with Browser(path, "ann") as ann:
        send = {"origin": HOST, "content-type": FORM}
        done = ann.post("/review/sample", content="filter=uplifting", headers=send)
        assert (done.status_code, done.headers["location"]) == (303, "/review?filter=uplifting")
        assert len(Reviewing(ReviewStore(path)).report(FILTER).samples) == 2
        refused = ann.post("/review/sample", content="filter=sustainability", headers=send)
        assert refused.status_code == 409
