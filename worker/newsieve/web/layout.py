"""What all pages share: the navigation, who is signed in, and the way a template becomes an answer.

`base.html` has the markup. It knows no page's content.
"""

from __future__ import annotations

import gzip
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import HTMLResponse

import newsieve
from newsieve.web.access import Access, Visitor
from newsieve.web.static_files import static_address
from newsieve.web.templating import environment

COMPRESSION: Final = 1  # half a millisecond for a tenth of the bytes
NOBODY: Final = Visitor(may_read=False, may_review=False, name=None, has_session=False)


class NavigationEntry(NamedTuple):
    """A link of the navigation; it is the present one on all addresses that begin like it."""

    label: str
    address: str


NAVIGATION: Final = (
    NavigationEntry("Articles", "/articles"),
    NavigationEntry("Drift", "/drift"),
    NavigationEntry("Students", "/students"),
    NavigationEntry("Dead letters", "/dead-letters"),
    NavigationEntry("Status", "/status"),
)
REVIEW: Final = NavigationEntry("Review", "/review")


class Layout:
    """Makes answers of templates that extend `base.html`."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._navigation = (*NAVIGATION, REVIEW) if access.can_review else NAVIGATION

    def page(
        self, request: Request, template: str, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Return a page. `values` are for the template, beside those that all of them have."""
        visitor: Visitor = getattr(request.state, "visitor", NOBODY)
        can_sign_in = self._access.can_review or not self._access.is_open
        text = (
            environment()
            .get_template(template)
            .render(
                navigation=self._navigation,
                current=request.url.path,
                visitor=visitor,
                can_sign_in=can_sign_in and not visitor.has_session,
                static=static_address,
                version=newsieve.__version__,
                **values,
            )
        )
        return _compressed(HTMLResponse(text, status), request)


def _compressed(answer: HTMLResponse, request: Request) -> HTMLResponse:
    """Return an answer compressed, where its reader takes it so. No page has a secret in it that
    its length could tell."""
    answer.headers["vary"] = "accept-encoding"
    answer.headers["cache-control"] = "private, no-cache"  # one reader's rights are not all others'
    if "gzip" in request.headers.get("accept-encoding", ""):
        answer.body = gzip.compress(bytes(answer.body), COMPRESSION, mtime=0)
        answer.headers["content-encoding"] = "gzip"
        answer.headers["content-length"] = str(len(answer.body))
    return answer
