"""Content rules over other spellings: what reads the same meets the same rules."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest

from newsieve.errors import FilterInvalid
from newsieve.filters.content_rules import ContentRules
from newsieve.filters.registry import Filter
from tests.filters.test_content_rules import names


@pytest.fixture(scope="module")
def rules(uplifting: Filter) -> ContentRules:
    return ContentRules([uplifting.definition])


@pytest.fixture(scope="module")
def risk_rules(investment_risk: Filter) -> ContentRules:
    return ContentRules([investment_risk.definition])


SPELLINGS: dict[str, Callable[[str], str]] = {
    "line ends": lambda text: text.replace(" ", "\n"),
    "carriage returns": lambda text: text.replace(" ", "\r\n"),
    "tabs": lambda text: text.replace(" ", "\t"),
    "paragraphs": lambda text: text.replace(" ", "\n\n"),
    "no-break blanks": lambda text: text.replace(" ", "\u00a0"),
    "thin blanks": lambda text: text.replace(" ", "\u2009"),
    "two blanks": lambda text: text.replace(" ", "  "),
    "soft hyphens": "\u00ad".join,
    "zero-width blanks": "\u200b".join,
    "word joiners": "\u2060".join,
    "byte order marks": "\ufeff".join,
    "variation selectors": "\ufe0f".join,
    "NUL": "\0".join,
    "full width": lambda text: "".join(
        chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text
    ),
    "curly apostrophes": lambda text: text.replace("'", "\u2019"),
    "no-break hyphens": lambda text: text.replace("-", "\u2011"),
    "ligatures": lambda text: text.replace("fi", "\ufb01"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "text",
    [
        "The share price jumped and the private equity owner was pleased.",
        "The stock market rose.",
        "Le cours de l'action a bondi.",
        "The employee-owned firm saw its share price jump.",
        "An offer for all: the non-profit saw its net profit rise.",
        "The first initial public offering of the year.",
        "Nothing of the kind in here.",
    ],
)
def test_rules_read_what_a_student_reads(rules: ContentRules, text: str, spelling: str) -> None:
    """The same words in other white space, invisible characters, widths, quotes and hyphens meet
    the same rules and excuses."""
    assert rules.match(SPELLINGS[spelling](text), None, None) == rules.match(text, None, None)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("corporate_finance", "Das Übernahmeangebot steht."),
        ("corporate_finance", "Les résultats trimestriels sont publiés."),
        ("corporate_finance", "Le bénéfice net augmente."),
        ("military_security", "La défense aérienne se prépare."),
    ],
)
def test_rules_read_decomposed_letters(rules: ContentRules, rule: str, text: str) -> None:
    """An umlaut or accent may be a character of its own."""
    assert names(rules, unicodedata.normalize("NFD", text)) == names(rules, text) == {rule}


def test_a_title_rule_reads_folded_text_as_well(risk_rules: ContentRules) -> None:
    """And what is upper case stays so."""
    title = "Market CR\u00adASH ahead"

    assert "clickbait_title" in names(risk_rules, title, title)
    assert "clickbait_title" in names(risk_rules, "So what\u203c", "So what\u203c")
    assert "clickbait_title" not in names(risk_rules, title.lower(), title.lower())


def test_nothing_but_what_is_read_as_one_is_folded(rules: ContentRules) -> None:
    """A dash that parts, a letter of another script, no blank at all."""
    assert names(rules, "The stock\u2014market of ideas") == set()
    assert names(rules, "The st\u043eck market") == set()
    assert names(rules, "The stockmarket") == set()


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        ("d[\u2019 ]armes", "d[' ]armes"),
        ("employee\u2011owned", "employee-owned"),
        ("stock  market", "stock market"),
        ("stock\u00a0market", "stock market"),
        ("stock\nmarket", "stock market"),
        (unicodedata.normalize("NFD", "\u00fcbernahme"), "\u00fcbernahme"),
        ("ak\u00adtie", "aktie"),
    ],
)
def test_a_pattern_that_folded_text_cannot_match_is_refused(
    uplifting: Filter, pattern: str, instead: str
) -> None:
    """With what to write instead."""
    rule = uplifting.definition.rules[-1].model_copy(update={"patterns": [pattern]})
    definition = uplifting.definition.model_copy(update={"rules": [rule]})

    with pytest.raises(FilterInvalid, match=f"rule {rule.name}: pattern") as refused:
        ContentRules([definition])

    assert repr(instead) in str(refused.value)


@pytest.mark.parametrize("domain", ["", "https://", ".", "a" * 254])
def test_a_domain_that_is_none_is_refused(uplifting: Filter, domain: str) -> None:
    """It would never be met."""
    rule = uplifting.definition.rules[0].model_copy(update={"domains": [domain]})
    definition = uplifting.definition.model_copy(update={"rules": [rule]})

    with pytest.raises(FilterInvalid, match=f"rule {rule.name}: .* is no domain"):
        ContentRules([definition])


@pytest.mark.parametrize(
    "domain", ["BÖRSE.example", "xn--brse-5qa.example", "https://börse.example/"]
)
def test_a_listed_domain_may_be_written_in_any_form(uplifting: Filter, domain: str) -> None:
    """It is read as the articles' addresses are."""
    rule = uplifting.definition.rules[0].model_copy(update={"domains": [domain]})
    rules = ContentRules([uplifting.definition.model_copy(update={"rules": [rule]})])

    assert names(rules, "Text", None, "https://www.xn--brse-5qa.example/a") == {rule.name}
    assert names(rules, "Text", None, "https:\\\\user@b%C3%B6rse.example:80") == {rule.name}
    assert names(rules, "Text", None, "https://borse.example") == set()
