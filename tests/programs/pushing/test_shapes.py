"""The shapes of a record: its bytes, a CloudEvent, and a message for Slack."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from newsieve.errors import WrongUsage
from newsieve.programs.pushing.shapes import cloud_event_body, event_of, json_body, slack_body
from tests.support.pushing import ALERT, ARTICLE, EVENT, stored

HOSTILE = "<!channel> <https://evil.example|click> & \x1b[31m \u202egnp.exe \U000e0041 javascript:x"


def slack(value: bytes | dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(slack_body(stored(value, EVENT)).content)
    return found


def texts(message: dict[str, Any]) -> list[str]:
    """All markup of a message."""
    blocks = [block.get("text") or block["elements"][0] for block in message["blocks"]]
    assert all(block["type"] == "mrkdwn" and block["verbatim"] for block in blocks)
    return [message["text"], *(block["text"] for block in blocks)]


def test_json_is_the_value_byte_for_byte() -> None:
    """Whatever it is; a media type that no header can carry is not sent."""
    value = b'{"a":  1}\n'
    assert json_body(stored(value, EVENT)) == (value, "application/json")
    assert json_body(stored(b"\xff", {"content-type": b"text/x\r\nx: y"})).media_type == (
        "application/json"
    )


def test_a_cloud_event_has_all_of_the_event_in_its_body() -> None:
    """As the JSON format of CloudEvents 1.0 has it; the data are the value as it is."""
    extended = EVENT | {"ce_partitionkey": b"k", "ce_data": b"x", "ce_Bad Name": b"x"}
    body = cloud_event_body(stored(ARTICLE, extended))

    assert body.media_type == "application/cloudevents+json; charset=UTF-8"
    assert json.loads(body.content) == {
        "specversion": "1.0",
        "type": "newsieve.article.tiered.v1",
        "source": "newsieve/worker/newsieve",
        "id": EVENT["ce_id"].decode(),
        "time": "2026-11-30T12:00:00.000Z",
        "partitionkey": "k",
        "datacontenttype": "application/json",
        "data": ARTICLE,
    }
    assert stored(ARTICLE).record.value in body.content


def test_a_value_cannot_break_out_of_a_cloud_event() -> None:
    """What is no JSON is sent in base64."""
    value = b'1},"id":"forged","x":{"y":1'
    fields = json.loads(cloud_event_body(stored(value, EVENT)).content)

    assert fields["id"] == EVENT["ce_id"].decode()
    assert base64.b64decode(fields["data_base64"]) == value


@pytest.mark.parametrize("lacking", ["ce_id", "ce_type", "ce_source", "ce_specversion"])
def test_a_record_that_is_no_event_has_no_such_shape(lacking: str) -> None:
    """The error names the record and what to do."""
    headers = {name: value for name, value in EVENT.items() if name != lacking}
    with pytest.raises(WrongUsage, match=r"connection/1/7 is no CloudEvent.*Take another --shape"):
        cloud_event_body(stored(ARTICLE, headers))


def test_an_id_is_the_events_or_one_of_its_place_and_blurs_no_signature() -> None:
    """A full stop in an id could make two requests of one signature."""
    assert event_of(stored(ARTICLE, EVENT)) == EVENT["ce_id"].decode()
    own = event_of(stored(ARTICLE))
    assert own == event_of(stored(ARTICLE)) != event_of(stored(ARTICLE, offset=8))
    for odd in (b"1.2", b"a b", b"\xff", b"a\r\nx: y", b"", b"x" * 999):
        assert event_of(stored(ARTICLE, EVENT | {"ce_id": odd})) == own
    assert "." not in own


def test_slack_shows_an_article_with_its_link_and_what_decided() -> None:
    """The title is the link; notifications have the same words without one."""
    shown = texts(slack(ARTICLE))

    assert shown == [
        "connection 6.53 · A bridge is built",
        "<https://example.org/bridge?a=1&amp;b=2|A bridge is built>",
        "uplifting/v4 · connection 6.53 · Example.org · en",
        "progress 7.2, benefit 6.0, agency 3.0 · caps: commercial",
    ]


def test_slack_shows_a_title_without_its_markup() -> None:
    """As pages do, and escaped once; what is left of one that is nothing else is the id."""
    titled = {**ARTICLE, "article": {**ARTICLE["article"], "title": "R&amp;D <i>grows</i>"}}
    empty = {**ARTICLE, "article": {**ARTICLE["article"], "title": "<br/>", "id": "a-1"}}

    assert "R&amp;D grows" in slack(titled)["text"]
    assert "a-1" in slack(empty)["text"]


def test_slack_shows_an_alert_with_what_to_do() -> None:
    """State, severity, headline, cause, action and a link to the runbook."""
    assert texts(slack(ALERT)) == [
        "alert, critical: The student errs more",
        "alert, critical: The student errs more",
        "uplifting/v4 · low · concept_drift",
        "Retrain it. <https://example.org/runbook.md#drift|runbook>",
    ]


@pytest.mark.parametrize("place", ["title", "source", "language", "id", "tier", "caps", "headline"])
def test_what_others_wrote_is_text_in_slack(place: str) -> None:
    """No mention, no link, no escape sequence, no change of direction, wherever it stands."""
    value: dict[str, Any]
    if place == "headline":
        value = ALERT | {"headline": HOSTILE, "action": {"text": HOSTILE, "runbook": HOSTILE}}
    elif place in ("tier", "caps"):
        value = ARTICLE | {place: HOSTILE if place == "tier" else [HOSTILE]}
    else:
        article = ARTICLE["article"] | {place: HOSTILE, "url": None}
        value = ARTICLE | {"article": article | ({"title": None} if place == "id" else {})}

    for text in texts(slack(value)):
        assert "<" not in text.replace("<https://example.org/", "")
        assert all(c not in text for c in "\x1b\u202e\U000e0041")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.org",
        "https://example.org/|x>",
        "https://example.org/ x",
        "https://example.org/\u202ex",
        "https://[bad",
        "https://example.org/" + "&" * 999,
        7,
    ],
)
def test_slack_links_lead_to_the_web_alone(url: Any) -> None:
    """An address that could be something else, or end the link, is left out."""
    message = slack(ARTICLE | {"article": ARTICLE["article"] | {"url": url}})

    assert not any("<" in text for text in texts(message))


@pytest.mark.parametrize(
    "value", [b"\xff\x00", b"[]", b"7", b"{}", b'{"article":7}', b'{"article":{}}', b"x" * 10**6]
)
def test_any_record_is_a_bounded_message(value: bytes) -> None:
    """Slack takes sections of 3,000 characters at most."""
    assert all(0 <= len(text) <= 3_000 for text in texts(slack(value)))


def test_the_longest_article_is_a_bounded_message() -> None:
    """Escaping makes a character up to six."""
    long = "&" * 10**6
    article = {"id": long, "title": long, "url": "https://a.example/" + "&" * 190, "source": long}
    value = ARTICLE | {"article": article, "tier": long, "caps": [long] * 50, "filter": long}

    assert all(0 < len(text) <= 3_000 for text in texts(slack(value)))
