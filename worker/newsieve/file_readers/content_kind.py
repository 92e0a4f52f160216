"""Recognises what a file holds by the first of its lines that is not blank.

Nothing is read here, and names of files do not count. This module knows nothing of articles.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Any, Final, Literal, NamedTuple

HEAD_BYTES: Final = 65_536  # of a line that begins as no object does: enough to tell what it is
STANDARD_INPUT: Final = "-"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_LONGEST_CHARACTER_BYTES: Final = 4  # in UTF-8: one that the end of a head may cut


class Kind(NamedTuple):
    """A kind of file, and the command that makes JSON Lines of it (empty if there is none)."""

    name: str
    command: str = ""
    first_object: Literal["broken", "followed"] | None = None  # what is wrong with it


ARRAY: Final = Kind("a JSON array", "jq -c '.[]'")
OBJECTS: Final = Kind("JSON objects, but not one on each line", "jq -c .")
CARRIAGE_RETURNS: Final = Kind("several lines, ended by CR alone", "tr '\\r' '\\n'")
TEXT_SEQUENCE: Final = Kind("a JSON text sequence (RFC 7464)", "tr -d '\\036'")
TABS: Final = Kind("tab-separated values", "mlr --itsv --ojsonl cat")
COMMAS: Final = Kind("CSV", "mlr --icsv --ojsonl cat")
SEMICOLONS: Final = Kind("CSV with semicolons", "mlr --icsv --ifs ';' --ojsonl cat")
BARS: Final = Kind("CSV with vertical bars", "mlr --icsv --ifs '|' --ojsonl cat")
WARC: Final = Kind("a web archive (WARC)")
_BINARY: Final = Kind("binary data")
_OTHER_ENCODING: Final = Kind("text that is not UTF-8", "iconv -f WINDOWS-1252 -t UTF-8")
_MARKUP: Final = Kind("XML or HTML")
_VALUE: Final = Kind("a JSON value that is not an object")
_TEXT: Final = Kind("plain text")
_BY_FIRST_BYTES: Final = {
    b"\x1f\x8b": Kind("gzip", "gunzip -c"),
    b"\x28\xb5\x2f\xfd": Kind("zstd", "zstd -dc"),
    b"\x04\x22\x4d\x18": Kind("lz4", "lz4 -dc"),
    b"\xfd7zXZ\x00": Kind("xz", "xz -dc"),
    b"BZh": Kind("bzip2", "bzip2 -dc"),
    b"PK\x03\x04": Kind("a zip archive", "funzip"),
    b"PAR1": Kind("Parquet"),
    b"Obj\x01": Kind("Avro"),
    b"\xff\xfe\x00\x00": Kind("UTF-32", "iconv -f UTF-32 -t UTF-8"),
    b"\x00\x00\xfe\xff": Kind("UTF-32", "iconv -f UTF-32 -t UTF-8"),
    b"\xff\xfe": Kind("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": Kind("UTF-16", "iconv -f UTF-16 -t UTF-8"),
    b"{\x00": Kind("UTF-16", "iconv -f UTF-16LE -t UTF-8"),
    b"\x00{": Kind("UTF-16", "iconv -f UTF-16BE -t UTF-8"),
    b"\x1e": TEXT_SEQUENCE,
    b"WARC/": WARC,
    b"{'": Kind("dictionaries as Python prints them"),
}
_BY_SEPARATOR: Final = {"\t": TABS, ",": COMMAS, ";": SEMICOLONS, "|": BARS}
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_BEGINS_AN_ARRAY: Final = re.compile(r"\[\s*([\[{\"\]]|$)")
_BEGINS_MARKUP: Final = re.compile(r"<[?!a-zA-Z]")
_COLUMN: Final = re.compile(r"[^<>{}\[\]]{0,60}")  # the name of one, perhaps in quotes or empty
_GOES_ON: Final = ("{", "[", ",", ":")  # an object on the next line


def shown_name(file: str) -> str:
    """Return what messages call a file, on one line whatever its name is."""
    return "standard input" if file == STANDARD_INPUT else file.replace("\n", "\\n")


def conversion_advice(file: str, kind: Kind) -> str:
    """Return a sentence with the command that makes JSON Lines of a file, "" if there is none."""
    if not kind.command:
        return ""
    if file == STANDARD_INPUT:
        return f". Make JSON Lines of it first: … | {kind.command} | newsieve …"
    return f". Make JSON Lines of it first: {kind.command} < {shlex.quote(file)}"


def begins_an_object(line: bytes) -> bool:
    """Say whether the first character with a meaning is a brace."""
    return line.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith(b"{")


def kind_of(line: bytes) -> Kind | None:
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


def _kind_of_object(text: str) -> Kind | None:
    """Return what a file is whose first line begins as an object.

    What is odd within an object, such as NaN or its depth, is left to the worker.
    """
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        if text.endswith(_GOES_ON) or error.pos >= len(text):
            return OBJECTS
        return Kind(f"JSON that is broken at character {error.pos + 1}", "", "broken")
    except (ValueError, RecursionError):  # a number too long, nested too deep
        return None
    return _kind_by_rest(text[end:], end) if end < len(text) else None


def _kind_by_rest(rest: str, end: int) -> Kind:
    """Return what a file is whose first line has something behind an object."""
    if rest.startswith("\r"):
        return CARRIAGE_RETURNS
    if rest.lstrip().startswith("{"):
        return OBJECTS
    return Kind(f"a JSON object with more behind it at character {end + 1}", "", "followed")


def _kind_of_text(text: str) -> Kind:
    value = _json_value(text)
    if isinstance(value, list) or _BEGINS_AN_ARRAY.match(text):
        return ARRAY
    if value is not None:
        return _VALUE
    if _CONTROLS.search(text):
        return _BINARY
    if _BEGINS_MARKUP.match(text):
        return _MARKUP
    for separator, kind in _BY_SEPARATOR.items():
        fields = text.split(separator)
        if len(fields) > 1 and any(fields) and all(map(_COLUMN.fullmatch, fields)):
            return kind
    return _TEXT


def _json_value(text: str) -> Any:
    """Parse a line; None stands for null and for what is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
