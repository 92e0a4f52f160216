"""Style sheets, scripts and pictures of the pages: package data under `static/`.

A file's address has the hash of its content, so that browsers keep it for as long as it is that
file. It knows no page.
"""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

from fastapi import APIRouter
from starlette.responses import Response

from newsieve.web.problems import HttpError

HASH_CHARACTERS: Final = 16
FOR_EVER: Final = "public, max-age=31536000, immutable"


class StaticFile(NamedTuple):
    """A file's content, and what it is."""

    content: bytes
    media_type: str
    digest: str


@cache
def static_files() -> MappingProxyType[str, StaticFile]:
    """Return all files by name."""
    folder = files("newsieve.web") / "static"
    return MappingProxyType({
        item.name: _read(item.name, item.read_bytes()) for item in folder.iterdir()
    })  # fmt: skip


def static_address(name: str) -> str:
    """Return the address of a file. Raises KeyError where there is none of this name."""
    return f"/static/{static_files()[name].digest}/{name}"


def static_router() -> APIRouter:
    """Return the route of all files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/static/{digest}/{name}")
    async def static(digest: str, name: str) -> Response:
        """Send a file. One of another version is not there."""
        file = static_files().get(name)
        if file is None or file.digest != digest:
            raise HttpError(404, "there is no such file")
        return Response(
            file.content, media_type=file.media_type, headers={"cache-control": FOR_EVER}
        )

    return router


def _read(name: str, content: bytes) -> StaticFile:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return StaticFile(content, media_type, hashlib.sha256(content).hexdigest()[:HASH_CHARACTERS])
