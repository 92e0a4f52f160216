"""Articles: as ingestion sends them, and as newsieve's own records name them."""

from __future__ import annotations

from functools import partial
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

from newsieve_schemas.article_shapes import text_in
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


def _shaped(field: str) -> BeforeValidator:
    """Read an object or a list that stands for a text as that text."""
    return BeforeValidator(partial(text_in, field))


Lenient = WrapValidator(_null_if_wrong)
ArticleId = Annotated[
    Annotated[StrictStr, Field(max_length=MAX_ID_CHARACTERS)] | StrictInt,
    BeforeValidator(_no_boolean),
]
OptionalId = Annotated[ArticleId | None, _shaped("id"), Lenient]
Title = Annotated[StrictStr, Field(max_length=MAX_TITLE_CHARACTERS)] | None
OptionalTitle = Annotated[Title, _shaped("title"), Lenient]
OptionalText = Annotated[StrictStr | None, _shaped("content"), Lenient]
Address = Annotated[
    Annotated[StrictStr, Field(max_length=MAX_URL_CHARACTERS)] | None, _shaped("url"), Lenient
]
Source = Annotated[
    Annotated[StrictStr, Field(max_length=MAX_SOURCE_CHARACTERS)] | None,
    _shaped("source"),
    Lenient,
]
Language = Annotated[
    Annotated[StrictStr, Field(max_length=MAX_LANGUAGE_CHARACTERS)] | None,
    _shaped("language"),
    Lenient,
]
Date = Annotated[
    Annotated[StrictStr, Field(max_length=MAX_DATE_CHARACTERS)] | None,
    _shaped("published_at"),
    Lenient,
]
Tag = Annotated[StrictStr, Field(max_length=MAX_TAG_CHARACTERS)]

TITLE_NAMES: Final = ("title", "headline")
CONTENT_NAMES: Final = (
    "content",
    "text",
    "body",
    "content_text",
    "maintext",
    "content_html",
    "content:encoded",
    "description",
    "summary",
    "excerpt",
)
_USABLE_TEXT: dict[str, Any] = {
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "string", "pattern": r"\S"}}}
        for name in (*TITLE_NAMES, *CONTENT_NAMES)
    ]
}


def _instead_of(name: str) -> str:
    return f"Read when `{name}` and what stands before it have nothing to read."


def _otherwise(name: str, also: str = "") -> str:
    return f"Read when `{name}` and what stands before it are absent.{also}"


class RawArticle(Read):
    """What ingestion pipelines put on `articles.raw`, under the names that a worker reads unless
    its settings say otherwise.

    Only `id`, `title` and `content` can make an article invalid. Any other field of a wrong type,
    or beyond its `maxLength` or `maxItems`, counts as null. Invisible characters and empty markup
    are nothing to read: an article of nothing else becomes a dead letter. A text may also be what
    CMSs and converters of XML write for it, such as `{"rendered": "…"}` or a list of blocks; a date
    may be epoch seconds or milliseconds.
    """

    id: Annotated[ArticleId | None, _shaped("id")] = Field(
        None, description="Absent: a UUIDv5 of the url is used, else of the text."
    )
    guid: OptionalId = Field(None, description=_otherwise("id"))
    title: Annotated[Title, _shaped("title")] = None
    headline: OptionalTitle = Field(None, description="Read when `title` is blank or absent.")
    content: Annotated[StrictStr | None, _shaped("content")] = Field(
        None, description="As long as its record may be."
    )
    text: OptionalText = Field(None, description="Read when `content` has nothing to read.")
    body: OptionalText = Field(
        None, description="Read when `content` and `text` have nothing to read."
    )
    content_text: OptionalText = Field(None, description=_instead_of("body"))
    maintext: OptionalText = Field(None, description=_instead_of("content_text"))
    content_html: OptionalText = Field(None, description=_instead_of("maintext"))
    content_encoded: OptionalText = Field(
        None, alias="content:encoded", description=_instead_of("content_html")
    )
    description: OptionalText = Field(None, description=_instead_of("content:encoded"))
    summary: OptionalText = Field(None, description=_instead_of("description"))
    excerpt: OptionalText = Field(None, description=_instead_of("summary"))
    url: Address = None
    link: Address = Field(None, description=_otherwise("url"))
    source: Source = None
    source_domain: Source = Field(None, description=_otherwise("source"))
    language: Language = None
    lang: Language = Field(None, description=_otherwise("language"))
    published_at: Date = Field(
        None, description="ISO 8601, RFC 2822, or epoch seconds or milliseconds."
    )
    published_date: Date = Field(None, description="Read when `published_at` is absent.")
    published: Date = Field(None, description=_otherwise("published_date"))
    date: Date = Field(None, description=_otherwise("published"))
    pub_date: Date = Field(None, alias="pubDate", description=_otherwise("date"))
    date_publish: Date = Field(None, description=_otherwise("pubDate"))
    date_published: Date = Field(None, description=_otherwise("date_publish"))
    published_at_camel: Date = Field(
        None, alias="publishedAt", description=_otherwise("date_published")
    )
    iso_date: Date = Field(None, alias="isoDate", description=_otherwise("publishedAt"))
    tags: Annotated[Annotated[list[Tag], Field(max_length=MAX_TAGS)] | None, Lenient] = None

    model_config = ConfigDict(json_schema_extra=_USABLE_TEXT)

    @model_validator(mode="after")
    def _has_text(self) -> RawArticle:
        if not any(part and not part.isspace() for part in self.texts()):
            raise ValueError("an article needs a title or content that is not blank")
        return self

    def texts(self) -> tuple[str | None, ...]:
        """The titles and the contents, each in the order of trust."""
        return (
            self.title,
            self.headline,
            self.content,
            self.text,
            self.body,
            self.content_text,
            self.maintext,
            self.content_html,
            self.content_encoded,
            self.description,
            self.summary,
            self.excerpt,
        )


class ArticleIdentity(Written):
    """Which article a record is about, without its text."""

    id: str
    title: str | None
    url: str | None
    source: str | None
    language: str | None
    published_at: str | None = Field(
        description="ISO 8601: as ingested, or made of RFC 2822 or epoch time. What is none of "
        "these is as ingested."
    )
    content_hash: str = Field(
        pattern=r"^sha256:[0-9a-f]{64}$",
        description="SHA-256 of the rendered text: title, blank line, content; UTF-8.",
    )


class ArticleWithContent(ArticleIdentity):
    """Which article a record is about, with its text."""

    content: str | None
