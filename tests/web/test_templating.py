"""What a template does with text that others wrote."""

from __future__ import annotations

from newsieve.web.templating import environment

TEXT = "<b>&\u202e\x07"


def render(source: str, **values: object) -> str:
    return environment().from_string(source).render(**values)


def test_text_is_escaped_and_all_of_it_is_seen() -> None:
    """By default, without a word in the template; also in a macro's argument and an attribute."""
    seen = r"&lt;b&gt;&amp;\u202e\u0007"

    assert render("{{ text }}", text=TEXT) == seen
    assert render('<i title="{{ text }}">', text=f'"{TEXT}') == f'<i title="&#34;{seen}">'
    assert render("{% macro m(x) %}<p>{{ x }}</p>{% endmacro %}{{ m(text) }}", text=TEXT) == (
        f"<p>{seen}</p>"
    )


def test_commands_in_sentences_are_code_and_addresses_on_the_web_are_links() -> None:
    """And what is in them is still text."""
    assert render("{{ text | prose }}", text=f"run `{TEXT}` &") == (
        r"run <code>&lt;b&gt;&amp;\u202e\u0007</code> &amp;"
    )
    assert render("{{ text | link }}", text='https://x/"<') == (
        '<a href="https://x/&#34;&lt;" rel="noopener noreferrer nofollow">https://x/&#34;&lt;</a>'
    )
    assert render("{{ text | link }}", text="javascript:alert(1)<") == "javascript:alert(1)&lt;"
