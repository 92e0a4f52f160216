"""Web archives as crawlers write them, made of pages, and such as went wrong."""

from __future__ import annotations

import base64
import hashlib

SENTENCE = "The neighbours of village {} rebuilt their school over two years: it reopens today. "


def page(number: int, language: str = "en") -> bytes:
    """A page with an article and what surrounds one."""
    paragraphs = "".join(f"<p>{SENTENCE.format(number) * 2}Part {n}.</p>" for n in range(6))
    return (
        f'<!DOCTYPE html><html lang="{language}"><head><title>School {number} reopens</title>'
        '<meta property="og:site_name" content="The Local Herald">'
        '<meta property="article:published_time" content="2026-11-03T10:00:00Z"></head>'
        f"<body><nav><a href=/>Home</a></nav><article><h1>School {number} reopens</h1>"
        f"{paragraphs}</article><footer>Imprint</footer></body></html>"
    ).encode()


def warc_record(
    number: int,
    body: bytes,
    *,
    kind: str = "response",
    status: str = "200 OK",
    content_type: str = "text/html; charset=utf-8",
    digest_of: bytes | None = None,
) -> bytes:
    """One record. `digest_of`: its digest is of these bytes, not of its own."""
    block = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n\r\n".encode() + body
    digested = block if digest_of is None else digest_of
    digest = base64.b32encode(hashlib.sha1(digested, usedforsecurity=False).digest()).decode()
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:0-{number}>\r\n"
        f"WARC-Date: 2026-11-30T00:00:00Z\r\nWARC-Target-URI: https://example.org/{number}\r\n"
        f"WARC-Block-Digest: sha1:{digest}\r\nContent-Type: application/http; msgtype={kind}\r\n"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"
