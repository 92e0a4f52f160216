"""Splits a stream of JSON into the bytes of its values: the elements of arrays, and objects one
behind another, with whatever white space or record separators (RFC 7464) between them.

Values are not parsed: quotes and brackets alone say where one ends, so that a bad one costs itself.
A value is held until its end has come, but no further than the limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedReader
from typing import Final

from newsieve.file_readers.file_record import FileRecord, too_large

_PART_BYTES: Final = 1 << 16
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_BETWEEN: Final = b" \t\r\n,\x1e"
_SEPARATOR: Final = b"\x1e"  # of RFC 7464; in no string, so it ends one that does not end itself
_IN_STRING: Final = rb'[^"\\\x1e]*+(?:\\.[^"\\\x1e]*+)*+'
# A lone quote begins a string whose end is not in the text.
_TOKEN: Final = re.compile(rb'"%b"|["\[\]{},\x1e]' % _IN_STRING, re.DOTALL)
_STRING: Final = re.compile(_IN_STRING, re.DOTALL)


def read_json_values(stream: BufferedReader, most_bytes: int) -> Iterator[FileRecord]:
    """Yield the values of a stream, an array's elements each for itself, and what stands between
    values though it is none."""
    splitter = _Splitter(most_bytes)
    while part := stream.read1(_PART_BYTES):
        yield from splitter.split(part)
    yield from splitter.finish()


class _Splitter:
    """Takes a stream part by part, and yields each value once its end has come."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._text = b""
        self._start = 0  # of the value that has not ended, in the text
        self._scanned = 0  # up to here the text has been looked at
        self._dropped = False  # whether the value is too large to be held
        self._line = 1  # of the start
        self._number = 0  # of the last value
        self._depth = 0  # of brackets that are open
        self._outside = 0  # of these, those around the value: 1 in an array
        self._is_in_string = False

    def split(self, part: bytes) -> Iterator[FileRecord]:
        """Yield the values that end in this part."""
        if not self._number and not self._text:
            part = part.removeprefix(_BYTE_ORDER_MARK)
        self._text = self._text[self._start :] + part
        self._scanned, self._start = self._scanned - self._start, 0
        if not self._is_in_string or self._leaves_string():
            for token in _TOKEN.finditer(self._text, self._scanned):
                self._scanned = token.end()
                if token[0] == b'"':
                    self._is_in_string = True
                    if not self._leaves_string():
                        break
                elif len(token[0]) == 1 and (bounds := self._follow(token)) is not None:
                    yield from self._value(*bounds)
            if not self._is_in_string:
                self._scanned = len(self._text)
        if len(self._text) - self._start > self._most_bytes:
            self._drop()

    def finish(self) -> Iterator[FileRecord]:
        """Yield what is left at the end of the stream."""
        if self._depth == 0 and not self._is_in_string:
            yield from self._value(len(self._text), len(self._text))
            return
        is_between = self._depth == self._outside and not self._is_in_string
        rest = self._text[self._start :]
        is_array = is_between and not rest.strip(_BETWEEN) and not self._dropped
        what = "array" if is_array else "value"
        yield FileRecord(self._place(rest), None, f"not JSON: the file ends before the {what} does")

    def _leaves_string(self) -> bool:
        """Look for the end of the string that is open, and say whether it has come."""
        inside = _STRING.match(self._text, self._scanned)
        self._scanned = inside.end() if inside else self._scanned
        closing = self._text[self._scanned : self._scanned + 1]
        self._is_in_string = closing not in (b'"', _SEPARATOR)
        self._scanned += closing == b'"'
        return not self._is_in_string

    def _follow(self, token: re.Match[bytes]) -> tuple[int, int] | None:
        """Count a bracket, comma or separator. Return where the value before it ends, and where
        the next one may begin; None within a value."""
        start, end = token.span()
        depth, outside = self._depth, self._outside
        match token[0]:
            case b"\x1e":
                self._depth = self._outside = 0
                return start, end
            case b",":
                return (start, end) if depth == outside else None
            case b"[" if depth == 0:
                self._depth = self._outside = 1
                return start, end
            case b"[" | b"{":
                self._depth += 1
                return (start, start) if depth == 0 else None
        self._depth = max(depth - 1, 0)
        if depth == 1 and outside == 1:
            self._outside = 0
            return start, end
        return (end, end) if depth == 1 else None

    def _value(self, end: int, following: int) -> Iterator[FileRecord]:
        """Yield the value that ends here, if it is not blank, and go on with the following."""
        text = self._text[self._start : end]
        value = text.strip(_BETWEEN)
        if self._dropped or len(value) > self._most_bytes:
            yield too_large(self._place(text), self._most_bytes)
        elif value:
            yield FileRecord(self._place(text), value)
        self._dropped = False
        self._line += self._text.count(b"\n", self._start, following)
        self._start = following

    def _place(self, text: bytes) -> str:
        """Count a value and return its place; the text is from the start to its end."""
        self._number += 1
        blank = len(text) - len(text.lstrip(_BETWEEN))
        line = self._line if self._dropped else self._line + text.count(b"\n", 0, blank)
        return f"value {self._number:,}, line {line:,}"

    def _drop(self) -> None:
        """Hold no more of a value that is too large, nor of white space."""
        ended = self._text[self._start : self._scanned]
        if not self._dropped and not ended.strip(_BETWEEN):
            self._line += ended.count(b"\n")
        else:
            self._dropped = True  # and keeps the line that it began in
        self._start = self._scanned
