import os
import subprocess
import sys
from pathlib import Path

import pytest

from .fresh import block, run


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The interpreter of a new virtual environment with the built wheel and what it asks for, nothing else."""
    home = tmp_path_factory.mktemp("fresh")
    (wheel,) = Path(os.environ["PASSWORDLESS_AUTH_DIST"]).glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True, timeout=300)
    python = home / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, timeout=600)
    return python


@pytest.fixture(scope="module")
def project(python, tmp_path_factory) -> Path:
    """``django-admin startproject`` plus the six lines."""
    home = tmp_path_factory.mktemp("project")
    run(python, "-m", "django", "startproject", "mysite", home)
    settings, urls = home / "mysite" / "settings.py", home / "mysite" / "urls.py"
    six_lines = block("settings").splitlines() + block("urls").splitlines()
    assert len(six_lines) == 6

    console = "" if "MAILERS" in settings.read_text() else block("console")
    settings.write_text(settings.read_text() + block("settings") + console)
    with_include = urls.read_text().replace("from django.urls import path", "from django.urls import include, path")
    assert with_include != urls.read_text()
    urls.write_text(with_include + block("urls"))
    return home
