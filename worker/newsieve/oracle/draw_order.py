"""Where a request stands in the draw, and whose it is: what the cut goes by. Pure.

A draw with a secret key says no u: whoever has the key computes it. Without the right one ranks are
drawn here, with a secret of the process: given that a request was drawn its u / pi is uniform
whatever it says, so any rank that depends on nothing else cuts as well, and estimates stay valid.
What is lost is that another process, or a replay, would cut the same ones.
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
    """`rank` is u / pi, in [0, 1). `source` is None for what is no source's doing. `other_key` is
    the fingerprint of a key that is not ours."""

    rank: float
    source: str | None
    other_key: str | None = None


class DrawPositions:
    """Of one oracle's requests."""

    def __init__(self, key: SecretKey | None, own: SecretKey) -> None:
        """`own` is of this process alone, of a random secret."""
        self._key = key
        self._own = EpochDraw("", own)

    def position_of(self, request: OracleRequest) -> DrawPosition:
        """Raises InvalidRequest for one that the draw did not choose: no worker asked for it."""
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
    """The host of the article's url, without `www.`; else what its `source` says; else nothing, as
    of all that say nothing. As a hash: of one length, and no name on the control topic."""
    host = host_of(article.url or "").removeprefix("www.")
    name = f"host\n{host}" if host else f"source\n{article.source or ''}"
    return hashlib.blake2b(
        name.encode("utf-8", "surrogatepass"), digest_size=SOURCE_BYTES
    ).hexdigest()
