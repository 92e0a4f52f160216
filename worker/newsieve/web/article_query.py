"""The parameters by which pages, feeds and the API choose articles: one meaning everywhere.

It knows no route.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from newsieve.store.queries import MOST_ROWS, ArticleQuery

MAX_TEXT_CHARACTERS: Final = 500
MAX_NAME_CHARACTERS: Final = 1_000
DAY: Final = dt.timedelta(days=1)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _none_if_empty(value: Any) -> Any:
    """Return None for "", which a form sends for a field that nobody filled in."""
    return None if value == "" else value


def _day(value: Any) -> Any:
    """Return a day as it is, if it is written as one: pydantic takes numbers of seconds, too."""
    if isinstance(value, str) and value and _DAY.fullmatch(value) is None:
        raise ValueError("a day is written YYYY-MM-DD")
    return value


def _or_empty(kind: Any) -> BeforeValidator:
    """Return what takes "" as nothing, and says so in OpenAPI."""
    return BeforeValidator(_none_if_empty, json_schema_input_type=kind | Literal[""] | None)


Named = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS)]
Number = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Cursor = Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
Name = Annotated[Named | None, _or_empty(Named)]
Score = Annotated[Number | None, _or_empty(Number)]
Day = Annotated[dt.date | None, _or_empty(dt.date), BeforeValidator(_day)]


class ArticleParameters(BaseModel):
    """Which articles are wanted. What is not given does not matter."""

    model_config = ConfigDict(extra="forbid")

    filter: Name = Field(None, description="A filter's name.")
    tier: Name = Field(None, description="A tier of it, or `blocked`.")
    q: Annotated[Text | None, _or_empty(Text)] = Field(
        None,
        description='Words of title and text, all of which occur; "several words" are a phrase, '
        "`-word` must not occur, `word*` is a beginning. The newest texts come first.",
    )
    source: Name = Field(None, description="As the article's record has it.")
    language: Name = Field(None, description="As the article's record has it.")
    min_score: Score = Field(None, description="The least score, after gates and caps.")
    max_score: Score = Field(None, description="The highest score, after gates and caps.")
    since: Day = Field(
        None,
        description="The first day, UTC: of the article's own date where it has a readable one, "
        "else of its coming.",
    )
    until: Day = Field(None, description="The last day, UTC.")
    before: Annotated[Cursor | None, _or_empty(Cursor)] = Field(
        None, description="`next` of the page before."
    )
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = Field(50, description="Articles of a page.")

    def query(self) -> ArticleQuery:
        """Return the question to the store."""
        return ArticleQuery(
            filter=self.filter,
            tier=self.tier,
            text=self.q,
            source=self.source,
            language=self.language,
            min_score=self.min_score,
            max_score=self.max_score,
            since_ms=_milliseconds(self.since),
            until_ms=_milliseconds(
                self.until + DAY if self.until not in {None, dt.date.max} else None
            ),
            before=self.before,
            limit=self.limit,
        )


ArticlesWanted = Annotated[ArticleParameters, Query()]


def _milliseconds(day: dt.date | None) -> int | None:
    if day is None:
        return None
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()) * 1_000
