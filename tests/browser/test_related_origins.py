"""One account, two domains: a passkey of the first signs in to the second (Related Origin Requests)."""

import json

import pytest
from playwright.sync_api import expect

from .authenticators import VirtualAuthenticator
from .conftest import ARGUMENTS, CHROMIUM
from .https import Certificate, SecureSite
from .people import Person
from .site import address

pytestmark = pytest.mark.browser

HOME, SHOP, STRANGER = "home.example", "shop.test", "stranger.test"


@pytest.fixture(scope="module")
def places(chromium, tmp_path_factory):
    """Three sites over one database: ours, the one that ours has named, and one that it has not."""
    folder = tmp_path_factory.mktemp("related")
    certificate = Certificate(folder, [HOME, SHOP, STRANGER])
    home = SecureSite(folder, HOME, certificate, PASSWORDLESS_AUTH_PASSKEY_RELATED_ORIGINS=f"https://{SHOP}")
    others = [
        SecureSite(folder, host, certificate, database=home.database, PASSWORDLESS_AUTH_PASSKEY_RP_ID=HOME)
        for host in (SHOP, STRANGER)
    ]
    with home, others[0] as shop, others[1] as stranger:
        yield home, shop, stranger


@pytest.fixture(scope="module")
def secure_chromium(chromium, places):
    """A Chromium that finds the three by name, and trusts their certificate."""
    rules = ", ".join([*(f"MAP {site.host}:443 127.0.0.1:{site.port}" for site in places), "MAP * ~NOTFOUND"])
    arguments = [argument for argument in ARGUMENTS if not argument.startswith("--host-resolver-rules")]
    browser = chromium.browser_type.launch(
        executable_path=CHROMIUM,
        args=[
            *arguments,
            f"--host-resolver-rules={rules}",
            f"--ignore-certificate-errors-spki-list={places[0].certificate.fingerprint}",
        ],
    )
    yield browser
    browser.close()


@pytest.fixture
def owner(secure_chromium, places):
    """A person who has a passkey at home, and whose device holds nothing else."""
    home, *_others = places
    ada = address()
    person = Person(secure_chromium, home)
    person.device = VirtualAuthenticator(person.page)
    person.asks(ada)
    person.types_code(home.message(ada)["code"])
    person.sees("enrol")
    person.presses("Add a passkey")
    person.sees("account")
    person.ada = ada
    yield person
    person.close()


def test_the_list_of_related_origins_is_json_without_a_detour(owner, places):
    home, shop, _stranger = places
    status, kind, text = owner.page.evaluate(
        """async () => {
          const response = await fetch("/.well-known/webauthn", { redirect: "error", credentials: "omit" });
          return [response.status, response.headers.get("content-type"), await response.text()];
        }"""
    )

    assert (status, kind) == (200, "application/json")
    assert json.loads(text) == {"origins": [home.url, shop.url]}


def test_the_passkey_of_one_domain_signs_in_to_the_other(owner, places):
    _home, shop, _stranger = places
    owner.opens(f"{shop.url}/login/")

    owner.sees("account")
    assert owner.page.url.startswith(shop.url)
    who = owner.page.evaluate("fetch('/login/session.json').then((response) => response.json())")
    assert (who["user"]["email"], who["level"]) == (owner.ada, "phr")


def test_a_domain_that_is_not_named_gets_nothing_from_the_browser(owner, places):
    *_ours, stranger = places
    owner.opens(f"{stranger.url}/login/")
    owner.sees("login")
    owner.presses("Sign in with a passkey")

    expect(owner.page.get_by_role("alert")).to_have_text("This did not work. Check your connection, and try again.")
