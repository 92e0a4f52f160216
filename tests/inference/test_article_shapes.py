"""An article has the same tier in whatever shape it is delivered."""

from __future__ import annotations

import pytest

from newsieve.filters.article import Article
from newsieve.inference.student import load_student
from tests.inference.test_shipped_students import SHIPPED, demo_articles
from tests.support.article_shapes import SHAPES, shifts
from tests.support.filters import load

ARTICLES = 90
LEAST_OF_THE_SAME_TIER = 88
MOST_SHIFT = 0.05  # points, on average


@pytest.fixture(scope="module")
def articles() -> list[Article]:
    """The first of the demo's articles that have a content."""
    return [article for article in demo_articles() if article.has_body][:ARTICLES]


@pytest.mark.parametrize("reference", SHIPPED)
def test_each_shape_has_the_tier_of_the_plain_article(
    reference: str, articles: list[Article]
) -> None:
    """In paragraphs with entities, from WordPress, a newspaper's system, news-please, JSON Feed."""
    filter_ = load(reference)
    student = load_student(filter_, filter_.student_folder, dtype="fp32")

    found = shifts(student, filter_, articles)

    assert set(found) == set(SHAPES)
    for shape, shift in found.items():
        assert shift.articles == ARTICLES, shape
        assert shift.same_tier >= LEAST_OF_THE_SAME_TIER, (shape, shift)
        assert shift.mean_shift <= MOST_SHIFT, (shape, shift)
