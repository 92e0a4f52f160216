"""Files that are no JSON Lines: what the commands that read articles say they look like."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import shlex
import subprocess
import zipfile
from pathlib import Path

import pytest

from newsieve.cli.first_line import HEAD_BYTES, require_json_lines
from newsieve.errors import InputFileInvalid
from tests.support.cli import newsieve

ARTICLES = [
    {"id": f"a{n}", "title": f"School {n} reopens", "content": "Neighbours rebuilt it."}
    for n in range(3)
]
OBJECTS = [json.dumps(article) for article in ARTICLES]
JSON_LINES = "\n".join(OBJECTS).encode() + b"\n"
PRETTY = json.dumps(ARTICLES[0], indent=2).encode()


def zipped() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("articles.jsonl", JSON_LINES)
    return archive.getvalue()


FORMATS = {
    "gzip": (gzip.compress(JSON_LINES), "gunzip -c"),
    "xz": (lzma.compress(JSON_LINES), "xz -dc"),
    "bzip2": (bz2.compress(JSON_LINES), "bzip2 -dc"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00rest", "zstd -dc"),
    "a zip archive": (zipped(), "funzip"),
    "a web archive (WARC)": (b"WARC/1.0\r\n", ""),
    "Parquet": (b"PAR1\x15\x04", ""),
    "UTF-16": (JSON_LINES.decode().encode("utf-16"), "iconv -f UTF-16 -t UTF-8"),
    "UTF-32": (JSON_LINES.decode().encode("utf-32"), "iconv -f UTF-32 -t UTF-8"),
    "a JSON array": (json.dumps(ARTICLES).encode(), "jq -c '.[]'"),
    "JSON objects, but not one on each line": (PRETTY, "jq -c ."),
    "a JSON value that is not an object": (b'"School reopens"\n', ""),
    "a JSON text sequence (RFC 7464)": (
        b"".join(b"\x1e" + line + b"\n" for line in JSON_LINES.splitlines()),
        "tr -d '\\036'",
    ),
    "several lines, ended by CR alone": ("\r".join(OBJECTS).encode(), "tr '\\r' '\\n'"),
    "CSV": (b"id,title,content\n1,School reopens,Neighbours rebuilt it\n", "mlr --icsv"),
    "CSV with semicolons": (b'"id";"title"\n1;School reopens\n', "mlr --icsv --ifs ';'"),
    "CSV with vertical bars": (b"id|title\n1|School reopens\n", "mlr --icsv --ifs '|'"),
    "tab-separated values": (b"id\ttitle\n1\tSchool reopens\n", "mlr --itsv"),
    "XML or HTML": (b'<?xml version="1.0"?><rss></rss>', ""),
    "plain text": (b"School reopens\n", ""),
    "text that is not UTF-8": ('{"title": "Café"}\n'.encode("latin-1"), "iconv"),
    "dictionaries as Python prints them": (f"{ARTICLES[0]}\n".encode(), ""),
    "JSON that is broken at character 11": (b'{"title": "School reop\n', ""),
    "a JSON object with more behind it": (b'{"title": "x"},\n{"title": "y"}\n', ""),
    "binary data": (random.Random(1).randbytes(2_000), ""),
}  # fmt: skip


def refusal(name: str, content: bytes) -> str:
    """What is said of a file that is no JSON Lines."""
    with pytest.raises(InputFileInvalid) as refused:
        require_json_lines(name, io.BytesIO(content))
    return str(refused.value)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_no_json_lines_is_refused_with_what_it_looks_like(name: str) -> None:
    """And with a command that helps, which `jq` and others are."""
    content, command = FORMATS[name]

    for file, shown in (("my articles", "my articles"), ("-", "standard input")):
        said = refusal(file, content)

        assert said.startswith(f"{shown} is not JSON Lines: its first line looks like {name}")
        assert (command in said) if command else ("Make JSON Lines" not in said)


@pytest.mark.parametrize(
    "name",
    [
        "gzip",
        "UTF-16",
        "a JSON text sequence (RFC 7464)",
        "several lines, ended by CR alone",
    ],
)
def test_the_command_that_is_named_makes_json_lines(name: str) -> None:
    """Of those that every machine has."""
    Path("my articles").write_bytes(FORMATS[name][0])
    said = refusal("my articles", FORMATS[name][0])
    command = said.partition("Make JSON Lines of it first: ")[2].partition(". Nothing was")[0]
    assert shlex.split(command)[-1] == "my articles"

    made = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout

    assert [json.loads(line) for line in made.splitlines()] == ARTICLES


@pytest.mark.parametrize("content", [b"", b"\n \r\n\n"])
@pytest.mark.parametrize("command", [["produce"], ["ingest", "files"]], ids=" ".join)
def test_a_file_with_nothing_in_it_is_refused_before_a_broker_is_asked_for(
    command: list[str], content: bytes
) -> None:
    """Nothing to send is what a pipe that broke leaves; --as-is takes it."""
    done = newsieve(*command, "-", stdin=content)

    assert done.code == 2
    assert "standard input is empty" in done.err and "--as-is" in done.err


@pytest.mark.parametrize("command", [["produce"], ["ingest", "files"]], ids=" ".join)
def test_nothing_is_sent_where_one_file_of_many_is_missing_or_not_read(command: list[str]) -> None:
    """Exit 2 before a broker is asked for; the file is named."""
    Path("good.jsonl").write_bytes(JSON_LINES)
    Path("packed").write_bytes(FORMATS["xz"][0])
    env = {"NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}

    for file, said in (
        ("missing", "cannot read missing: No such file or directory"),
        ("packed", "packed has no articles that can be read: it looks like xz. Make JSON Lines of "
         "it first: xz -dc < packed. Nothing was sent; --as-is"),
    ):  # fmt: skip
        done = newsieve(*command, "good.jsonl", file, env=env)

        assert done.code == 2 and said in done.err and "Traceback" not in done.err


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + JSON_LINES.replace(b"\n", b"\r\n"),
        b"\n\r\n" + JSON_LINES,
        b'  {"title": "x"}  \nnot JSON\n',
        b'{"title": "x", "score": NaN}\n',
        b'{"title": "x", "deep": ' + b"[" * 5_000 + b"]" * 5_000 + b"}\n",
        b'{"title": "x", "long": 1' + b"0" * 5_000 + b"}\n",
        b'{"title": "' + b"x" * HEAD_BYTES + b'"}\n{}\n',
        b'{"title": "x"}',
    ],
    ids=["bom-crlf", "blank", "bad-second", "nan", "deep", "digits", "long", "no-line-end"],
)
def test_json_lines_pass_with_every_byte(content: bytes) -> None:
    """A mark, CRLF, blank lines; what a worker makes a dead letter of is not looked for here."""
    assert b"".join(require_json_lines("f", io.BytesIO(content))) == content


def test_no_more_is_read_of_what_begins_as_no_object() -> None:
    """An array of gigabytes on one line is refused by its head, also where that cuts a letter."""
    for content in (b"[" + b'{"a": 1},' * HEAD_BYTES, "€".encode() * HEAD_BYTES):
        stream = io.BytesIO(content)
        with pytest.raises(InputFileInvalid, match=r"array|plain text"):
            require_json_lines("f", stream)
        assert stream.tell() == HEAD_BYTES


def test_a_file_to_label_or_to_show_is_looked_at_in_the_same_way() -> None:
    """No dead letter a line for a file that is packed; nothing is asked, no broker is started."""
    Path("a.jsonl.gz").write_bytes(FORMATS["gzip"][0])
    env = {"NEWSIEVE_ORACLE__MODEL": "m", "NEWSIEVE_ORACLE__ENDPOINT": "http://127.0.0.1:1/v1"}

    for command in (
        ["oracle", "label", "a.jsonl.gz", "--out", "labels.jsonl", "--yes"],
        ["demo", "--articles", "a.jsonl.gz"],
    ):
        done = newsieve(*command, env=env)

        assert done.code == 2, done.err
        assert "looks like gzip. Make JSON Lines of it first: gunzip -c < a.jsonl.gz" in done.err
    assert not Path("labels.jsonl").exists()
