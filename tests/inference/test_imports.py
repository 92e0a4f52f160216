"""What is set before torch and transformers are imported."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from newsieve.bootstrap.students import _explaining_torchs_cache
from newsieve.errors import SettingsInvalid
from newsieve.inference.imports import CACHE_VARIABLE, collector_paused, keep_compiled_code


def test_compiled_code_is_kept_where_only_the_user_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Unless the environment says where."""
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    keep_compiled_code()

    folder = tmp_path / "newsieve" / "compiled"
    assert os.environ[CACHE_VARIABLE] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv(CACHE_VARIABLE, "/elsewhere")
    keep_compiled_code()
    assert os.environ[CACHE_VARIABLE] == "/elsewhere"


def test_without_a_folder_to_write_to_torch_decides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a container whose file system is read-only."""
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    keep_compiled_code()

    assert CACHE_VARIABLE not in os.environ


def test_torch_compiles_into_the_folder_that_a_command_chose(tmp_path: Path) -> None:
    """It makes its own choice when transformers is imported, and asks nobody later."""
    environment = {k: v for k, v in os.environ.items() if k != CACHE_VARIABLE}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "NEWSIEVE_STUDENT__DTYPE": "fp32"}
    script = (
        "import os\n"
        "from newsieve.settings.loader import load_settings\n"
        "from newsieve.bootstrap.students import load_students\n"
        "settings = load_settings(None, os.environ)\n"
        "load_students(settings, [settings.filters.registry.load('uplifting')])\n"
        "from torch._inductor.runtime.runtime_utils import cache_dir\n"
        "print(cache_dir())"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == str(tmp_path / "newsieve" / "compiled")


def test_the_collector_is_as_it_was_after_imports() -> None:
    """Whoever switched it off wants it off."""
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_only_a_folder_that_cannot_be_made_is_said_to_be_one() -> None:
    """A library of torch's that is missing is another matter."""
    unwritable = pytest.raises(SettingsInvalid, match=r"/proc/nope .*TORCHINDUCTOR_CACHE_DIR")
    with unwritable, _explaining_torchs_cache():
        Path("/proc/nope").mkdir()
    with pytest.raises(OSError, match="libcudart"), _explaining_torchs_cache():
        raise OSError("libcudart.so.12: cannot open shared object file")
