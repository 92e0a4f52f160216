"""One task until its result: what is asked again, what is not, and what it cost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from newsieve.oracle.answer import MAX_REASONING_CHARACTERS
from newsieve.oracle.labeling_task import LabelingTask
from newsieve.oracle.prompt import Prompt
from newsieve.oracle.providers.base import Prices, ProviderResponse, Tokens
from newsieve.outgoing.redaction import Redactor
from tests.support.filters import load

PROMPT = Prompt(load("uplifting"), 1_000)
PRICES = Prices(1.0, 10.0, 500)
USED = Tokens(1_000, 100)
LABEL = json.dumps({"scores": dict.fromkeys(PROMPT.filter.definition.dimension_names, 4)})


def task() -> LabelingTask:
    return LabelingTask(PROMPT.for_article("a1", "A text."), PRICES)


def heard(*replies: ProviderResponse, is_well: bool = True) -> LabelingTask:
    found = task()
    for reply in replies:
        found.claimed(0.01, "2026-11-22")
        found.handle_response(reply, 1.5, others_answered=is_well)
    return found


def answered(text: str, **more: Any) -> ProviderResponse:
    return ProviderResponse("answered", text=text, model_version="v1", tokens=USED, **more)


def test_a_label_is_a_result_with_its_cost() -> None:
    """Tokens at the prices that are set."""
    found = heard(answered(LABEL, answer_hash="sha256:" + "0" * 64, fingerprint="fp"))

    assert found.result is not None and found.result.usage is not None
    assert found.result.status == "labelled"
    assert found.result.model_version == "v1"
    assert found.result.usage.cost_usd == pytest.approx(0.002)
    assert found.result.usage.attempts == 1
    assert found.result.usage.latency_seconds == 1.5


def test_an_invalid_answer_is_asked_for_once_more_and_both_are_on_record() -> None:
    """The second is paid for like the first."""
    first = heard(answered("nonsense"))
    both = heard(answered("nonsense"), answered(LABEL))
    neither = heard(answered("nonsense"), answered('{"scores": {"agency": 11}}'))

    assert first.result is None and first.needs_call
    assert both.result is not None and both.result.usage is not None
    assert both.result.status == "labelled"
    assert both.result.usage.attempts == 2
    assert both.result.usage.input_tokens == 2 * USED.input
    assert neither.result is None and not neither.needs_call
    assert neither.withheld is not None and neither.withheld.status == "invalid"
    neither.release()
    assert neither.result is not None
    assert neither.result.failure == "agency: 11 is not from 0 to 10"


def test_an_answer_that_is_cut_off_is_not_asked_for_again_with_the_same_limit() -> None:
    """It would be cut off again, and paid for again; the reason names the setting."""
    cut_off = answered('{"scores"', reason="not finished: length", is_cut_off=True)
    found = heard(cut_off)

    assert not found.needs_call and found.calls == 1
    assert found.withheld is not None and found.withheld.status == "invalid"
    assert "NEWSIEVE_ORACLE__MAX_OUTPUT_TOKENS" in str(found.withheld.failure)


@pytest.mark.parametrize("key", ["1", "-", "sk-a-long-enough-key/+"])
def test_the_key_is_masked_in_what_is_shown_and_never_in_what_is_read(key: str) -> None:
    """A label is what the model gave, whatever the key; where it is long enough to be a secret,
    its words do not have it, also where they are cut."""
    padding = "x" * (MAX_REASONING_CHARACTERS - 5)
    scores = dict.fromkeys(PROMPT.filter.definition.dimension_names, 1)
    text = json.dumps({"scores": scores, "reasoning": f"{padding}{key}", "key_markers": [key]})
    found = heard(answered(text, mask=Redactor(key)))

    assert found.result is not None and found.result.answer is not None
    assert found.result.answer.scores == scores
    if len(key) > 1:
        assert found.result.answer.key_markers == ["***"]
        assert key[:4] not in str(found.result.answer)


def test_a_refusal_is_final() -> None:
    """Who will not, will not."""
    found = heard(ProviderResponse("refused", reason="SAFETY", model_version="v1", tokens=USED))

    assert found.result is not None
    assert (found.result.status, found.result.failure) == ("refused", "SAFETY")


def test_a_call_that_was_turned_away_leaves_everything_as_it_was() -> None:
    """Its claim serves the next one."""
    found = heard(ProviderResponse("busy", reason="429"))

    assert found.result is None and not found.needs_call
    assert (found.calls, found.claims, found.cost_usd) == (0, 1, 0)


def test_a_call_without_an_answer_counts_at_the_most_it_can_have_cost() -> None:
    """And is made again, under a new claim."""
    found = heard(ProviderResponse("unanswered", reason="time-out"), answered(LABEL))

    assert found.result is not None and found.result.usage is not None
    assert found.result.usage.attempts == 2
    most = PRICES.max_tokens(found.label_prompt)
    assert found.result.usage.input_tokens == most.input + USED.input
    assert found.cost_usd == pytest.approx(PRICES.cost_usd(most) + 0.002)


def test_an_article_that_never_gets_an_answer_while_others_do_is_given_up() -> None:
    """Three times; while the provider is away to all, it is nobody's fault."""
    silence = ProviderResponse("unanswered", reason="time-out")

    assert heard(silence, silence).result is None
    given_up = heard(silence, silence, silence).withheld
    assert given_up is not None
    assert (given_up.status, given_up.failure) == ("invalid", "time-out")
    away = heard(*[silence] * 9, is_well=False)
    assert away.result is None and away.withheld is None and away.needs_call


def test_without_a_budget_for_another_call_the_last_one_decides() -> None:
    """A bad answer is the oracle's failure; no answer is not."""
    bad = heard(answered("nonsense"))
    silent = heard(ProviderResponse("unanswered", reason="time-out"))
    for found in (bad, silent):
        found.fail("no budget")

    assert bad.withheld is not None and silent.result is not None
    assert bad.withheld.status == "invalid"
    assert silent.result.status == "over_budget"
    assert silent.result.failure == "no budget; before it: time-out"


def test_a_rejected_request_costs_nothing() -> None:
    """No call that may have been paid for, so no usage."""
    found = heard(ProviderResponse("rejected", reason="too long"))

    assert found.result is None and found.withheld is not None
    assert found.withheld.status == "invalid"
    assert found.withheld.usage is None
    assert found.claims - found.calls == 1


def test_the_most_that_a_call_can_use_is_more_than_any_text_can_have() -> None:
    """No tokeniser makes more tokens than bytes."""
    text = "प्रकाश " * 50
    most = PRICES.max_tokens(PROMPT.for_article("a", text))

    assert most.input > len(text.encode()) + len(PROMPT.instructions.encode())
    assert most.output == 500
