"""Any ``AUTH_USER_MODEL``: with an e-mail field, without one, with the address for a name, with a UUID for a key.

A process knows one user model, so each has a process of its own, with Django's own test runner.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from coverage import Coverage

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STORIES = (HERE / "stories.py").read_text().count("    def test_")


def measured():
    """How to start Python so that what it runs is counted where we are counted."""
    parent = Coverage.current()
    if parent is None:
        return [], {}
    arguments = ["-m", "coverage", "run", "--parallel-mode", f"--rcfile={ROOT / 'pyproject.toml'}"]
    return arguments, {"COVERAGE_FILE": str(Path(parent.config.data_file).absolute())}


@pytest.mark.parametrize("kind", ["auth_user", "no_email", "email_name", "uuid_key"])
def test_all_stories_work_with_this_user_model(kind):
    arguments, environment = measured()
    done = subprocess.run(
        [sys.executable, *arguments, str(HERE / "run.py"), "test", "tests.user_models.stories", "--noinput"],
        cwd=ROOT,  # what coverage omits is named from here
        env={**os.environ, **environment, "DJANGO_SETTINGS_MODULE": f"tests.user_models.settings_{kind}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert re.search(rf"^Ran {STORIES} tests in ", done.stderr, re.MULTILINE), done.stderr
