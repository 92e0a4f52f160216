"""Every shape of record on the page about feeding is an article with all that matters."""

from __future__ import annotations

import datetime as dt
from typing import Final

import pytest

from docs.record_shapes import BODY, URL, Shape, decoded, shapes

SHAPES: Final = shapes()
MOMENT: Final = dt.datetime(2026, 11, 1, 9, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_each_shape_of_the_page_has_its_body_url_and_date(shape: Shape) -> None:
    """Whatever its fields are called, and whatever is around it."""
    article = decoded(shape)

    assert article.title == "School reopens"
    assert article.has_body and BODY in (article.content or "")
    assert article.url == URL
    date = dt.datetime.fromisoformat(article.published_at or "")
    assert (date if date.tzinfo else date.replace(tzinfo=dt.UTC)) == MOMENT
    assert not article.has_unknown_date
    assert article.nulled == ()
