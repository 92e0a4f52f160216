"""The files of a bulk labelling: the labels, line by line on disk, and beside them what is claimed.

Whatever ends the process, a line is there whole or not at all, and a call that was begun is known:
`OUT.claims` says so until the labelling is complete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.oracle import OracleKey
from worker.errors import InputFileInvalid
from worker.oracle.budget import Ledger
from worker.oracle.interview import Verdict
from worker.oracle.memory import Text, way_of
from worker.oracle.prompt import Prompt
from worker.rules.article import Article

CLAIMS: Final = ".claims"
DEAD_LETTER: Final = "dead_letter"
WHOLE: Final = "whole"  # a bulk labelling's budget is not by the day


class _Noted(BaseModel):
    model_config = ConfigDict(strict=True)

    calls: int = Field(ge=0)
    usd: float = Field(ge=0, allow_inf_nan=False)
    claims: list[tuple[int, int]]


class Sheet:
    """An output file and its claims; neither is touched before `writing`."""

    def __init__(self, path: Path) -> None:
        """Raises InputFileInvalid for a file that is not ours."""
        self._path = path
        self._claims = path.with_name(path.name + CLAIMS)
        self.texts: set[Text] = set()  # that have their line
        self.bad_lines: set[int] = set()
        self._whole_bytes = self._read_lines()
        self.ledger = self._read_claims()
        self._stream: IO[bytes] | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Append from here on; a torn last line is cut off. Raises InputFileInvalid."""
        try:
            stream = self._path.open("ab")
        except OSError as error:
            raise InputFileInvalid(f"cannot write {self._path}: {error.strerror}") from None
        with stream:
            stream.truncate(self._whole_bytes)
            self._stream = stream
            yield

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Whole lines, on disk when this returns."""
        if rows and self._stream is not None:
            self._stream.write(b"".join(orjson.dumps(row) + b"\n" for row in rows))
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def claim(self, ledger: Ledger) -> None:
        """Replace what is claimed, on disk when this returns."""
        facts = {"calls": ledger.calls, "usd": ledger.usd, "claims": sorted(ledger.claims.items())}
        beside = self._claims.with_name(self._claims.name + ".new")
        with beside.open("wb") as stream:
            stream.write(orjson.dumps(facts))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, self._claims)

    def complete(self) -> None:
        """Every line is there: nothing is claimed any more, and the budget begins anew."""
        self._claims.unlink(missing_ok=True)

    def _read_lines(self) -> int:
        """How many bytes of the file are whole lines."""
        whole = 0
        try:
            with self._path.open("rb") as stream:
                for number, line in enumerate(stream, 1):
                    if not line.endswith(b"\n"):
                        break
                    self._read(number, line)
                    whole += len(line)
        except FileNotFoundError:
            if not self._path.parent.is_dir():
                raise InputFileInvalid(f"cannot write {self._path}: no such folder") from None
        except OSError as error:
            raise InputFileInvalid(f"cannot read {self._path}: {error.strerror}") from None
        return whole

    def _read(self, number: int, line: bytes) -> None:
        try:
            row = orjson.loads(line)
            if row.get("outcome") == DEAD_LETTER:
                self.bad_lines.add(int(row["line"]))
                return
            key = OracleKey.model_validate(row["oracle_key"], extra="ignore")
            self.texts.add(Text(row["id"], row["content_hash"], way_of(key)))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputFileInvalid(
                f"{self._path}, line {number}: not what `newsieve oracle label` writes; name "
                "another file with --out"
            ) from None

    def _read_claims(self) -> Ledger:
        try:
            noted = _Noted.model_validate_json(self._claims.read_bytes())
        except FileNotFoundError:
            return Ledger(WHOLE)
        except (OSError, ValidationError):
            raise InputFileInvalid(
                f"{self._claims} should say which calls were begun and what was spent, and cannot "
                "be read; without it that is forgotten"
            ) from None
        return Ledger(WHOLE, noted.calls, noted.usd, dict(noted.claims))


def label_row(
    article: Article, prompt: Prompt, verdict: Verdict, key: OracleKey, lost: int, now: str
) -> dict[str, Any]:
    """What `newsieve-train prepare` reads, and all that is known of the label beside it."""
    answer = verdict.answer
    label = (
        {"oracle": key.name, "scored_at": now, "scores": answer.scores}
        if answer is not None
        else None
    )
    return {
        "id": article.id,
        "title": article.title,
        "content": article.content,
        "url": article.url,
        "source": article.source,
        "language": article.language,
        "published_at": article.published_at,
        "content_hash": article.content_hash,
        "filter": prompt.filter.name,
        "filter_version": prompt.filter.version,
        "label_hash": prompt.filter.label_hash,
        "status": verdict.status,
        "oracle_scores": label,
        "content_type": answer.content_type if answer is not None else None,
        "reasoning": answer.reasoning if answer is not None else None,
        "key_markers": answer.key_markers if answer is not None else None,
        "failure": verdict.failure,
        "oracle_key": key.model_dump(),
        "usage": verdict.usage.model_dump() if verdict.usage is not None else None,
        "calls_without_record": lost,
        "answer_hash": verdict.answer_hash,
    }
