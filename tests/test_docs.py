"""What the documentation says of the code is read from the code, and nothing of it is left out."""

import re
import sys
from pathlib import Path

import pytest

from passwordless_auth import exceptions, urls
from passwordless_auth.conf import Settings
from passwordless_auth.oidc import checks as oidc_checks
from passwordless_auth.oidc import checks_keys
from passwordless_auth.oidc import urls as oidc_urls
from passwordless_auth.oidc.conf import OidcSettings

from .test_checks import ids_in_the_source

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def page(monkeypatch):
    """The reStructuredText that a directive of ours writes."""
    pytest.importorskip("sphinx", reason="needs Sphinx")
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    import from_code

    yield lambda directive: "\n".join(getattr(from_code, directive).lines(getattr(from_code, directive)))
    del sys.modules["from_code"]


def own_settings(settings):
    return [name for name, value in vars(settings).items() if isinstance(value, property) and name.isupper()]


def test_the_settings_page_has_every_setting_with_its_default(page):
    text = page("SettingsFromCode")
    told = re.findall(r"^\.\. py:data:: PASSWORDLESS_AUTH_(\w+)$", text, re.MULTILINE)

    assert told == own_settings(Settings)
    assert text.count("   :Default: ") == len(told)
    assert ":Default: ``'1/60s,5/15m,10/d'``" in text


def test_the_checks_page_has_every_check(page):
    told = set(re.findall(r"^   \* - ``([EW]\d{3})``$", page("ChecksFromCode"), re.MULTILINE))

    assert told == ids_in_the_source()


def test_the_urls_page_has_every_url(page):
    told = re.findall(r"``passwordless_auth:(\w+)``", page("UrlsFromCode"))

    assert told == [pattern.name for pattern in urls.urlpatterns]


def test_the_same_of_the_openid_provider(page):
    settings = page("OidcSettingsFromCode")
    assert re.findall(r"^\.\. py:data:: PASSWORDLESS_AUTH_(\w+)$", settings, re.MULTILINE) == own_settings(OidcSettings)
    assert ":Default: ``['RS256', 'ES256']``" in settings

    checks = set(re.findall(r"^   \* - ``([EW]\d{3})``$", page("OidcChecksFromCode"), re.MULTILINE))
    assert checks == {ident for module in (oidc_checks, checks_keys) for ident in ids_in_the_source(module)}

    named = re.findall(r"``passwordless_auth_oidc:(\w+)``", page("OidcUrlsFromCode"))
    assert named == [pattern.name for pattern in oidc_urls.urlpatterns if pattern.name]

    commands = re.findall(r"^``(\w+)``$", page("OidcCommandsFromCode"), re.MULTILINE)
    assert commands == ["create_oidc_client", "rotate_signing_keys"]


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
        ("reference/settings.rst", "oidc-settings-from-code"),
        ("reference/checks.rst", "oidc-checks-from-code"),
        ("reference/urls.rst", "oidc-urls-from-code"),
        ("reference/commands.rst", "oidc-commands-from-code"),
        ("reference/models.rst", "oidc-rows-from-code"),
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
    assert named <= {*vars(Settings), *vars(OidcSettings)}
