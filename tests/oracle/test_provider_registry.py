"""Providers are found by entry points: newsieve's own three, and those of any distribution."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsieve.errors import SettingsInvalid
from newsieve.oracle.providers.registry import provider_kind, provider_names
from newsieve.settings.loader import load_settings
from tests.support.cli import newsieve
from tests.support.filters import load
from tests.support.oracle_calls import Shape, ask_at
from tests.support.oracle_server import serving

NAMES = load("uplifting").definition.dimension_names
MODULE = '''
import json

from newsieve.oracle.providers.base import ANSWERED, ProviderResponse, Tokens
from newsieve.oracle.providers.registry import ProviderKind, ProviderOptions


class ConstantOptions(ProviderOptions):
    score: int = 1


class Constant:
    """Gives every dimension of every article the same score."""

    def __init__(self, setup):
        self.model, self.score = setup.config.model, setup.options.score

    def complete(self, prompt):
        names = prompt.prompt.filter.definition.dimension_names
        text = json.dumps({"scores": dict.fromkeys(names, self.score)})
        return ProviderResponse(
            ANSWERED, text=text, model_version=self.model, tokens=Tokens(10, 10)
        )

    def close(self):
        pass


KIND = ProviderKind(Constant, default_model="constant-1", options=ConstantOptions)
'''


def distribution(folder: Path, name: str, points: str, module: str = "") -> None:
    """What an installed distribution leaves in site-packages."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[newsieve.oracle_providers]\n{points}\n")
    if module:
        (folder / f"{name}_provider.py").write_text(module)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path of imports, for distributions of the test's."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(tmp_path)
    yield folder
    for name in ("constant_provider", "mine_provider"):
        sys.modules.pop(name, None)


def test_a_distribution_of_its_own_adds_a_provider_with_options(site: Path) -> None:
    """It labels a file with the options of its own model, and newsieve is not changed for it."""
    distribution(site, "constant", "constant = constant_provider:KIND", MODULE)
    Path("articles.jsonl").write_text('{"id": "a", "title": "T", "content": "C"}\n')
    settings = {
        "NEWSIEVE_ORACLE__PROVIDER": "constant",
        "NEWSIEVE_ORACLE__OPTIONS": '{"score": 7}',
    }
    done = newsieve("oracle", "label", "articles.jsonl", "--out", "l", "--yes", env=settings)

    assert done.code == 0, done.err
    row = json.loads(Path("l").read_text())
    assert row["oracle_scores"]["scores"] == dict.fromkeys(NAMES, 7)
    assert row["oracle_key"]["provider"] == "constant"
    assert row["oracle_key"]["model_version"] == "constant-1"


def test_an_option_that_the_providers_model_refuses_is_explained(site: Path) -> None:
    """By the model of the provider: a wrong value, and a name with the one that was meant."""
    distribution(site, "constant", "constant = constant_provider:KIND", MODULE)
    Path("articles.jsonl").write_text('{"id": "a", "title": "T", "content": "C"}\n')

    def complaint(options: str) -> str:
        settings = {
            "NEWSIEVE_ORACLE__PROVIDER": "constant",
            "NEWSIEVE_ORACLE__OPTIONS": options,
        }
        done = newsieve("oracle", "label", "articles.jsonl", "--out", "l", "--yes", env=settings)
        assert done.code == 2
        return done.err

    assert "oracle.options.score: Input should be a valid integer" in complaint('{"score": "x"}')
    assert (
        "constant has no option oracle.options.scores; there are: score; did you mean score?"
        in complaint('{"scores": 7}')
    )


def test_an_unknown_provider_is_answered_with_those_there_are(site: Path) -> None:
    """Also those of other distributions, and the one that was probably meant."""
    distribution(site, "constant", "constant = constant_provider:KIND", MODULE)
    with pytest.raises(SettingsInvalid) as raised:
        load_settings(None, {"NEWSIEVE_ORACLE__PROVIDER": "gemni"})

    assert str(raised.value) == (
        "NEWSIEVE_ORACLE__PROVIDER: there is no provider 'gemni'; there are: constant, gemini, "
        "label_file, openai; did you mean gemini?"
    )


@pytest.mark.parametrize(
    ("points", "module", "complaint"),
    [
        ("mine = mine_provider:KIND", "", "mine of mine cannot be imported from mine_provider"),
        ("mine = mine_provider:KIND", "OTHER = 1", "mine of mine cannot be imported from"),
        ("mine = mine_provider:KIND", "KIND = 1", "mine_provider:KIND should be a ProviderKind"),
        ("gemini = mine_provider:KIND", "KIND = 1", "is registered by mine, newsieve"),
    ],
)
def test_a_distribution_that_registers_no_provider_is_named(
    site: Path, points: str, module: str, complaint: str
) -> None:
    """An import that fails, something else than a provider, a name that is taken."""
    distribution(site, "mine", points, module)

    with pytest.raises(SettingsInvalid, match=complaint):
        provider_kind(points.partition(" ")[0])


def test_newsieves_own_providers_are_registered_in_the_same_way() -> None:
    """None is known to the code that makes a provider."""
    assert provider_names() == ["gemini", "label_file", "openai"]
    with pytest.raises(SettingsInvalid, match=r"no option oracle\.options\.path; it has none"):
        provider_kind("label_file").read_options("label_file", {"path": "x"})


@pytest.mark.parametrize(
    ("shape", "options", "name", "sent"),
    [
        ("openai", {"service_tier": "flex"}, "service_tier", '"flex"'),
        ("gemini", {"safety_threshold": "OFF"}, "safetySettings", '"threshold": "OFF"'),
    ],
)
def test_an_option_of_its_own_is_sent_where_it_is_set_and_nothing_otherwise(
    shape: Shape, options: dict[str, str], name: str, sent: str
) -> None:
    """A provider that does not know the option would refuse every call."""
    with serving() as server:
        ask_at(server.url, shape)
        ask_at(server.url, shape, options=options)
    plain, with_option = server.calls

    assert name not in plain.body
    assert sent in json.dumps(with_option.body[name])
