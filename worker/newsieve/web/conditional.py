"""Conditional requests (RFC 9110, section 13): whether a client has what it asks for.

It does not know what is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import Final, NamedTuple

from starlette.datastructures import Headers
from starlette.responses import Response

_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class Version(NamedTuple):
    """Which version of something there is: an entity tag with its quotes, and the second since 1970
    in which it was last changed, None where nobody knows."""

    etag: str
    modified: int | None

    def headers(self) -> Mapping[str, str]:
        """Return the headers that tell a client the version."""
        if self.modified is None:
            return {"etag": self.etag}
        return {"etag": self.etag, "last-modified": formatdate(self.modified, usegmt=True)}

    def is_known(self, headers: Headers) -> bool:
        """Return whether a request's headers say that its client has this version. The date counts
        only where there is no tag: two changes may have one second."""
        tags = headers.getlist("if-none-match")
        if tags:
            said = ",".join(tags)
            return said.strip() == "*" or self.etag in _TAG.findall(said)
        if self.modified is None:
            return False
        try:
            since = parsedate_to_datetime(headers.get("if-modified-since", ""))
            return since.timestamp() >= self.modified
        except (ValueError, OverflowError):
            return False


def not_modified(headers: Mapping[str, str]) -> Response:
    """Return the answer to a client that has it all."""
    return Response(status_code=304, headers=dict(headers))
