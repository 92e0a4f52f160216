"""The rank of a request in its draw, and its source: by these the budget is cut. Pure.

A draw with a secret key does not publish u, and an oracle with that key computes it. Without the
right key ranks are drawn here, with a secret of the process: u / pi of a request that was drawn is
uniform whatever the request says, so any rank that depends on nothing else cuts as well, and
estimates stay valid. What is lost is that another process, or a replay, would cut the same
requests.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from newsieve.errors import InvalidRequest
from newsieve.filters.address import host_of
from newsieve.filters.sampling import EpochDraw, fingerprint_in
from newsieve.filters.secret_key import SecretKey
from newsieve.oracle.records import ANCHOR
from newsieve_schemas.article import ArticleIdentity
from newsieve_schemas.oracle import OracleRequest

SOURCE_BYTES: Final = 8  # of its hash: enough to tell the sources of a day apart


class DrawPosition(NamedTuple):
    """The rank of a request, u / pi in [0, 1), and its source, which is None for an anchor.
    `other_key` is the fingerprint of the draw's key where this oracle does not have that key."""

    rank: float
    source: str | None
    other_key: str | None = None


class DrawPositions:
    """Finds the ranks of one oracle's requests."""

    def __init__(self, key: SecretKey | None, own: SecretKey) -> None:
        """`key` is the workers' sampling key, `own` a random one of this process alone."""
        self._key = key
        self._own = EpochDraw("", own)

    def position_of(self, request: OracleRequest) -> DrawPosition:
        """Return the rank and the source of a request. Raises InvalidRequest for one that the draw
        did not choose: no worker asked for it."""
        sampling, article = request.sampling, request.article
        if sampling.purpose == ANCHOR:
            return DrawPosition(0.0, None)
        source = source_of(article)
        u, made_with = sampling.u, fingerprint_in(sampling.policy)
        if u is None:
            if self._key is None or made_with != self._key.fingerprint:
                own = self._own.u(article.id, article.content_hash)
                return DrawPosition(own, source, made_with or "unknown")
            u = EpochDraw(sampling.epoch, self._key).u(article.id, article.content_hash)
        if u >= sampling.pi:
            raise InvalidRequest(
                f"its draw does not choose it: u is not below pi, {sampling.pi:g}. No worker with "
                "this key and epoch asked for it"
            )
        return DrawPosition(u / sampling.pi, source)


def source_of(article: ArticleIdentity) -> str:
    """Return a hash of the host of the article's url, without `www.`, or else of its `source`.

    Articles with neither have one source together. A hash has one length, and puts no name on the
    control topic.
    """
    host = host_of(article.url or "").removeprefix("www.")
    name = f"host\n{host}" if host else f"source\n{article.source or ''}"
    return hashlib.blake2b(
        name.encode("utf-8", "surrogatepass"), digest_size=SOURCE_BYTES
    ).hexdigest()
