"""The setting `worker.fields`: what raw articles' fields may be called."""

from __future__ import annotations

from pathlib import Path

import pytest

from newsieve.errors import SettingsInvalid
from newsieve.records.field_names import FieldNames
from newsieve.settings.loader import load_settings


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ('{"ide": ["id"]}', "an article has no field 'ide'; it has id, title, content, url,"),
        ('{"id": ["payload"]}', "payload is a name that envelopes"),
        ('{"id": ["tags"]}', "tags is a name that"),
        ('{"id": ["a", "a"]}', "name each name once"),
        ('{"id": []}', "at least 1 item"),
        ('{"id": [""]}', "at least 1 character"),
        ('{"id": [7]}', "valid string"),
        ("id", "not a JSON object"),
    ],
)
def test_names_of_fields_that_cannot_be_meant_are_refused(value: str, why: str) -> None:
    """Unknown fields, names of envelopes, empty lists."""
    with pytest.raises(SettingsInvalid, match="NEWSIEVE_WORKER__FIELDS") as caught:
        load_settings(None, {"NEWSIEVE_WORKER__FIELDS": value})

    assert why in str(caught.value)


def test_names_of_fields_come_from_file_and_environment(tmp_path: Path) -> None:
    """A list takes the place of its default, and leaves the others."""
    file = tmp_path / "newsieve.toml"
    file.write_text('[worker.fields]\nid = ["_id", "id"]\n')

    names = load_settings(file, {}).worker.fields.names
    commas = load_settings(None, {"NEWSIEVE_WORKER__FIELDS": '{"url": "a, b"}'})

    assert names == FieldNames(id=("_id", "id"))
    assert commas.worker.decode_policy.reader.names == FieldNames(url=("a", "b"))
