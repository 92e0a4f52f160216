"""Recognises files that are not JSON Lines by their first line, and says how to convert them.

Only the first line with anything in it is looked at: a bad line further on is that record's fault.
This module knows nothing of articles.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from itertools import chain
from typing import IO, Any, Final, NamedTuple

from newsieve.errors import InputFileInvalid

HEAD_BYTES: Final = 65_536  # of a line that begins as no object does: enough to tell what it is
STANDARD_INPUT: Final = "-"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LONGEST_CHARACTER_BYTES: Final = 4  # in UTF-8: one that the end of a head may cut


class _Kind(NamedTuple):
    """A kind of file, and the jq filter that makes JSON Lines of it (empty if there is none)."""

    name: str
    command: str = ""


_ARRAY: Final = _Kind("a JSON array", "jq -c '.[]'")
_OBJECTS: Final = _Kind("JSON objects, but not one on each line", "jq -c .")
_CARRIAGE_RETURNS: Final = _Kind("several lines, ended by CR alone", "tr '\\r' '\\n'")
_BINARY: Final = _Kind("binary data")
_OTHER_ENCODING: Final = _Kind("text that is not UTF-8", "iconv -f WINDOWS-1252 -t UTF-8")
_MARKUP: Final = _Kind("XML or HTML")
_VALUE: Final = _Kind("a JSON value that is not an object")
_TEXT: Final = _Kind("plain text")
_BY_FIRST_BYTES: Final = {
    b"\x1f\x8b": _Kind("gzip", "gunzip -c"),
    b"\x28\xb5\x2f\xfd": _Kind("zstd", "zstd -dc"),
    b"\x04\x22\x4d\x18": _Kind("lz4", "lz4 -dc"),
    b"\xfd7zXZ\x00": _Kind("xz", "xz -dc"),
    b"BZh": _Kind("bzip2", "bzip2 -dc"),
    b"PK\x03\x04": _Kind("a zip archive", "funzip"),
    b"PAR1": _Kind("Parquet"),
    b"Obj\x01": _Kind("Avro"),
    b"\xff\xfe\x00\x00": _Kind("UTF-32", "iconv -f UTF-32 -t UTF-8"),
    b"\x00\x00\xfe\xff": _Kind("UTF-32", "iconv -f UTF-32 -t UTF-8"),
    b"\xff\xfe": _Kind("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": _Kind("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"{\x00": _Kind("UTF-16", "iconv -f UTF-16LE -t UTF-8"),
    b"\x00{": _Kind("UTF-16", "iconv -f UTF-16BE -t UTF-8"),
    b"\x1e": _Kind("a JSON text sequence (RFC 7464)", "tr -d '\\036'"),
    b"{'": _Kind("dictionaries as Python prints them"),
}
_BY_SEPARATOR: Final = {
    "\t": _Kind("tab-separated values", "mlr --itsv --ojsonl cat"),
    ",": _Kind("CSV", "mlr --icsv --ojsonl cat"),
    ";": _Kind("CSV with semicolons", "mlr --icsv --ifs ';' --ojsonl cat"),
}
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_BEGINS_AN_ARRAY: Final = re.compile(r"\[\s*([\[{\"\]]|$)")
_BEGINS_MARKUP: Final = re.compile(r"<[?!a-zA-Z]")
_COLUMN: Final = re.compile(r"[^<>{}\[\]]{1,60}")  # the name of one, perhaps in quotes
_GOES_ON: Final = ("{", "[", ",", ":")  # an object on the next line


def require_json_lines(file: str, stream: IO[bytes], unless: str = "") -> Iterable[bytes]:
    """Return all lines of the stream if the first one is a JSON object.

    Raises InputFileInvalid, which says what the file looks like and ends with `unless`.
    """
    before: list[bytes] = []
    try:
        while (line := stream.readline(HEAD_BYTES)).isspace():
            before.append(line)
        if _begins_an_object(line) and not line.endswith(b"\n"):
            line += stream.readline()
    except OSError as error:
        raise InputFileInvalid(f"cannot read {file}: {error.strerror or error}") from None
    name = "standard input" if file == STANDARD_INPUT else file
    if not line:
        raise InputFileInvalid(f"{name} is empty{unless}")
    kind = _kind_of(line)
    if kind is not None:
        what = f"{name} is not JSON Lines: its first line looks like {kind.name}"
        raise InputFileInvalid(f"{what}{_advice(file, kind)}{unless}")
    return chain([*before, line], stream)


def _advice(file: str, kind: _Kind) -> str:
    if not kind.command:
        return ""
    if file == STANDARD_INPUT:
        return f". Make JSON Lines of it first: … | {kind.command} | newsieve …"
    return f". Make JSON Lines of it first: {kind.command} < {shlex.quote(file)}"


def _begins_an_object(line: bytes) -> bool:
    return line.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{")


def _kind_of(line: bytes) -> _Kind | None:
    """Return what a file is that begins with this line; None if the line is a JSON object."""
    content = line.removeprefix(_BYTE_ORDER_MARK).lstrip(b" \t\r\n")
    for first_bytes, kind in _BY_FIRST_BYTES.items():
        if content.startswith(first_bytes):
            return kind
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        if len(line) < HEAD_BYTES or error.start < len(content) - _LONGEST_CHARACTER_BYTES:
            return _BINARY if _CONTROLS.search(content.decode("latin-1")) else _OTHER_ENCODING
        text = content[: error.start].decode()
    if text.startswith("{"):
        return _kind_of_object(text.rstrip())
    return _kind_of_text(text.rstrip())


def _kind_of_object(text: str) -> _Kind | None:
    """Return what a file is whose first line begins as an object.

    What is odd within an object, such as NaN or its depth, is left to the worker.
    """
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        if text.endswith(_GOES_ON) or error.pos >= len(text):
            return _OBJECTS
        return _Kind(f"JSON that is broken at character {error.pos + 1}")
    except (ValueError, RecursionError):  # a number too long, nested too deep
        return None
    return _kind_by_rest(text[end:], end) if end < len(text) else None


def _kind_by_rest(rest: str, end: int) -> _Kind:
    """Return what a file is whose first line has something behind an object."""
    if rest.startswith("\r"):
        return _CARRIAGE_RETURNS
    if rest.lstrip().startswith("{"):
        return _OBJECTS
    return _Kind(f"a JSON object with more behind it at character {end + 1}")


def _kind_of_text(text: str) -> _Kind:
    value = _json_value(text)
    if isinstance(value, list) or _BEGINS_AN_ARRAY.match(text):
        return _ARRAY
    if value is not None:
        return _VALUE
    if _CONTROLS.search(text):
        return _BINARY
    if _BEGINS_MARKUP.match(text):
        return _MARKUP
    for separator, kind in _BY_SEPARATOR.items():
        fields = text.split(separator)
        if len(fields) > 1 and all(map(_COLUMN.fullmatch, fields)):
            return kind
    return _TEXT


def _json_value(text: str) -> Any:
    """Parse a line; None stands for null and for what is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
