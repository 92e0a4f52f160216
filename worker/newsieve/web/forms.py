"""Forms as browsers send them, read strictly. It knows no form."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from newsieve.web.problems import HttpError

MOST_BYTES: Final = 100_000
MOST_FIELDS: Final = 200
FORM: Final = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> dict[str, str]:
    """Return a form's fields. Raises HttpError for what is no form of ours."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise HttpError(415, f"A form is sent as {FORM}.")
    body = await request.body()
    if len(body) > MOST_BYTES:
        raise HttpError(413, f"A form has at most {MOST_BYTES:,} bytes.")
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise HttpError(422, "This is no form of this site.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise HttpError(422, "A field of the form stands there twice.")
    return fields
