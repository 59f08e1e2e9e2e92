"""The importers, against the real models of the four packages, with rows that their own views made.

Their apps change what a project is, so the stories run in a process with settings of their own, by Django's own test
runner.
"""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.user_models.test_user_models import ROOT, measured

HERE = Path(__file__).parent
PACKAGES = ("allauth", "django_otp_webauthn", "fido2", "passkeys", "two_factor")


@pytest.mark.parametrize("source", ["allauth", "otp_webauthn", "passkeys", "two_factor"])
def test_all_stories_of_a_source_come_true(source):
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing and "PASSWORDLESS_AUTH_REQUIRE_SERVICES" not in os.environ:
        pytest.skip(f"needs the dependency group importers: {', '.join(missing)}")
    arguments, environment = measured()
    stories = f"stories_{source}"
    done = subprocess.run(
        [
            sys.executable,
            *arguments,
            str(HERE.parent / "user_models" / "run.py"),
            "test",
            f"tests.importers.{stories}",
            "--noinput",
        ],
        cwd=ROOT,  # what coverage omits is named from here
        env={**os.environ, **environment, "DJANGO_SETTINGS_MODULE": "tests.importers.settings"},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )

    assert done.returncode == 0, done.stderr
    count = (HERE / f"{stories}.py").read_text().count("    def test_")
    assert re.search(rf"^Ran {count} tests in ", done.stderr, re.MULTILINE), done.stderr
