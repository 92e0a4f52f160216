"""The error tree: each leaf says, by its class, exactly one thing that happens next."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from newsieve import errors


def leaves(node: type[Exception]) -> Iterator[type[Exception]]:
    children = [child for child in node.__subclasses__() if child.__module__ == errors.__name__]
    if not children:
        yield node
    for child in children:
        yield from leaves(child)


LEAVES = list(leaves(errors.NewsieveError))
OUTCOMES = (
    errors.RecordError,
    errors.Unavailable,
    errors.NeedsPerson,
    errors.WrongUsage,
    errors.NeedsRestart,
)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_each_leaf_has_exactly_one_outcome(leaf: type[Exception]) -> None:
    """Dead letter, retry, or one of three ways to stop."""
    assert sum(issubclass(leaf, outcome) for outcome in OUTCOMES) == 1


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_each_leaf_is_drawn_in_the_tree(leaf: type[Exception]) -> None:
    """The docstring is the map."""
    assert re.search(rf"\b{leaf.__name__}\b", errors.__doc__ or "")


def test_the_tree_draws_nothing_that_is_not_there() -> None:
    """No name in the map without a class."""
    tree = (errors.__doc__ or "").split("Messages say")[0]
    drawn = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z0-9][a-z0-9]*)+\b", tree))

    assert drawn <= set(vars(errors)) | {"NewsieveError"}


def test_record_errors_name_their_stage_and_fatal_ones_their_exit_code() -> None:
    """What a dead letter and a supervisor read."""
    for leaf in LEAVES:
        if issubclass(leaf, errors.RecordError):
            assert leaf.stage in ("decode", "validate", "score", "publish")
            assert leaf("x").name == leaf.__name__
        if issubclass(leaf, errors.Fatal):
            assert leaf.exit_code in (1, 2, 3)
