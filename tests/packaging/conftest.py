"""The three wheels, and environments that have them: each is made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.installation import (
    Environment,
    build_wheels,
    install,
)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_wheels(tmp_path_factory.mktemp("wheels"))


def user_folder(folder: Path) -> Path:
    """A project with packages that have the names of our folders."""
    for name in ("schemas", "training", "worker", "filters", "cli", "oracle", "drift"):
        (folder / name).mkdir()
        text = f"raise AssertionError('{name} was imported: the user has one of that name')\n"
        (folder / name / "__init__.py").write_text(text)
    return folder


@pytest.fixture(scope="session")
def full(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """All three, with what the demo needs."""
    folder = user_folder(tmp_path_factory.mktemp("full"))
    return install(folder, list(wheels.values()), "worker", "demo")


@pytest.fixture(scope="session")
def slim(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """`pip install newsieve`, without extras."""
    folder = user_folder(tmp_path_factory.mktemp("slim"))
    return install(folder, [wheels["newsieve-schemas"], wheels["newsieve"]])
