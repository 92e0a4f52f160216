"""`/review`: blind, kept, safe; who may, and what is stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from newsieve.programs.reviewing.service import Reviewing, SampleWanted
from newsieve.store.reviews import ReviewStore
from newsieve.web.access import COOKIE, Access
from tests.support.evil_texts import EVIL
from tests.support.reviews import FILTER, NAMES
from tests.support.site import Filled, app_of, make_site, serve_settings

TOKEN = "a-token-for-reviewers-0123456789"
HOST = "http://localhost:8080"
REVIEWER = {"authorization": f"Bearer {TOKEN}"}
SCORES = {f"score-{name}": "6" for name in NAMES}
HOSTILE = (
    '<script>alert(1)</script><svg onload="alert(2)"><b>bold</b>',
    '"><img src=x onerror=alert(3)>',
    "{{ 7*7 }}{% raw %}",
    "x" * 1_000_000,
    *EVIL[::2],
)
FORM = "application/x-www-form-urlencoded"
INVISIBLE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"


class Browser(TestClient):
    """Somebody's browser, signed in with a session that allows reviews, or with none."""

    def __init__(self, path: Path, name: str | None = None, **serve: Any) -> None:
        settings = serve_settings(path, review_token=TOKEN, **serve)
        super().__init__(app_of(make_site(settings)), HOST, follow_redirects=False)
        if name is not None:
            cookie = Access(settings.serve).session_cookie("review", name)
            self.cookies.set(COOKIE, cookie)

    def text_of(self, filter_: str = "uplifting") -> str:
        """Return the hash of the text that the page gives next."""
        page = self.get("/review", params={"filter": filter_}).text
        found = re.search(r'name="text" value="([0-9a-f]{64})"', page)
        assert found is not None, page
        return found[1]

    def submit(self, **fields: Any) -> Any:
        """Send a form with a score of 6 for each dimension, but for `fields`."""
        form = {"filter": "uplifting", "action": "save", "note": "", **SCORES, **fields}
        form = {name: value for name, value in form.items() if value is not None}
        form.setdefault("text", self.text_of() if "text" not in fields else "")
        return self.post(
            "/review",
            content=urlencode(form),
            headers={"content-type": FORM, "origin": HOST},
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with one sample of three articles, whose records have what nobody may see."""
    path = tmp_path / "store.db"
    with Filled(path) as store:
        for number in range(3):
            store.article(
                f"a{number}", f"Title {number}", f"Content {number} of a story.", level=7.3179,
                label=2, tier="secret_tier", source="gazette.example", weighted_average=4.4444,
                score=3.3333, tier_confidence=0.9876,
            )  # fmt: skip
    Reviewing(ReviewStore(path)).draw(FILTER, SampleWanted(3, seed="s"))
    return path


@pytest.fixture
def ann(path: Path) -> Iterator[Browser]:
    with Browser(path, "ann") as browser:
        yield browser


def reviews(path: Path) -> list[Any]:
    return Reviewing(ReviewStore(path)).reviews(FILTER)


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


def test_the_form_has_eleven_scores_for_each_dimension_with_its_definition(ann: Browser) -> None:
    """From 0 to 10, none chosen, by name and by the paragraph of the prompt."""
    page = ann.get("/review").text
    for name in NAMES:
        values = re.findall(rf'name="score-{name}" value="(\d+)" required>', page)
        assert values == [str(score) for score in range(11)]
    assert "People or communities acting effectively toward wellbeing." in page
    assert "Stay at 2 or below for business partnerships" in page


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


def test_more_articles_can_be_drawn_on_the_page(path: Path) -> None:
    """Where there are any; what nobody has scored cannot be drawn."""
    with Browser(path, "ann") as ann:
        send = {"origin": HOST, "content-type": FORM}
        done = ann.post("/review/sample", content="filter=uplifting", headers=send)
        assert (done.status_code, done.headers["location"]) == (303, "/review?filter=uplifting")
        assert len(Reviewing(ReviewStore(path)).report(FILTER).samples) == 2
        refused = ann.post("/review/sample", content="filter=sustainability", headers=send)
        assert refused.status_code == 409


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
