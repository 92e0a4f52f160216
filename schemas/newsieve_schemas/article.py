"""Articles: as ingestion sends them, and as newsieve's own records name them."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from newsieve_schemas.base import Read, Written

# What an article's fields may have, in characters: several times what real ones do. An optional
# field beyond its limit is null; an id or a title makes the article a dead letter. A content has
# the limit of its record.
MAX_ID_CHARACTERS: Final = 2_048  # feeds give addresses for ids
MAX_URL_CHARACTERS: Final = 2_048  # as in site maps
MAX_TITLE_CHARACTERS: Final = 10_000
MAX_SOURCE_CHARACTERS: Final = 1_000
MAX_LANGUAGE_CHARACTERS: Final = 100
MAX_DATE_CHARACTERS: Final = 100
MAX_TAGS: Final = 200
MAX_TAG_CHARACTERS: Final = 200


def _null_if_wrong(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("an id is a string or an integer, not a boolean")
    if isinstance(value, int) and len(str(value)) > MAX_ID_CHARACTERS:
        raise ValueError(f"an id has at most {MAX_ID_CHARACTERS:,} characters")
    return value


Lenient = WrapValidator(_null_if_wrong)
ArticleId = Annotated[
    Annotated[StrictStr, Field(max_length=MAX_ID_CHARACTERS)] | StrictInt,
    BeforeValidator(_no_boolean),
]
OptionalText = Annotated[StrictStr | None, Lenient]
Address = Annotated[Annotated[StrictStr, Field(max_length=MAX_URL_CHARACTERS)] | None, Lenient]
Source = Annotated[Annotated[StrictStr, Field(max_length=MAX_SOURCE_CHARACTERS)] | None, Lenient]
Language = Annotated[
    Annotated[StrictStr, Field(max_length=MAX_LANGUAGE_CHARACTERS)] | None, Lenient
]
Date = Annotated[Annotated[StrictStr, Field(max_length=MAX_DATE_CHARACTERS)] | None, Lenient]
Tag = Annotated[StrictStr, Field(max_length=MAX_TAG_CHARACTERS)]

_USABLE_TEXT: dict[str, Any] = {
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "string", "pattern": r"\S"}}}
        for name in ("title", "content", "text", "body")
    ]
}


class RawArticle(Read):
    """What ingestion pipelines put on `articles.raw`.

    Only `id`, `title` and `content` (or `text`, `body`) can make an article invalid. Any other
    field of a wrong type, or beyond its `maxLength` or `maxItems`, counts as null. Invisible
    characters and empty markup are nothing to read: an article of nothing else becomes a dead
    letter.
    """

    id: ArticleId | None = Field(
        None, description="Absent: a UUIDv5 of the url is used, else of the text."
    )
    title: Annotated[StrictStr, Field(max_length=MAX_TITLE_CHARACTERS)] | None = None
    content: StrictStr | None = Field(None, description="As long as its record may be.")
    text: OptionalText = Field(None, description="Read when `content` has nothing to read.")
    body: OptionalText = Field(
        None, description="Read when `content` and `text` have nothing to read."
    )
    url: Address = None
    source: Source = None
    language: Language = None
    published_at: Date = None
    published_date: Date = Field(None, description="Read when `published_at` is absent.")
    tags: Annotated[Annotated[list[Tag], Field(max_length=MAX_TAGS)] | None, Lenient] = None

    model_config = ConfigDict(json_schema_extra=_USABLE_TEXT)

    @model_validator(mode="after")
    def _has_text(self) -> RawArticle:
        if not any(part and not part.isspace() for part in self.texts()):
            raise ValueError("an article needs a title or content that is not blank")
        return self

    def texts(self) -> tuple[str | None, ...]:
        return self.title, self.content, self.text, self.body


class ArticleIdentity(Written):
    """Which article a record is about, without its text."""

    id: str
    title: str | None
    url: str | None
    source: str | None
    language: str | None
    published_at: str | None = Field(description="As ingested; not parsed.")
    content_hash: str = Field(
        pattern=r"^sha256:[0-9a-f]{64}$",
        description="SHA-256 of the rendered text: title, blank line, content; UTF-8.",
    )


class ArticleWithContent(ArticleIdentity):
    """Which article a record is about, with its text."""

    content: str | None
