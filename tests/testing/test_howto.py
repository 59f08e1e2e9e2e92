"""Every example of docs/howto/testing.rst, in a project of its own, with both test runners."""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "howto" / "testing.rst").read_text()
BLOCK = re.compile(r"^\.\. code-block:: python\n   :caption: (\S+)\n\n((?:   .*\n|\n)+)", re.MULTILINE)
EXAMPLES = {name: dedent(code) for name, code in BLOCK.findall(PAGE)}

SETTINGS = """
from tests_of_passwordless_auth import *

ROOT_URLCONF = "mysite.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [app for app in INSTALLED_APPS if app not in {"tests", "oauth2_provider", "passwordless_auth.oidc"}]
globals().pop("PASSWORDLESS_AUTH_PASSKEY_ORIGINS", None)
"""

URLS = """
from django.http import HttpResponse
from django.urls import include, path

from passwordless_auth.decorators import level_required

urlpatterns = [
    path("", lambda request: HttpResponse("welcome")),
    path("", include("passwordless_auth.urls")),
    path("invoices/", level_required("phr")(lambda request: HttpResponse("three invoices"))),
]
"""


@pytest.fixture
def project(tmp_path):
    """A project with nothing in it but the examples, and what they say that a project has."""
    files = {
        **EXAMPLES,
        "tests_of_passwordless_auth.py": (ROOT / "tests" / "settings.py").read_text(),
        "mysite/__init__.py": "",
        "mysite/urls.py": URLS,
        "mysite/test_settings.py": SETTINGS + EXAMPLES["mysite/test_settings.py"],
        "tests/__init__.py": "",
        "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = mysite.test_settings\npythonpath = .\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(project, *arguments):
    # The checkout comes last: an installed wheel is what is tested.
    search = [entry for entry in sys.path if entry and Path(entry) != ROOT]
    return subprocess.run(
        [sys.executable, "-P", "-m", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*search, str(project), str(ROOT)])},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def count_of_tests(code):
    return len(re.findall(r"^ *def test_", code, re.MULTILINE))


def test_each_example_is_found():
    assert PAGE.count(".. code-block:: python") == len(EXAMPLES)
    assert [name for name, code in EXAMPLES.items() if name.startswith("tests/") and not count_of_tests(code)] == []
    assert {"conftest.py", "tests/test_passkeys.py", "tests/test_invoices_unittest.py"} <= set(EXAMPLES)


def test_the_examples_run_under_pytest(project):
    done = run(project, "pytest", "-q", "-p", "no:cacheprovider", "tests")

    assert done.returncode == 0, done.stdout + done.stderr
    # Parametrised ones are several.
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= sum(count_of_tests(code) for code in EXAMPLES.values())


def test_the_unittest_examples_run_without_pytest(project):
    (project / "conftest.py").unlink()
    done = run(project, "django", "test", "--settings", "mysite.test_settings", "--pattern", "test_*_unittest.py")

    assert done.returncode == 0, done.stderr
    assert re.search(r"^Ran 2 tests", done.stderr, re.MULTILINE)
