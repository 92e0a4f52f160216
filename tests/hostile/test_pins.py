"""A package registry that serves another file under a pinned name and version: it is not installed.

The recipe is the Makefile's own, the registry one of this process.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.hostile.metered import metered
from tests.support.workers import ROOT

CPU_SECONDS = 30
PROJECTS = (ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"))
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")


def pin_of(name: str) -> str:
    """Its lines in constraints.txt."""
    found = re.search(rf"^{name}==(?:.*\\\n)*.*\n", CONSTRAINTS, re.MULTILINE)
    assert found is not None
    return found[0]


class Registry(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def _installers_are_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's reaches them."""
    for name in os.environ:
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Its address and its folder."""
    folder = tmp_path_factory.mktemp("registry")
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Registry, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}/", folder
    server.shutdown()
    server.server_close()


def impostor(registry: Path, name: str) -> str:
    """Serve a wheel with the pinned name and version, and other contents. Returns its SHA-256."""
    version = pin_of(name).partition("==")[2].split()[0]
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "raise SystemExit('got in')\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
    }
    page = registry / name
    page.mkdir()
    file = page / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    (page / "index.html").write_text(f'<!DOCTYPE html><a href="{file.name}">{file.name}</a>')
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make venv` reads, and what it leaves that is interrupted at once: no pip yet."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("Makefile", *(str(path.relative_to(ROOT)) for path in PROJECTS)):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    return folder


def make_venv(project: Path, address: str) -> str:
    """With this registry alone, and no cache that would have the true file. Returns what is said
    of its failure."""
    used = metered(
        ["make", "--no-print-directory", "--directory", str(project), "venv"],
        env={
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": address,
            "UV_NO_CONFIG": "1",
            "UV_DEFAULT_INDEX": address,
            "UV_CACHE_DIR": str(project / "cache"),
        },
    )
    assert used.code != 0
    assert used.cpu_seconds < CPU_SECONDS
    assert not (project / ".venv" / ".installed").exists()
    return used.err


def modules(project: Path) -> set[str]:
    """Those that were put into the environment."""
    return {path.name for path in (project / ".venv").glob("lib/*/site-packages/*.py")}


def test_an_impostor_of_the_installer_is_refused(project: Path, registry: tuple[str, Path]) -> None:
    """By pip, which fetches uv alone."""
    address, folder = registry
    impostor(folder, "uv")
    (project / "constraints.txt").write_text(CONSTRAINTS)

    said = make_venv(project, address)

    assert "DO NOT MATCH THE HASHES" in said, said
    assert "uv.py" not in modules(project)


def test_an_impostor_of_a_package_is_refused(project: Path, registry: tuple[str, Path]) -> None:
    """By uv, which fetches all others; a package without a hash has nothing to be held against."""
    address, folder = registry
    digest = impostor(folder, "iniconfig")
    shutil.copy(ROOT / ".venv" / "bin" / "uv", project / ".venv" / "bin")
    pin = pin_of("iniconfig")
    bare = pin.split()[0]
    for text, complaint in (
        (pin, "Hash mismatch"),
        (f"{bare}\n", "must have a hash"),
    ):
        (project / "constraints.txt").write_text(text)

        said = make_venv(project, address)

        assert complaint in said, said
        assert "iniconfig.py" not in modules(project)

    (project / "constraints.txt").write_text(f"{bare} --hash=sha256:{digest}\n")
    make_venv(project, address)
    assert "iniconfig.py" in modules(project)  # so it was the hash that kept it out
