"""The queue that claims calls: a call follows its claim's record, and what is unused comes back."""

from __future__ import annotations

import pytest

from newsieve.oracle.budget import Budget, Caps, Ledger
from newsieve.oracle.call_pool import CallPool
from newsieve.oracle.claiming_queue import WINDOW, Admission, ClaimingQueue, window
from newsieve.oracle.label_cache import CacheKey, config_key
from newsieve.oracle.oracle_spec import OracleSpec
from newsieve.oracle.pending_article import PARTITION, PendingArticle
from newsieve.oracle.prompt import OracleConfig
from newsieve.oracle.providers.base import Prices
from tests.support.oracle_fakes import LABEL, CallNotes, Scripted
from tests.support.oracle_pool import PROMPT, SOON

DAY = "2026-11-30"
ORACLE = OracleSpec(OracleConfig("gemini", "oracle", None, None), {}, Prices(1, 1, 10), 2)


def pending(count: int) -> list[PendingArticle]:
    key = config_key(ORACLE.config.key(PROMPT, ""))
    prompts = [PROMPT.for_article(f"a{n}", "A text.") for n in range(count)]
    return [
        PendingArticle(n, label_prompt=prompt, text=CacheKey(prompt.article_id, "", key))
        for n, prompt in enumerate(prompts)
    ]


def queue() -> tuple[ClaimingQueue, CallNotes]:
    notes = CallNotes()
    made = ClaimingQueue(ORACLE, CallPool(Scripted(LABEL), 2, notes, lambda: 0.0))
    made.resume(Budget(Caps(calls=10, usd=1.0), 1, {PARTITION: Ledger()}))
    return made, notes


def admit(_: PendingArticle) -> Admission:
    return Admission.CLAIM


def test_a_call_is_made_once_its_claim_is_on_record_and_gives_back_what_it_did_not_use() -> None:
    """Until then there is a change to be recorded, and no call is under way."""
    claims, notes = queue()
    articles = pending(3)

    claims.draft(articles, admit, DAY, may_begin=3)

    assert [item.task is not None for item in articles] == [True, True, False]  # two at a time
    assert claims.changes()[PARTITION].calls == 2 and claims.pool.pending == 0
    claims.recorded()
    assert claims.changes() == {} and claims.pool.pending == 2
    while len(notes.calls) < 2:
        claims.pool.collect(SOON)
    claimed = claims.budget.ledgers[PARTITION].usd
    for item in articles[:2]:
        claims.give_back(item)
        claims.settle(item)
    ledger = claims.budget.ledgers[PARTITION]
    assert ledger.calls == 2 and ledger.claims == {}
    used = sum(item.task.cost_usd for item in articles if item.task is not None)
    assert 0 < ledger.usd < claimed and ledger.usd == pytest.approx(used)


def test_claims_that_are_not_on_record_are_forgotten_with_their_tasks() -> None:
    """As after a transaction that was aborted: nothing is called, and the budget is as it was."""
    claims, notes = queue()
    articles = pending(2)
    claims.draft(articles, admit, DAY, may_begin=2)

    claims.discard()
    claims.recorded()

    assert claims.changes() == {} and claims.budget.ledgers == {PARTITION: Ledger()}
    assert [item.task for item in articles] == [None, None]
    assert claims.pool.pending == 0 and notes.calls == []


def test_claims_that_could_not_be_put_on_record_are_taken_back_and_other_changes_stay() -> None:
    """As where the disk is full: calls are claimed once, and what was settled stays settled."""
    claims, notes = queue()
    first, *others = articles = pending(3)
    claims.draft([first], admit, DAY, may_begin=1)
    claims.recorded()
    while not notes.calls:
        claims.pool.collect(SOON)
    claims.give_back(first)
    claims.settle(first)
    before = claims.budget
    claims.draft(others, admit, DAY, may_begin=2)

    claims.withdraw()

    assert claims.budget.ledgers[PARTITION].calls == before.ledgers[PARTITION].calls == 1
    assert claims.budget.ledgers[PARTITION].claims == {}
    assert [item.task is not None for item in articles] == [True, False, False]
    claims.draft(others, admit, DAY, may_begin=2)
    claims.recorded()
    assert claims.pool.pending == 2 and claims.budget.ledgers[PARTITION].calls == 3


def test_the_owner_decides_about_each_article_that_needs_a_call() -> None:
    """One is passed over, at one it ends, and only so many begin."""
    claims, _ = queue()
    articles = pending(4)
    decisions = [Admission.SKIP, Admission.CLAIM, Admission.STOP]

    claims.draft(articles, lambda _: decisions.pop(0), DAY, may_begin=4)
    claims.draft(articles[:1], admit, DAY, may_begin=0)

    assert [item.task is not None for item in articles] == [False, True, False, False]
    assert decisions == [] and claims.with_claims([]) == [articles[1]]


def test_the_window_is_wider_while_an_article_waits_for_others() -> None:
    """They show whose fault it is that it has no label, so more of them may begin."""
    claims, _ = queue()
    articles = pending(1)
    claims.draft(articles, admit, DAY, may_begin=1)
    assert window(2, articles) == WINDOW * 2

    assert articles[0].task is not None
    articles[0].task.silent_since = 0.0

    assert window(2, articles) > WINDOW * 2
