"""The files of `newsieve oracle label`: labels line by line, and the claims of calls beside them.

Whatever ends the process, a line is there whole or not at all, and each call that was begun is on
record: in `OUT.claims`, until the labelling is complete. That file also keeps lines that were paid
for and whose turn has not come. A line that failed and is asked for again is replaced in its place.
How articles are labelled this module does not know.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import orjson
from pydantic import Field, ValidationError

from newsieve.errors import InputFileInvalid
from newsieve.files import whole_file
from newsieve.filters.article import Article
from newsieve.oracle.budget import Ledger
from newsieve.oracle.failure_streak import SAME_FAILURES
from newsieve.oracle.label_cache import CacheKey, config_key
from newsieve.oracle.labeling_task import LabelResult
from newsieve.oracle.ledger_record import StoredLedger
from newsieve.oracle.prompt import Prompt
from newsieve_schemas.label_row import LabelLine, LabelRow, OracleLabel
from newsieve_schemas.oracle import INVALID, LABELLED, OVER_BUDGET, OracleKey

CLAIMS: Final = ".claims"
NO_DAY: Final = "whole"  # the day of a labelling's budget, which is not by the day
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STARTS: Final = (b'{"id":"', b'{"outcome":"dead_letter"')  # of the lines that are written


class _Claims(StoredLedger):
    rows: list[dict[str, Any]] = Field(default_factory=list)


class _Line(NamedTuple):
    """A line of the file: what it labels, its bytes, its status and the calls it has cost."""

    text: CacheKey
    start: int
    end: int
    status: str
    calls: int


class LabelFileWriter:
    """Appends label rows to a file, with a file of claims; changes neither before `writing`."""

    def __init__(self, path: Path, *, retry_failed: bool = False) -> None:
        """`retry_failed`: every line without a label is asked for again.

        Raises InputFileInvalid for a file that `newsieve oracle label` did not write.
        """
        if path.exists() and not path.is_file():  # reading a device might never end
            raise InputFileInvalid(f"{path} is no regular file: name another with --out")
        self._path = path
        self._claims = path.with_name(path.name + CLAIMS)
        self._lines: list[_Line] = []
        self.bad_lines: set[int] = set()
        self._whole_bytes = self._read_lines()
        latest = {line.text: line for line in self._lines}
        again = _failed(latest, retry_failed=retry_failed)
        self.failed = {text: latest[text].calls for text in again}  # and what they have cost
        self.texts = latest.keys() - again  # that have their line
        self.ledger, rows = self._read_claims()
        labelled = {text for text, line in latest.items() if line.status == LABELLED}
        # Lines whose turn has not come: also those in place of one that failed.
        self.kept = {text: row for text, row in rows.items() if text not in labelled}
        self.texts -= self.kept.keys()
        self._stream: IO[bytes] | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Allow `append` within this context, after a torn last line was cut off. Raises
        InputFileInvalid."""
        try:
            stream = self._path.open("ab")
        except OSError as error:
            raise InputFileInvalid(f"cannot write {self._path}: {error.strerror}") from None
        try:
            with stream:
                stream.truncate(self._whole_bytes)
                self._stream = stream
                yield
        except OSError as error:
            if error.filename is None and error.errno in _NO_ROOM:  # it does not say of which file
                raise OSError(error.errno, error.strerror, str(self._path)) from None
            raise
        self._replace_failed()

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append whole lines, which are on disk when this returns."""
        if rows and self._stream is not None:
            self._stream.write(b"".join(orjson.dumps(row) + b"\n" for row in rows))
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def claim(self, ledger: Ledger) -> None:
        """Replace the file of claims, which is on disk when this returns: the ledger and `kept`."""
        fields = {**StoredLedger.fields_of(ledger), "rows": list(self.kept.values())}
        with whole_file(self._claims) as stream:
            stream.write(orjson.dumps(fields))

    def complete(self) -> None:
        """Remove the file of claims: every line is written, and the next labelling begins anew."""
        self._claims.unlink(missing_ok=True)

    def _read_lines(self) -> int:
        """Read the lines and return how many bytes of the file are whole lines."""
        whole = 0
        self._lines.clear()
        try:
            with self._path.open("rb") as stream:
                for number, line in enumerate(stream, 1):
                    if not line.endswith(b"\n"):
                        self._require_torn(number, line)
                        break
                    self._read(number, line, whole)
                    whole += len(line)
        except FileNotFoundError:
            if not self._path.parent.is_dir():
                raise InputFileInvalid(f"cannot write {self._path}: no such folder") from None
        except OSError as error:
            raise InputFileInvalid(f"cannot read {self._path}: {error.strerror}") from None
        return whole

    def _read(self, number: int, line: bytes, start: int) -> None:
        try:
            row = LabelLine(orjson.loads(line))
            if row.is_dead_letter:
                self.bad_lines.add(int(row.fields["line"]))
                return
            text = _text_of(row)
            self._lines.append(_Line(text, start, start + len(line), row.status, row.calls))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._not_ours(number) from None

    def _require_torn(self, number: int, line: bytes) -> None:
        """Raise InputFileInvalid unless the last line is one of newsieve's or its beginning:
        nothing else is cut off."""
        try:
            row = orjson.loads(line)
        except ValueError:
            is_ours = any(line.startswith(start) or start.startswith(line) for start in _STARTS)
        else:
            is_ours = isinstance(row, dict) and not row.keys().isdisjoint(("oracle_key", "outcome"))
        if not is_ours:
            raise self._not_ours(number)

    def _not_ours(self, number: int) -> InputFileInvalid:
        return InputFileInvalid(
            f"{self._path}, line {number}: not what `newsieve oracle label` writes; name another "
            "file with --out"
        )

    def _replace_failed(self) -> None:
        """Put, in the place of a line without a label, the last one of the same text behind it."""
        self._read_lines()
        first: dict[CacheKey, _Line] = {}
        replacements: dict[int, _Line] = {}  # by where the former line starts
        moved: set[int] = set()
        for line in self._lines:
            former = first.setdefault(line.text, line)
            if former is not line and former.status != LABELLED:
                replacements[former.start] = line
                moved.add(line.start)
        if replacements:
            self._rewrite(replacements, moved)

    def _rewrite(self, replacements: Mapping[int, _Line], moved: Collection[int]) -> None:
        with self._path.open("rb") as old, whole_file(self._path) as new:
            start = 0
            for raw in old:
                instead = replacements.get(start)
                if instead is not None:
                    new.write(os.pread(old.fileno(), instead.end - instead.start, instead.start))
                elif start not in moved:
                    new.write(raw)
                start += len(raw)

    def _read_claims(self) -> tuple[Ledger, dict[CacheKey, dict[str, Any]]]:
        """Return the ledger of what is claimed, and the lines that are kept."""
        try:
            stored = _Claims.model_validate_json(self._claims.read_bytes())
            rows = {_text_of(LabelLine(row)): row for row in stored.rows}
        except FileNotFoundError:
            return Ledger(NO_DAY), {}
        except (OSError, KeyError, TypeError, ValidationError):
            raise InputFileInvalid(
                f"{self._claims} should say which calls were begun and what was spent, and cannot "
                "be read; without it that is forgotten"
            ) from None
        return stored.ledger(NO_DAY), rows


def _text_of(row: LabelLine) -> CacheKey:
    """Return what the row labels. Raises KeyError, TypeError or ValidationError."""
    fields = row.fields
    text = CacheKey(fields["id"], fields["content_hash"], config_key(row.oracle_key))
    hash(text)  # an id that is a list has none
    return text


def _failed(latest: Mapping[CacheKey, _Line], *, retry_failed: bool) -> set[CacheKey]:
    """Return what is asked for again: lines without a budget, which may have grown, and invalid
    ones that followed each other, since then it was no article's own fault."""
    if retry_failed:
        return {text for text, line in latest.items() if line.status != LABELLED}
    again = {text for text, line in latest.items() if line.status == OVER_BUDGET}
    for config in {text.config for text in latest}:
        lines = [line for text, line in latest.items() if text.config == config]
        is_labelled = any(line.status == LABELLED for line in lines)
        for is_invalid, run in groupby(lines, key=lambda line: line.status == INVALID):
            texts = {line.text for line in run}
            if is_invalid and (len(texts) >= SAME_FAILURES or not is_labelled):
                again |= texts
    return again


def label_row(
    article: Article, prompt: Prompt, result: LabelResult, key: OracleKey, lost: int, now: str
) -> LabelRow:
    """Return an article's row. `lost` counts the calls whose answers nobody has; `now` is ISO
    8601."""
    answer = result.answer
    label = (
        OracleLabel(oracle=key.name, scored_at=now, scores=answer.scores)
        if answer is not None
        else None
    )
    return LabelRow(
        id=article.id,
        title=article.title,
        content=article.content,
        url=article.url,
        source=article.source,
        language=article.language,
        published_at=article.published_at,
        content_hash=article.content_hash,
        filter=prompt.filter.name,
        filter_version=prompt.filter.version,
        label_hash=prompt.filter.label_hash,
        status=result.status,
        suspect=prompt.detector.kinds(article.text),
        oracle_scores=label,
        content_type=answer.content_type if answer is not None else None,
        reasoning=answer.reasoning if answer is not None else None,
        key_markers=answer.key_markers if answer is not None else None,
        failure=result.failure,
        oracle_key=key,
        usage=result.usage,
        calls_without_record=lost,
        answer_hash=result.answer_hash,
    )
