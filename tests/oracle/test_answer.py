"""A model's answer is read strictly: what is not exactly a label is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from newsieve.oracle.answer import InvalidAnswer, read_answer

NAMES = ("agency", "wonder")


def answer(**changes: Any) -> str:
    facts: dict[str, Any] = {
        "content_type": "solutions_story",
        "key_markers": ["one", "two"],
        "reasoning": "Because.",
        "scores": {"agency": 7, "wonder": 0},
    }
    return json.dumps(facts | changes)


def test_a_good_answer_has_every_dimension_in_the_filters_order() -> None:
    """Whatever the order it came in; what else the model scores is left out."""
    found = read_answer(answer(scores={"wonder": 10, "cuteness": 3, "agency": 0}), NAMES)

    assert list(found.scores.items()) == [("agency", 0), ("wonder", 10)]
    assert found.reasoning == "Because."
    assert found.key_markers == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (answer(scores={"agency": 7}), "wonder is missing"),
        (answer(scores={"agency": 7, "wonder": None}), "wonder: null is not a whole number"),
        (answer(scores={"agency": 7, "wonder": 6.5}), "6.5 is not a whole number"),
        (answer(scores={"agency": 7, "wonder": True}), "true is not a whole number"),
        (answer(scores={"agency": 7, "wonder": "5"}), '"5" is not a whole number'),
        (answer(scores={"agency": 7, "wonder": [5]}), "not a whole number"),
        (answer(scores={"agency": 7, "wonder": 11}), "11 is not from 0 to 10"),
        (answer(scores={"agency": 7, "wonder": -1}), "-1 is not from 0 to 10"),
        (answer(scores={"agency": 7, "wonder": 10**400}), "is not from 0 to 10"),
        (answer(scores=[7, 0]), "no object"),
        (answer(scores=None), "no object"),
        ('{"agency": 7, "wonder": 0}', "no object"),
        ("[]", "no object"),
        ("null", "no object"),
        ('{"scores": {"agency": 7, "wonder": NaN}}', "NaN"),
        ('{"scores": {"agency": 7, "wonder": 1, "wonder": 9}}', "twice"),
        ('{"scores": {"agency": 7, "wonder"', "not JSON"),
        ("```json\n{}\n```", "no object"),
        ("I cannot score this.", "not JSON"),
        ("", "not JSON"),
        ('{"scores":' * 100_000, "not JSON"),
        ('{"scores": {"agency": ' + "9" * 5_000 + ', "wonder": 1}}', "not JSON"),
    ],
)
def test_what_is_not_exactly_a_label_is_invalid(text: str, complaint: str) -> None:
    """Nothing is rounded, converted or filled in."""
    with pytest.raises(InvalidAnswer, match=complaint):
        read_answer(text, NAMES)


def test_what_stands_beside_the_scores_never_makes_an_answer_invalid() -> None:
    """Of a wrong type it is null; too long, it is cut; without a UTF-8 form, it gets one."""
    found = read_answer(
        answer(content_type=5, key_markers=["one", 2, "x" * 500], reasoning="\ud800" * 5_000),
        NAMES,
    )

    assert found.content_type is None
    assert found.key_markers == ["one", "x" * 200]
    assert found.reasoning is not None
    assert found.reasoning == "?" * 2_000
    assert read_answer(answer(key_markers="one"), NAMES).key_markers is None


def test_a_whole_number_may_be_written_with_a_point() -> None:
    """6.0 is an integer to JSON Schema, by which the model was asked."""
    found = read_answer(answer(scores={"agency": 6.0, "wonder": 1e1}), NAMES)

    assert found.scores == {"agency": 6, "wonder": 10}
    assert {type(score) for score in found.scores.values()} == {int}


@pytest.mark.parametrize(
    "wrapped",
    [
        "```json\n{}\n```",
        "```\n{}\n```\n",
        "  ```JSON\r\n{}```",
        "<think>Let me see. {} is what is wanted.</think>\n\n{}",
        "<think></think>{}",
    ],
)
def test_one_fence_or_one_block_of_thoughts_around_a_label_is_taken_off(wrapped: str) -> None:
    """What is inside is read as strictly as ever."""
    assert read_answer(wrapped.replace("{}", answer()), NAMES).scores == {"agency": 7, "wonder": 0}
    with pytest.raises(InvalidAnswer, match="wonder is missing"):
        read_answer(wrapped.replace("{}", answer(scores={"agency": 7})), NAMES)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("```json\n```json\n{}\n```\n```", "fenced"),
        ("<think>Hm.</think>\n```json\n{}\n```", "thoughts"),
        ("<think>Hm.</think><think>Hm.</think>{}", "thoughts"),
        ("<think>I was cut off in the middle of", "thoughts"),
        ("Here it is:\n```json\n{}\n```", "not JSON"),
        ("```json\n{}\n``` Is that right?", "fenced"),
        ("```the answer is\n{}\n```", "fenced"),
        ("{} {}", "not JSON"),
        ("```" + " " * 500_000, "fenced"),
    ],
)
def test_more_than_one_wrapping_is_not_taken_off_and_the_way_it_fails_is_known(
    text: str, kind: str
) -> None:
    """Answers that fail in the same way are counted together; none takes long to read."""
    with pytest.raises(InvalidAnswer) as raised:
        read_answer(text.replace("{}", answer()), NAMES)

    assert raised.value.kind == kind
