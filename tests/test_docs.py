"""What the documentation says of the code is read from the code, and nothing of it is left out."""

import re
import sys
from pathlib import Path

import pytest

from passwordless_auth import exceptions, urls
from passwordless_auth.conf import Settings

from .test_checks import ids_in_the_source

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def page(monkeypatch):
    """The reStructuredText that a directive of ours writes."""
    pytest.importorskip("sphinx", reason="needs Sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    import from_code

    yield lambda directive: "\n".join(getattr(from_code, directive).lines(None))
    del sys.modules["from_code"]


def test_the_settings_page_has_every_setting_with_its_default(page):
    text = page("SettingsFromCode")
    told = re.findall(r"^\.\. py:data:: PASSWORDLESS_AUTH_(\w+)$", text, re.MULTILINE)

    assert told == [name for name, value in vars(Settings).items() if isinstance(value, property) and name.isupper()]
    assert text.count("   :Default: ") == len(told)
    assert ":Default: ``'1/60s,5/15m,10/d'``" in text


def test_the_checks_page_has_every_check(page):
    told = set(re.findall(r"^   \* - ``([EW]\d{3})``$", page("ChecksFromCode"), re.MULTILINE))

    assert told == ids_in_the_source()


def test_the_urls_page_has_every_url(page):
    told = re.findall(r"``passwordless_auth:(\w+)``", page("UrlsFromCode"))

    assert told == [pattern.name for pattern in urls.urlpatterns]


def test_the_errors_page_has_every_code(page):
    told = set(re.findall(r"^   \* - ``(\w+)``$", page("ErrorsFromCode"), re.MULTILINE))
    codes = {error.code for error in vars(exceptions).values() if isinstance(error, type) and hasattr(error, "code")}

    assert told == codes - {"error"}


@pytest.mark.parametrize(
    ("file", "directive"),
    [
        ("reference/settings.rst", "settings-from-code"),
        ("reference/checks.rst", "checks-from-code"),
        ("reference/urls.rst", "urls-from-code"),
        ("reference/errors.rst", "errors-from-code"),
        ("reference/signals.rst", "signals-from-code"),
        ("reference/commands.rst", "commands-from-code"),
        ("reference/models.rst", "rows-from-code"),
    ],
)
def test_the_references_are_made_by_the_directives(file, directive):
    assert f".. {directive}::" in (DOCS / file).read_text()


def test_settings_that_the_docs_name_exist():
    named = {
        name
        for path in DOCS.glob("**/*.rst")
        for name in re.findall(r"\bPASSWORDLESS_AUTH_([A-Z_]+[A-Z])\b", path.read_text())
    }

    assert named
    assert named <= set(vars(Settings))
