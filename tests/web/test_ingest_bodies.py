"""The forms in which articles are sent by HTTP: each is published with its own bytes."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from backports import zstd

from tests.support.ingest_http import JSON, LINES, make_receiver, read_as_a_worker

FIRST = b'{"id": "a1",  "title": "A village opens a library", "content": "Books."}'
SECOND = b'{ "id":17, "title":"The harbour rose early" }'
EVENT = {"specversion": "1.0", "id": "e1", "source": "/desk", "type": "article.published"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=UTF-8"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
BINARY = {f"ce-{name}": value for name, value in EVENT.items()}

FEED = {"id": 8, "user_id": 1, "feed_url": "https://example.org/feed.xml", "title": "Example News"}
ENTRY = {
    "id": 231,
    "user_id": 1,
    "feed_id": 8,
    "status": "unread",
    "hash": "1163a93ef12741b558a3b86d7e975c4c1de0152f3439915ed185eb460e5718d7",
    "title": "A village opens a library",
    "url": "https://example.org/article",
    "comments_url": "",
    "published_at": "2026-08-17T19:29:22Z",
    "created_at": "2026-08-17T19:43:22.143Z",
    "changed_at": "2026-08-17T19:43:22.143Z",
    "content": "<p>It has 4,000 books.</p>",
    "share_code": "",
    "starred": False,
    "reading_time": 1,
    "enclosures": [{"id": 158, "url": "https://example.org/a.mp3", "mime_type": "audio/mpeg"}],
    "tags": ["Books", "Villages"],
    "author": "A. Writer",
}


def event(data: bytes, **fields: Any) -> bytes:
    return json.dumps({**EVENT, "data": json.loads(data), **fields}).encode()


@pytest.mark.parametrize(
    ("headers", "body", "values"),
    [
        (JSON, FIRST, [FIRST]),
        ({"content-type": "application/json; charset=utf-8"}, FIRST, [FIRST]),
        (JSON, b"\xef\xbb\xbf [" + FIRST + b" ,\n" + SECOND + b"]\n", [FIRST, SECOND]),
        (JSON, b"[]", []),
        (LINES, FIRST + b"\n\n" + SECOND, [FIRST, SECOND]),
        ({"content-type": "application/jsonl"}, FIRST + b"\r\n", [FIRST + b"\r"]),
        ({**JSON, "content-encoding": "gzip"}, gzip.compress(FIRST, mtime=0), [FIRST]),
        (
            {**LINES, "content-encoding": "GZIP"},
            gzip.compress(FIRST + b"\n" + SECOND, mtime=0),
            [FIRST, SECOND],
        ),
        ({**JSON, "content-encoding": "zstd"}, zstd.compress(FIRST), [FIRST]),
        (STRUCTURED, event(FIRST), [event(FIRST)]),
        (JSON, event(FIRST), [event(FIRST)]),
        (BATCH, b"[" + event(FIRST) + b"," + event(SECOND) + b"]", [event(FIRST), event(SECOND)]),
        ({**JSON, **BINARY}, FIRST, [FIRST]),
        ({"content-type": "application/vnd.news+json", **BINARY}, FIRST, [FIRST]),
    ],
)
def test_an_article_is_published_with_its_own_bytes(
    headers: dict[str, str], body: bytes, values: list[bytes]
) -> None:
    """One or many, compressed or not, alone or in an event: a worker reads it under the same id."""
    receiver = make_receiver()

    answer = receiver.post(body, headers)

    assert answer.status_code == 202, answer.text
    assert [record.value for record in receiver.publisher.committed] == values
    ids = [json.loads(value).get("data", json.loads(value))["id"] for value in values]
    assert answer.json() == {"accepted": len(values), "ids": [str(item) for item in ids]}
    for record, identity in zip(receiver.publisher.committed, ids, strict=True):
        assert record.key == str(identity).encode()
        assert read_as_a_worker(record).id == str(identity)


def test_an_article_without_an_id_gets_the_one_that_a_worker_makes() -> None:
    """From its url, or else its text."""
    receiver = make_receiver()

    answer = receiver.post(b'[{"title": "T", "url": "https://x.example/1"}, {"title": "Of all"}]')

    articles = [read_as_a_worker(record) for record in receiver.publisher.committed]
    assert answer.json()["ids"] == [article.id for article in articles]
    assert len({article.id for article in articles}) == 2


def test_a_cloud_event_keeps_its_attributes_as_the_kafka_binding_has_them() -> None:
    """In binary mode as headers, whose values were percent-encoded; in structured mode the content
    type alone, of a batch that of one event. No other header of a request becomes one."""
    receiver = make_receiver()
    headers = {
        "content-type": "application/json",
        **BINARY,
        "ce-subject": "Z%C3%BCrich",
        "ce-partitionkey": "k",
        "dlq.filter": "uplifting",
        "x-other": "1",
    }
    receiver.post(FIRST, headers)
    receiver.post(event(FIRST), STRUCTURED)
    receiver.post(b"[" + event(FIRST) + b"]", BATCH)

    binary, structured, batch = (dict(item.headers) for item in receiver.publisher.committed)
    assert binary == {
        "ce_specversion": b"1.0",
        "ce_id": b"e1",
        "ce_source": b"/desk",
        "ce_type": b"article.published",
        "ce_subject": "Zürich".encode(),
        "ce_partitionkey": b"k",
        "content-type": b"application/json",
    }
    assert structured == batch == {"content-type": b"application/cloudevents+json"}


def test_a_new_entry_of_miniflux_is_an_article() -> None:
    """With its HTML, its feed's title as source, and one id in both kinds of events, whatever user
    it is for; the same guid in another feed is another article."""
    receiver = make_receiver()
    new = {"event_type": "new_entries", "feed": FEED, "entries": [ENTRY]}
    saved = {"event_type": "save_entry", "entry": {**ENTRY, "feed": {**FEED, "user_id": 2}}}
    other = {**new, "feed": {**FEED, "feed_url": "https://other.example/feed"}}
    for body in (new, saved, other):
        kind = {**JSON, "x-miniflux-event-type": str(body["event_type"])}
        answer = receiver.post(json.dumps(body).encode(), kind)
        assert answer.status_code == 202, answer.text

    first, again, elsewhere = map(read_as_a_worker, receiver.publisher.committed)
    assert (first.title, first.content) == (ENTRY["title"], ENTRY["content"])
    assert (first.url, first.published_at) == (ENTRY["url"], ENTRY["published_at"])
    assert (first.source, first.nulled) == ("Example News", ())
    assert json.loads(receiver.publisher.committed[0].value or b"")["tags"] == ENTRY["tags"]
    assert first.id == again.id != elsewhere.id


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not an event of Miniflux"),
        (b'{"event_type": "entry_removed"}', "new_entries and save_entry are taken"),
        (b'{"event_type": "new_entries", "entries": []}', "without entries or their feed"),
        (json.dumps({"event_type": "save_entry", "entry": ENTRY}).encode(), "or their feed"),
        (b'{"event_type": "save_entry", "entry": {"hash": 1}}', "entry.hash"),
    ],
)
def test_what_is_no_event_of_miniflux_is_refused(body: bytes, said: str) -> None:
    """In a sentence that names what is missing."""
    receiver = make_receiver()

    answer = receiver.post(body, {**JSON, "x-miniflux-event-type": "new_entries"})

    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert receiver.publisher.committed == []


@pytest.mark.parametrize(
    ("headers", "body", "status", "said"),
    [
        ({"content-type": "text/csv"}, FIRST, 415, "application/x-ndjson"),
        ({}, FIRST, 415, "the Content-Type is ''"),
        ({**JSON, "content-encoding": "br"}, FIRST, 415, "send gzip"),
        ({**JSON, "content-encoding": "gzip"}, FIRST, 400, "gzip that is damaged"),
        (
            {**JSON, "content-encoding": "gzip"},
            gzip.compress(FIRST, mtime=0)[:-9],
            400,
            "gzip that ends too early",
        ),
        (
            {**JSON, "content-encoding": "gzip"},
            2 * gzip.compress(FIRST, mtime=0),
            400,
            "bytes behind its end",
        ),
        (
            {**JSON, "content-encoding": "gzip"},
            gzip.compress(bytes(1_000_001), mtime=0),
            413,
            "1,000,000",
        ),
        (JSON, b"[" + b",".join([FIRST] * 11) + b"]", 413, "more than 10 articles"),
        (LINES, b"\n".join([FIRST] * 11), 413, "more than 10 articles"),
        (JSON, b"[" + FIRST, 422, "the array does not end"),
        (BATCH, FIRST, 422, "not a JSON array"),
        ({**JSON, "ce-specversion": "1.0", "ce-id": "1"}, FIRST, 400, "no ce-source"),
        ({**JSON, **BINARY, "ce-specversion": "2"}, FIRST, 400, "no ce-specversion: 1.0"),
        ({**JSON, **BINARY, "ce-my_name": "x"}, FIRST, 400, "an attribute named 'my_name'"),
        ({**BINARY, "content-type": "application/avro"}, FIRST, 415, "the event's data"),
    ],
)
def test_a_body_in_another_form_is_refused_and_nothing_is_published(
    headers: dict[str, str], body: bytes, status: int, said: str
) -> None:
    """As problem details that say what is taken."""
    receiver = make_receiver()

    answer = receiver.post(body, headers or {"x-none": "1"})

    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert said in answer.json()["detail"]
    assert receiver.publisher.committed == []


def test_one_bad_article_keeps_the_whole_request_out_and_all_bad_ones_are_named() -> None:
    """With their places, and what their dead letters would say; nothing is published."""
    receiver = make_receiver(max_message_bytes=50_000)
    bad = [b"nul", b'{"title": 1}', b'{"id": "x", "content": "<p> </p>"}']
    large = b'{"title": "%b"}' % (b"x " * 4_900)
    huge = b'{"title": "T", "content": "%b"}' % (b"x" * 60_000)
    body = b"\n".join([FIRST, bad[0], b"", bad[1], SECOND, bad[2], large, huge])

    answer = receiver.post(body, LINES)

    assert answer.status_code == 422
    problem = answer.json()
    assert problem["detail"].startswith("4 of 7 articles cannot be taken, and none was published")
    assert problem["errors_total"] == 4
    places = [(item["index"], item["line"], item["error"]) for item in problem["errors"]]
    assert places == [
        (1, 2, "InvalidJson"),
        (2, 4, "InvalidTitle"),
        (4, 6, "NoText"),
        (6, 8, "OutputTooLarge"),
    ]
    assert receiver.publisher.committed == []
    assert receiver.refused == [4]
    events = b"[%b, %b, 7]" % (event(FIRST, source=""), event(FIRST))
    said = receiver.post(events, BATCH).json()["errors"]
    assert [(item["index"], item["error"]) for item in said] == [
        (0, "InvalidRecord"),
        (2, "InvalidRecord"),
    ]
    assert "source" in said[0]["message"]
    in_array = receiver.post(b"[" + FIRST + b", 7]").json()["errors"]
    assert in_array == [{"index": 1, "error": "NotAnObject", "message": in_array[0]["message"]}]
