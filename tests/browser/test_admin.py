"""The admin: in by a link, a first passkey and its use; later by the passkey alone; and what is done there."""

import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from .authenticators import VirtualAuthenticator
from .site import ROOT, Site, address
from .test_other_device import with_passkey

pytestmark = pytest.mark.browser

ADMIN = "admin@example.com"


@pytest.fixture(scope="module")
def guarded_site(tmp_path_factory):
    """The example, whose staff need a passkey."""
    with Site(
        tmp_path_factory.mktemp("guarded"),
        PASSWORDLESS_AUTH_LEVEL_FOR_STAFF="phr",
        PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS="",
        PASSWORDLESS_AUTH_LIMIT_SENDS_PER_KNOWN_BROWSER="",
    ) as running:
        yield running


def login_link(site):
    command = [sys.executable, str(ROOT / "example_project" / "manage.py"), "passwordless_login_link"]
    options = ["--reset-factors", "--reason", "new laptop", ADMIN]
    done = subprocess.run([*command, *options], env=site.environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def root(people, guarded_site):
    """The administrator, who has come in by a link and added a passkey behind it."""
    person = people(guarded_site)
    person.device = VirtualAuthenticator(person.page)
    person.opens(login_link(guarded_site), "link")
    person.presses("Sign in")
    person.sees("step_up")
    person.presses("Add a passkey")
    expect(person.page.get_by_role("button", name="Use a passkey")).to_be_visible()
    person.presses("Use a passkey")
    person.sees("account")
    return person


def test_the_first_passkey_of_an_administrator_opens_the_admin(root):
    root.page.goto(f"{root.site.url}/admin/")

    expect(root.page.get_by_role("heading", name="Site administration")).to_be_visible()
    assert len(root.device.credentials()) == 1


def test_later_the_passkey_alone_opens_it(root):
    root.page.goto(f"{root.site.url}/admin/")
    root.page.get_by_role("button", name="Log out").click()
    root.sees("signed_out")

    root.device.looks_away()
    root.page.goto(f"{root.site.url}/admin/passwordless_auth/passkey/")
    root.sees("login")
    root.device.answers()
    root.presses("Sign in with a passkey")

    expect(root.page).to_have_url(f"{root.site.url}/admin/passwordless_auth/passkey/")


def test_a_stolen_passkey_is_blocked_and_its_owner_is_out(root, people, guarded_site):
    ada = address("ada")
    owner = people(guarded_site)
    with_passkey(owner, ada)

    root.page.goto(f"{root.site.url}/admin/passwordless_auth/passkey/?q={ada}")
    root.page.locator("#result_list tbody th a").click()
    root.page.get_by_role("link", name="Block", exact=True).click()
    expect(root.page.get_by_text("They can still sign in by a message")).to_be_visible()
    root.page.get_by_label("Why").fill("stolen on the train")
    root.page.get_by_role("button", name="Block").click()

    expect(root.page.get_by_text("1 passkey is blocked.")).to_be_visible()
    expect(root.page.get_by_role("link", name="Unblock", exact=True)).to_be_visible()
    message = guarded_site.message(ada, 3)
    assert "is blocked" in message["subject"]
    assert "The people who run Example did this." in message["text"]
    assert re.search(r"passkey_blocked", root.page.goto(f"{root.site.url}/admin/passwordless_auth/event/").text())


def test_a_client_is_added_and_shows_its_secret_once(root):
    page = root.page
    page.goto(f"{root.site.url}/admin/oauth2_provider/application/")
    page.get_by_role("link", name="Add a client").click()
    expect(page.get_by_role("group", name="Kind")).to_be_visible()
    page.get_by_label("Web application").check()
    page.get_by_label("Name:").fill("The shop")
    page.get_by_label("Redirect URIs:", exact=True).fill("https://shop.example/*")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("https://shop.example/* has a “*”.")).to_be_visible()
    page.get_by_label("Redirect URIs:", exact=True).fill("https://shop.example/signed-in")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_role("heading", name="The secret of “The shop”")).to_be_visible()
    secret = page.locator("[data-secret]").inner_text()
    assert len(secret) >= 43
    expect(page.get_by_text("authorize_redirect")).to_be_visible()
    page.get_by_text("What every library asks for").click()
    expect(page.get_by_text("OIDC_REDIRECT_URI=https://shop.example/signed-in")).to_be_visible()

    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_role("heading", name="Client", exact=True)).to_be_visible()
    assert secret not in page.content()
    page.get_by_text("How people sign in for it").click()
    page.get_by_label("Wrong codes:").fill("6")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("less than or equal to 5")).to_be_visible()

    page.goto(page.url.replace("/change/", "/new-secret/"))
    page.get_by_role("button", name="Make a new secret").click()
    expect(page.locator("[data-secret]")).not_to_have_text(secret)
