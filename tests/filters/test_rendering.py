"""What was rendered is never rendered again, and earlier renderings are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsieve.filters.rendering import (
    as_content,
    is_rendered_as_before,
    render,
    rendered_content,
)
from tests.support.filters import load

UPLIFTING = load("uplifting")
# Of the version before, with the same prompt and dimensions.
EARLIER = "sha256:db347c162e47cbff74310950d30568b977d0a069e6efa7c8c3b47a848d476125"


@given(st.text(alphabet="ab <>&;p/`\n\"'=#39", max_size=40))
def test_a_shown_text_can_be_made_a_content_again(source: str) -> None:
    """Which is rendered to the same, also where the text talks about tags."""
    shown = rendered_content(source)

    assert rendered_content(as_content(shown)) == shown


def test_a_text_about_tags_is_kept_in_a_label_file() -> None:
    """A label row has a content, which training renders."""
    shown = rendered_content("<p>Write &lt;b&gt;x&lt;/b&gt; for bold.</p>")

    assert shown == "Write <b>x</b> for bold."
    assert render(None, as_content(shown)) == shown
    assert as_content("a < b") == "a < b"


@pytest.mark.parametrize(
    ("title", "content", "same"),
    [
        ("Title", "Text", True),
        (" Title ", None, True),
        (None, "p < .05", True),
        ("A <i>rare</i> beetle", "Text", False),
        ("Title", "<p>Text</p>", False),
    ],
)
def test_labels_of_the_earlier_rendering_count_where_the_text_is_the_same(
    title: str | None, content: str | None, *, same: bool
) -> None:
    """And labels of another prompt never do."""
    assert is_rendered_as_before(title, content) is same
    assert UPLIFTING.is_label_of(EARLIER, title, content) is same
    assert UPLIFTING.is_label_of(UPLIFTING.label_hash, title, content)
    assert not UPLIFTING.is_label_of("sha256:x", title, content)
