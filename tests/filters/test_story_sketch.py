"""Copies of one story have sketches that are alike, and different stories have not."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import combinations

import pytest

from newsieve.filters.rendering import render
from newsieve.filters.story_sketch import SKETCH_BYTES, are_alike, bands, common_bins, sketch

WORDS = [f"word{number}" for number in range(5_000)]
STORY = (
    "The last ferry of the season left the harbour with three teachers, a dozen crates of apples "
    "and a grand piano on board. For the island's school it is the first instrument in forty "
    "years: the old one was lost in the flood, and nobody had asked for another since. Parents "
    "collected the money at summer fairs, fishermen carried it up the hill in their nets, and the "
    "tuner stayed a week because the fog did. On Friday the children will play for those who paid, "
    "which is everyone. The council has promised that lessons stay free of charge until the "
    "youngest pupils leave, and a retired conductor has moved into the empty lighthouse to teach."
)
TRANSLATED = (
    "De laatste veerboot van het seizoen verliet de haven met drie leraren, een dozijn kratten "
    "appels en een vleugel aan boord. Voor de school van het eiland is het het eerste instrument "
    "in veertig jaar: het oude ging bij de overstroming verloren, en niemand had om een ander "
    "gevraagd. Ouders haalden het geld op bij zomermarkten, en de stemmer bleef een week."
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def text(seed: int, count: int = 300) -> list[str]:
    return random.Random(seed).choices(WORDS, k=count)


def is_copy(one: str, other: str) -> bool:
    """Whether a text is looked up by another one, and is like it."""
    sketches = sketch(one), sketch(other)
    return are_alike(*sketches) and bool(set(bands(sketches[0])) & set(bands(sketches[1])))


@pytest.mark.parametrize(
    ("title", "content"),
    [
        ("Fishermen carry a piano up the hill", STORY),
        ("A PIANO FOR THE ISLAND", STORY.upper()),
        ("A piano for the island", STORY.rpartition(" The council")[0]),
        ("A piano for the island", f"HARBOUR (Agency) - {STORY} The post appeared first on News."),
        ("A piano for the island", STORY.replace(", ", " – ").replace("'", "\u2019")),
        ("A piano for the island", STORY.replace("Friday", "Saturday").replace("dozen", "score")),
    ],
    ids=["heading", "case", "cut", "syndicated", "marks", "edited"],
)
def test_copies_of_a_story_are_alike(title: str, content: str) -> None:
    """Agencies' texts are printed under new headings, cut, dated, edited: they stay one story."""
    assert is_copy(render("A piano for the island", STORY), render(title, content))


def test_a_translation_is_another_story() -> None:
    """The student may score another language differently."""
    assert not is_copy(render("A piano", STORY), render("Een vleugel", TRANSLATED))


def weather(day: str, rng: random.Random) -> str:
    low, high, wind, rain = (
        rng.randint(a, b) for a, b in ((4, 12), (13, 24), (2, 6), (10, 90))
    )  # fmt: skip
    return render(
        f"Weather for {day}",
        f"The day begins with temperatures of {low} degrees in the valleys and {low + 2} degrees "
        f"on the coast. In the afternoon the thermometer climbs to {high} degrees. A wind of force "
        f"{wind} blows along the shore. The chance of rain is {rain} percent. The sun rises at "
        f"7.{rng.randint(10, 59)} and sets at 17.{rng.randint(10, 59)}. Tomorrow brings more of "
        "the same, the weather service says, and drivers should expect mist before dawn.",
    )


def prices(day: str, rng: random.Random) -> str:
    shares = ("Acme", "Borealis", "Cobalt", "Evergreen", "Fjord", "Granite", "Harbour")
    lines = (
        f"{name} shares {rng.choice(['rose', 'fell'])} {rng.randint(1, 400) / 100} percent to "
        f"{rng.randint(1_000, 9_000) / 100} euros."
        for name in shares
    )
    disclaimer = "Prices are delayed by fifteen minutes and are given without warranty."
    return render(
        f"Prices of {day}", f"The market closed as follows. {' '.join(lines)} {disclaimer}"
    )


def match(day: str, rng: random.Random) -> str:
    one, other = rng.sample(["Northport", "Easterby", "Millford", "Ashdale", "Kirkwell"], 2)
    return render(
        f"{one} against {other} on {day}",
        f"{one} beat {other} by {rng.randint(2, 5)} goals to {rng.randint(0, 1)} in front of "
        f"{rng.randint(2_000, 9_000)} spectators. The first goal came in minute "
        f"{rng.randint(2, 40)}, the last in minute {rng.randint(60, 90)}. The league table and all "
        "results of the round are on our pages. Follow every match of the season live, with "
        "line-ups, statistics and reactions from players and coaches after the final whistle.",
    )


@pytest.mark.parametrize("template", [weather, prices, match])
def test_days_of_one_template_are_different_stories(
    template: Callable[[str, random.Random], str],
) -> None:
    """Weather, prices and results are printed into the same words: their numbers tell them apart,
    and count more than other words. Of 840 pairs one in a hundred may have nearly all in common."""
    folded = 0
    for seed in range(40):
        rng = random.Random(seed)
        sketches = [sketch(template(day, rng)) for day in DAYS]
        folded += sum(are_alike(*pair) for pair in combinations(sketches, 2))
    assert folded <= 8


def test_a_copy_with_a_new_heading_and_a_cut_end_is_found() -> None:
    """Of 60 texts without a fifth of their words all but three are looked up and alike."""
    missed = 0
    for seed in range(60):
        words = text(seed)
        one = render("A heading", " ".join(words))
        other = render("Quite another one", " ".join(words[:-60]))
        missed += not is_copy(one, other)
    assert missed <= 3


def test_different_stories_are_not_alike() -> None:
    """Texts that share a third of their words in a row are different stories."""
    for seed in range(60):
        words = text(seed)
        one = render("A heading", " ".join(words))
        other = render("A heading", " ".join(words[:100] + text(seed + 1_000, 200)))
        assert not are_alike(sketch(one), sketch(other))


def test_short_texts_are_alike_only_with_the_same_words() -> None:
    """A handful of words is too little to be called a copy for being similar."""
    one = sketch(render("Harbour opens", "The new harbour opened today"))
    same = sketch(render("harbour opens", "the NEW harbour, opened: today!"))
    assert common_bins(one, same) * 2 == SKETCH_BYTES
    for number in range(200):
        other = sketch(render(f"Harbour {number} closes", "The new harbour opened today"))
        assert not are_alike(one, other)


def test_a_sketch_is_the_same_in_every_process() -> None:
    """Stored sketches are compared with those of later processes."""
    found = sketch(render("a", " ".join(text(1)))).hex()[:32]
    assert found == "398fcf29fc3284db5c2caae74566feaf"


def test_texts_without_words_have_a_sketch() -> None:
    """Nothing, marks and ideographs are texts, too; the latter are words, each of them."""
    for title, content in ((None, None), ("", "…"), ("港が朝早く目覚めた", None), ("\ud800", "x")):
        assert len(set(bands(sketch(render(title, content))))) == 10
    long = "".join(chr(0x4E00 + number * 7 % 999) for number in range(120))
    assert is_copy(long, "前書き" + long)
