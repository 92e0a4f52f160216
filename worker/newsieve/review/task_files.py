"""Samples as files, and reviews from files: JSON Lines, and Label Studio's tasks and export.

What is written is blind: neither scores nor tiers, nor why an article was drawn. What is read was
written by people and by other programs: each bad line or task is named, and nothing is guessed. It
knows no store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import quoteattr

import orjson

from newsieve.errors import RecordError
from newsieve.filters.registry import Filter
from newsieve.filters.rendering import rendered_title
from newsieve.records.json_lines import numbered
from newsieve.review.judgement import (
    InvalidReview,
    Judgement,
    definitions,
    judgement,
    note_of,
    reviewer_name,
)
from newsieve.review.strict_json import strict_json
from newsieve_schemas.article import ArticleIdentity
from newsieve_schemas.oracle import REFUSED

HASH_PREFIX: Final = "sha256:"
ARTICLE_FIELDS: Final = ("id", "title", "content", "url", "source", "language", "published_at")
NOTE: Final = "note"
_CHOICE: Final = re.compile(r"10|[0-9]")
_NUMBERS: Final = ("number", "rating")
_CONTENT_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


class Task(NamedTuple):
    """An article that is to be reviewed."""

    article: ArticleIdentity
    content: str | None


class FileReview(NamedTuple):
    """A review in a file. `where` names its line or task, for people."""

    where: str
    content_hash: bytes
    reviewer: str
    judgement: Judgement


class ReviewFile(NamedTuple):
    """What a file has: reviews, how many articles nobody has reviewed, and all that is wrong."""

    reviews: list[FileReview]
    unreviewed: int
    errors: list[str]


def json_lines(tasks: Sequence[Task], filter_: Filter) -> bytes:
    """Return tasks as JSON Lines: whoever reviews one fills in `scores`, and perhaps `note`."""
    scores = dict.fromkeys(filter_.definition.dimension_names)
    lines = [
        {**_article(task), **_meaning(task, filter_), "scores": scores, NOTE: None}
        for task in tasks
    ]
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def label_studio_tasks(tasks: Sequence[Task], filter_: Filter) -> bytes:
    """Return tasks as Label Studio imports them. A text is never empty: its viewer needs one."""
    items = [
        {
            "data": {
                **{name: value or "" for name, value in _article(task).items()},
                **_meaning(task, filter_),
                "text": task.content or rendered_title(task.article.title),
            }
        }
        for task in tasks
    ]
    return orjson.dumps(items, option=orjson.OPT_INDENT_2)


def label_studio_config(filter_: Filter) -> str:
    """Return the labelling configuration for a project of such tasks."""
    controls = "\n".join(
        f'  <Header value={quoteattr(f"{item.name}: {item.text}")} size="6"/>\n'
        f'  <Number name={quoteattr(item.name)} toName="article" min="0" max="10" step="1" '
        'required="true"/>'
        for item in definitions(filter_)
    )
    return (
        '<View>\n  <Header value="$title"/>\n  <Header value="$source $published_at" size="6"/>\n'
        f'  <Text name="article" value="$text"/>\n{controls}\n'
        f'  <TextArea name="{NOTE}" toName="article" placeholder="Note"/>\n</View>\n'
    )


def read_reviews(content: bytes, filter_: Filter, reviewer: str | None) -> ReviewFile:
    """Return the reviews in a file, which is Label Studio's where it begins with a bracket.

    `reviewer` is who reviewed where the file does not say; a file that says it has to agree.
    """
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
        parts = _of_tasks(content, filter_, reviewer)
    else:
        parts = _of_lines(content, filter_, reviewer)
    reviews: list[FileReview] = []
    errors: list[str] = []
    unreviewed = 0
    for part in parts:
        if part is None:
            unreviewed += 1
        elif isinstance(part, str):
            errors.append(part)
        else:
            reviews.append(part)
    return ReviewFile(reviews, unreviewed, errors)


Part = FileReview | str | None  # a review, what is wrong, or that nobody has reviewed an article


def _of_lines(content: bytes, filter_: Filter, reviewer: str | None) -> Iterator[Part]:
    for number, line in numbered(content.split(b"\n")):
        where = f"line {number}"
        try:
            fields = _object(strict_json(line), "not a JSON object")
            content_hash = _require_meaning(fields, filter_)
            judged = _line_judgement(fields, filter_)
            if judged is None:
                yield None
                continue
            name = _name(fields.get("reviewer"), reviewer)
            yield FileReview(where, content_hash, name, judged)
        except (InvalidReview, RecordError) as error:
            yield f"{where}: {error}"


def _line_judgement(fields: Mapping[str, Any], filter_: Filter) -> Judgement | None:
    """Return a line's judgement, None where nothing was filled in. Raises InvalidReview."""
    scores, status = fields.get("scores"), fields.get("status")
    is_empty = scores is None or (
        isinstance(scores, dict) and all(value is None for value in scores.values())
    )
    if status == REFUSED:
        if not is_empty:
            raise InvalidReview("it has scores, though its status says that it cannot be judged")
        return Judgement(None, note_of(fields.get(NOTE)))
    if status is not None:
        raise InvalidReview(f'`status` is {status!r:.40}; "{REFUSED}" says: cannot be judged')
    return None if is_empty else judgement(scores, fields.get(NOTE), filter_)


def _of_tasks(content: bytes, filter_: Filter, reviewer: str | None) -> Iterator[Part]:
    try:
        tasks = strict_json(content)
    except RecordError as error:
        yield f"the file: {error}"
        return
    for number, task in enumerate(tasks, 1):
        where = f"task {number}"
        try:
            fields = _object(task, "not an object")
            data = _object(fields.get("data"), "no `data`: export it as JSON, not as JSON-MIN")
            content_hash = _require_meaning(data, filter_)
            annotations = fields.get("annotations")
            if not isinstance(annotations, list):
                raise InvalidReview("no list of `annotations`: export it as JSON")
            if not annotations:
                yield None
            for annotation in annotations:
                item = _object(annotation, "an annotation is no object")
                judged = _annotation_judgement(item, filter_)
                name = _name(_annotator(item), reviewer)
                yield FileReview(where, content_hash, name, judged)
        except InvalidReview as error:
            yield f"{where}: {error}"


def _annotation_judgement(annotation: Mapping[str, Any], filter_: Filter) -> Judgement:
    """Return what an annotation says; one that was skipped says that it cannot be judged."""
    results = annotation.get("result")
    if annotation.get("was_cancelled") is True:
        return Judgement(None, None)
    if not isinstance(results, list):
        raise InvalidReview("an annotation has no list `result`")
    scores: dict[str, Any] = {}
    notes: list[str] = []
    for result in results:
        item = _object(result, "a result is no object")
        name, value = item.get("from_name"), item.get("value")
        if name == NOTE:
            notes += _texts(value)
        elif name in filter_.definition.dimension_names:
            if name in scores:
                raise InvalidReview(f"{name} has two scores")
            scores[name] = _number(name, value)
    return judgement(scores, "\n".join(notes), filter_)


def _number(name: str, value: Any) -> Any:
    """Return the score in the value of a number, a rating or a choice. Raises InvalidReview."""
    fields = _object(value, f"{name} has no `value`")
    for kind in _NUMBERS:
        if kind in fields:
            return fields[kind]
    choices = fields.get("choices")
    if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], str):
        text = choices[0].strip()
        return int(text) if _CHOICE.fullmatch(text) else text
    raise InvalidReview(f"{name} is neither a number, a rating nor one choice")


def _texts(value: Any) -> list[str]:
    text = _object(value, "a note has no `value`").get("text")
    texts = [item for item in (text if isinstance(text, list) else [text]) if item is not None]
    if not all(isinstance(item, str) for item in texts):
        raise InvalidReview("a note is a text")
    return texts


def _annotator(annotation: Mapping[str, Any]) -> str | None:
    """Return who annotated: Label Studio gives a number, or an object with an address."""
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    if isinstance(who, str) and who:
        return who
    return f"label-studio-{who}" if type(who) is int else None


def _name(said: Any, reviewer: str | None) -> str:
    """Return the reviewer's name: what the file says, else the one given. Raises InvalidReview."""
    if said is None:
        if reviewer is None:
            raise InvalidReview("it does not say who reviewed: name the reviewer with --reviewer")
        return reviewer
    name = reviewer_name(said)
    if reviewer not in {None, name}:
        raise InvalidReview(f"it is by {name!r}, and not by {reviewer!r}")
    return name


def _require_meaning(fields: Mapping[str, Any], filter_: Filter) -> bytes:
    """Return the hash of the text. Raises InvalidReview for scores of another filter."""
    if fields.get("filter") != filter_.name:
        raise InvalidReview(f"it is of the filter {fields.get('filter')!r:.80}")
    if not filter_.has_meaning(fields.get("label_hash")):
        raise InvalidReview(
            f"its scores mean something else than those of {filter_.reference}: prompt or "
            "dimensions are others"
        )
    content_hash = fields.get("content_hash")
    if not isinstance(content_hash, str) or _CONTENT_HASH.fullmatch(content_hash) is None:
        raise InvalidReview("no `content_hash`, which says what was reviewed")
    return bytes.fromhex(content_hash.removeprefix(HASH_PREFIX))


def _object(value: Any, otherwise: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidReview(otherwise)
    return value


def _article(task: Task) -> dict[str, Any]:
    title = rendered_title(task.article.title)
    fields = {**task.article.model_dump(), "title": title or None, "content": task.content}
    return {name: fields[name] for name in ARTICLE_FIELDS}


def _meaning(task: Task, filter_: Filter) -> dict[str, Any]:
    return {
        "content_hash": task.article.content_hash,
        "filter": filter_.name,
        "filter_version": filter_.version,
        "label_hash": filter_.label_hash,
    }
