"""Settings: precedence, unknown names, secrets."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from newsieve.errors import SettingsInvalid
from newsieve.kafka.config import Cluster, make_producer
from newsieve.settings.loader import Settings, ignored_variables, load_settings
from tests.support.cli import newsieve

ROOT = Path(__file__).resolve().parents[2]


def test_the_environment_wins_over_the_file_over_the_defaults(tmp_path: Path) -> None:
    """Lists come with commas, mappings as JSON."""
    file = tmp_path / "n.toml"
    file.write_text('[worker]\ngroup = "from-file"\nfilters = ["sustainability"]\n')
    environment = {
        "NEWSIEVE_WORKER__FILTERS": "uplifting, investment_risk",
        "NEWSIEVE_KAFKA__OPTIONS": '{"group.protocol": "consumer"}',
        "NEWSIEVE_SAMPLING__FILTERS": '{"uplifting": {"low": 0.5}}',
    }

    settings = load_settings(file, environment)

    assert settings.worker.group == "from-file"
    assert settings.worker.filters == ["uplifting", "investment_risk"]
    assert settings.kafka.options == {"group.protocol": "consumer"}
    assert settings.sampling.filters["uplifting"]["low"] == 0.5
    assert settings.worker.commit_records == 5_000


def test_newsieve_toml_is_read_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --config."""
    (tmp_path / "newsieve.toml").write_text('[worker]\ngroup = "here"\n')
    monkeypatch.chdir(tmp_path)

    assert load_settings(None, {}).worker.group == "here"


@pytest.mark.parametrize(
    ("environment", "suggestion"),
    [
        ({"NEWSIEVE_WORKER__FILTER": "x"}, "NEWSIEVE_WORKER__FILTERS"),
        ({"NEWSIEVE_KAFKA__BOOTSTRAP_SERVER": "x"}, "NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS"),
        ({"NEWSIEVE_KAFAK__OPTIONS": "{}"}, "NEWSIEVE_KAFKA__"),
        ({"NEWSIEVE_OBSERVE__PROT": "1"}, "NEWSIEVE_OBSERVE__PORT"),
    ],
)
def test_a_misspelt_name_is_an_error_that_suggests_the_right_one(
    environment: dict[str, str], suggestion: str
) -> None:
    """In the environment, for names with a double underscore."""
    with pytest.raises(SettingsInvalid, match=f"did you mean .*{suggestion}"):
        load_settings(None, environment)


def test_a_misspelt_name_in_the_file_is_an_error_too(tmp_path: Path) -> None:
    """With the same suggestion."""
    file = tmp_path / "n.toml"
    file.write_text("[worker]\ncomit_seconds = 1\n")

    with pytest.raises(
        SettingsInvalid,
        match=r"no setting worker\.comit_seconds \(.*\); did you mean worker.commit_seconds",
    ):
        load_settings(file, {})


def test_what_an_orchestrator_injects_is_left_alone() -> None:
    """Only names with a double underscore are ours."""
    load_settings(
        None, {"NEWSIEVE_PORT": "tcp://10.0.0.1", "NEWSIEVE_SERVICE_HOST": "x", "OTHER__X": "1"}
    )


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("NEWSIEVE_BOOTSTRAP_SERVERS", ["NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS"]),
        ("NEWSIEVE_KAFKA_BOOTSTRAP_SERVERS", ["NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS"]),
        ("NEWSIEVE_API_KEY", ["NEWSIEVE_ORACLE__API_KEY"]),
        ("NEWSIEVE_TOPIC_PREFIX", ["NEWSIEVE_KAFKA__TOPIC_PREFIX"]),
        (
            "NEWSIEVE_SLOT",
            [f"NEWSIEVE_{section}__SLOT" for section in ("WORKER", "ORACLE", "DRIFT", "INGEST")],
        ),
    ],
)
def test_a_name_without_its_section_is_ignored_with_a_warning_that_suggests_the_right_one(
    variable: str, meant: list[str]
) -> None:
    """On stderr, without the value, which may be a secret."""
    done = newsieve("oracle", env={variable: "shown-to-nobody"})

    (warning,) = [line for line in done.err.splitlines() if "setting.ignored" in line]
    assert json.loads(warning)["variable"] == variable
    assert [name for name in json.loads(warning)["advice"].split() if "__" in name] == meant
    assert "shown-to-nobody" not in done.err


def test_a_name_without_its_section_is_not_mentioned_where_it_cannot_be_a_slip() -> None:
    """An orchestrator's address of a service, an empty one, and beside the right name."""
    environment = {
        "NEWSIEVE_PORT": "tcp://10.0.0.1:8080",
        "NEWSIEVE_GROUP": "",
        "NEWSIEVE_SLOT": "a",
        "NEWSIEVE_WORKER__SLOT": "b",
        "NEWSIEVE_SERVICE_HOST": "10.0.0.1",
    }

    assert ignored_variables(environment) == {}


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    """What the file or the default says holds; lists, mappings and numbers likewise."""
    file = tmp_path / "n.toml"
    file.write_text('[worker]\ngroup = "from-file"\n[kafka]\noptions = {"linger.ms" = 1}\n')
    names = {
        *("KAFKA__OPTIONS", "KAFKA__BOOTSTRAP_SERVERS", "WORKER__FILTERS", "WORKER__SLOT"),
        *("WORKER__GROUP", "STUDENT__FOLDERS", "STUDENT__THREADS", "SAMPLING__LOW"),
        *("ORACLE__API_KEY", "ORACLE__MODEL", "OBSERVE__PORT", "WORKER__ID_FROM_KEY"),
    }

    loaded = load_settings(file, {f"NEWSIEVE_{name}": "" for name in names})

    assert loaded == load_settings(file, {})
    assert loaded.worker.group == "from-file"
    assert loaded.kafka.options == {"linger.ms": 1}


@pytest.mark.parametrize("variable", ["NEWSIEVE_WORKER__GRUOP", "NEWSIEVE_WORKR__GROUP"])
def test_an_empty_variable_of_an_unknown_name_is_still_an_error(variable: str) -> None:
    """A slip in the name is the same slip before somebody fills in the value."""
    with pytest.raises(SettingsInvalid, match="did you mean"):
        load_settings(None, {variable: ""})


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"NEWSIEVE_WORKER__BATCH_ARTICLES": "many"}, "NEWSIEVE_WORKER__BATCH_ARTICLES: .*integer"),
        ({"NEWSIEVE_WORKER__BATCH_ARTICLES": "0"}, "greater than 0"),
        ({"NEWSIEVE_KAFKA__OPTIONS": "sasl"}, "not a JSON object"),
        ({"NEWSIEVE_KAFKA__OPTIONS": '{"sasl'}, "string starting at character 2"),
        ({"NEWSIEVE_KAFKA__OPTIONS": '{"isolation.level": "x"}'}, "exactly-once rests on it"),
        ({"NEWSIEVE_WORKER__FILTERS": "uplifting,uplifting/v4"}, "each filter once"),
        ({"NEWSIEVE_WORKER__FILTERS": ","}, "at least one"),
        ({"NEWSIEVE_WORKER__SLOT": "a b"}, "pattern"),
        ({"NEWSIEVE_SAMPLING__LOW": "1.5"}, "less than or equal to 1"),
        ({"NEWSIEVE_SAMPLING__EPOCH": "e" * 65}, "64 bytes"),
        ({"NEWSIEVE_STUDENT__DTYPE": "fp8"}, "fp32"),
        ({"NEWSIEVE_STUDENT__DEVICE": "meta"}, "pattern"),
        ({"NEWSIEVE_STUDENT__THREADS": "2147483648"}, "less than or equal"),
        ({"NEWSIEVE_WORKER__GROUP": "rédaction"}, "pattern"),
        ({"NEWSIEVE_WORKER__COMMIT_SECONDS": "40"}, "NEWSIEVE_WORKER__COMMIT_SECONDS.*less than"),
        ({"NEWSIEVE_WORKER__DRAIN_SECONDS": "inf"}, "finite"),
        ({"NEWSIEVE_WORKER__BATCH_ARTICLES": "2000000"}, "less than or equal"),
        ({"NEWSIEVE_WORKER__DEAD_LETTER_WINDOW": "9" * 20}, "less than or equal"),
        ({"NEWSIEVE_KAFKA__OPTIONS": '{"error_cb": []}'}, "error_cb"),
        ({"NEWSIEVE_ORACLE__ENDPOINT": "https://me:secret@host/v1"}, "pattern"),
        ({"NEWSIEVE_ORACLE__ENDPOINT": "https://host/v1?key=secret"}, "pattern"),
        ({"NEWSIEVE_ORACLE__ENDPOINT": "host/v1"}, "pattern"),
        ({"NEWSIEVE_ORACLE__CONCURRENCY": "0"}, "greater than 0"),
        ({"NEWSIEVE_ORACLE__TEMPERATURE": "nan"}, "NEWSIEVE_ORACLE__TEMPERATURE"),
        ({"NEWSIEVE_ORACLE__COST_USD_PER_DAY": "1"}, "limits nothing without prices"),
        ({"NEWSIEVE_KAFKA__OPTIONS": "[" * 20_000}, "NEWSIEVE_KAFKA__OPTIONS"),
        ({"NEWSIEVE_STUDENT__FOLDERS": '{"upliftin": "/x"}'}, "did you mean uplifting"),
        ({"NEWSIEVE_SAMPLING__FILTERS": '{"upliftin": {"low": 1}}'}, "did you mean uplifting"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_the_user_wrote(
    environment: dict[str, str], complaint: str
) -> None:
    """At the start, not at the first record."""
    with pytest.raises(SettingsInvalid, match=complaint):
        load_settings(None, environment)


def test_a_wrong_value_in_the_file_is_named_as_it_stands_there(tmp_path: Path) -> None:
    """Also when the environment sets another value of its section."""
    file = tmp_path / "n.toml"
    file.write_text('[kafka]\ntopic_prefix = "a/b"\n')

    with pytest.raises(SettingsInvalid, match=r"kafka\.topic_prefix \(.*n\.toml\): .*pattern"):
        load_settings(file, {"NEWSIEVE_KAFKA__BOOTSTRAP_SERVERS": "here:1"})


def test_a_misspelt_name_in_the_file_is_not_taken_for_a_variable(tmp_path: Path) -> None:
    """Nor where another variable begins as it does."""
    file = tmp_path / "n.toml"
    file.write_text('[kafka]\nbootstrap_server = "x"\n')

    with pytest.raises(SettingsInvalid, match=r"no setting kafka\.bootstrap_server \(.*n\.toml\)"):
        load_settings(file, {"NEWSIEVE_KAFKA__TOPIC_PREFIX": "a"})


@pytest.mark.parametrize("options", [{"error_cb": "x"}, {"default.topic.config": 5}])
def test_a_callback_among_the_options_is_a_wrong_setting(options: dict[str, Any]) -> None:
    """The client refuses it with errors of Python's own."""
    with pytest.raises(SettingsInvalid, match=r"kafka\.options: "):
        make_producer(Cluster("localhost:1", options).producer())


@pytest.mark.parametrize(
    "text",
    [
        "[worker",
        "worker = 3",
        '[worker]\ngroup = "a"\ngroup = "b"\n',
        "x = " + "[" * 20_000,
    ],
    ids=["open", "scalar", "twice", "deep"],
)
def test_a_broken_file_is_refused(tmp_path: Path, text: str) -> None:
    """With its name."""
    file = tmp_path / "n.toml"
    file.write_text(text)

    with pytest.raises(SettingsInvalid):
        load_settings(file, {})


@pytest.mark.parametrize(("section", "field"), [("oracle", "api_key"), ("sampling", "key")])
def test_a_secret_belongs_into_no_file(section: str, field: str, tmp_path: Path) -> None:
    """The file is refused without being quoted; the environment's is masked when it is shown."""
    file, secret = tmp_path / "n.toml", "sk-secret-" * 4
    file.write_text(f'[{section}]\n{field} = "{secret}"\n')
    variable = f"NEWSIEVE_{section}__{field}".upper()
    with pytest.raises(SettingsInvalid, match=f"{variable}, or {variable}_FILE") as raised:
        load_settings(file, {})
    assert "sk-secret" not in str(raised.value)

    settings = load_settings(None, {variable: secret})

    assert getattr(getattr(settings, section), field).get_secret_value() == secret
    shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    assert "sk-secret" not in shown


def test_the_example_file_is_valid_and_names_every_setting() -> None:
    """`newsieve.example.toml` documents the defaults."""
    example = ROOT / "newsieve.example.toml"
    tree = tomllib.loads(example.read_text())

    assert load_settings(example, {}) == Settings()
    for section, info in Settings.model_fields.items():
        commented = {
            line.lstrip("# ").partition(" =")[0]
            for line in example.read_text().split(f"\n[{section}]")[1].split("\n[")[0].splitlines()
            if line.startswith("# ") and " = " in line
        }
        assert set(tree[section]) | commented >= set(info.annotation.model_fields)


def test_what_the_example_file_comments_out_is_valid_too(tmp_path: Path) -> None:
    """Uncommented, it still loads."""
    file = tmp_path / "n.toml"
    lines = (ROOT / "newsieve.example.toml").read_text().splitlines()
    settings = r"# (options|slot|folders|base|threads|budget_tokens|filters) = "
    file.write_text(
        "\n".join(re.sub("^# ", "", line) if re.match(settings, line) else line for line in lines)
    )

    loaded = load_settings(file, {})

    assert loaded.worker.slot == "0"
    assert loaded.student.threads == 2
    assert loaded.kafka.options["security.protocol"] == "SASL_SSL"
