"""The lane in Chromium: ``pytest -m browser``. CHROMIUM names the program."""

import os
import shutil
from importlib.util import find_spec

import pytest

#: Other lanes collect this folder too, and have neither the driver nor axe.
collect_ignore_glob = [] if find_spec("playwright") and find_spec("axe_playwright_python") else ["*.py"]

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
]


@pytest.fixture(scope="session")
def chromium():
    if not shutil.which(CHROMIUM):
        missing = f"There is no Chromium at {CHROMIUM}."
        if os.environ.get("PASSWORDLESS_AUTH_REQUIRE_SERVICES"):
            pytest.fail(missing)
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The example with open sign-up and codes of digits."""
    from .site import Site

    with Site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="session")
def strict_site(tmp_path_factory, site):
    """The same site, the same database, after its host has changed his mind: no new accounts, codes of letters, and
    a proof that counts as fresh for two seconds."""
    from .site import Site

    with Site(
        tmp_path_factory.mktemp("strict"),
        database=site.database,
        PASSWORDLESS_AUTH_SIGN_UP="closed",
        PASSWORDLESS_AUTH_CODE_ALPHABET="letters",
        PASSWORDLESS_AUTH_CODE_LENGTH="8",
        PASSWORDLESS_AUTH_STEP_UP_LIFETIME="2",
    ) as running:
        yield running


@pytest.fixture
def people(chromium, site):
    """Makes people, each at a browser of their own, and notices what no page of ours may do to them."""
    from .people import Person

    made = []

    def make(at=site, **options):
        made.append(Person(chromium, at, **options))
        return made[-1]

    yield make
    noticed = [(person.noticed.console, person.noticed.elsewhere) for person in made]
    for person in made:
        person.close()
    assert all(seen == ([], []) for seen in noticed), noticed


@pytest.fixture
def person(people):
    return people()
