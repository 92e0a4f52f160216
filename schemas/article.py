"""Articles: as ingestion sends them, and as newsieve's own records name them."""

from __future__ import annotations

from typing import Annotated, Any

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

from schemas.base import Read, Written


def _null_if_wrong(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("an id is a string or an integer, not a boolean")
    return value


Lenient = WrapValidator(_null_if_wrong)
ArticleId = Annotated[StrictStr | StrictInt, BeforeValidator(_no_boolean)]
OptionalText = Annotated[StrictStr | None, Lenient]

_USABLE_TEXT: dict[str, Any] = {
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "string", "pattern": r"\S"}}}
        for name in ("title", "content", "text", "body")
    ]
}


class RawArticle(Read):
    """What ingestion pipelines put on `articles.raw`.

    Only `id`, `title` and `content` (or `text`, `body`) can make an article invalid. Any other
    field of a wrong type counts as null. Invisible characters and empty markup are nothing to read:
    an article of nothing else becomes a dead letter.
    """

    id: ArticleId | None = Field(
        None, description="Absent: a UUIDv5 of the url is used, else of the text."
    )
    title: StrictStr | None = None
    content: StrictStr | None = None
    text: OptionalText = Field(None, description="Read when `content` has nothing to read.")
    body: OptionalText = Field(
        None, description="Read when `content` and `text` have nothing to read."
    )
    url: OptionalText = None
    source: OptionalText = None
    language: OptionalText = None
    published_at: OptionalText = None
    published_date: OptionalText = Field(None, description="Read when `published_at` is absent.")
    tags: Annotated[list[StrictStr] | None, Lenient] = None

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
