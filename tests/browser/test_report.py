"""What a notice calls "this wasn't me": from the message to the locked door."""

import pytest
from playwright.sync_api import expect

from . import pictures
from .authenticators import VirtualAuthenticator
from .people import PHONE, path
from .site import address
from .states import FIREFOX, IPHONE
from .test_other_device import with_passkey

pytestmark = pytest.mark.browser


@pytest.fixture
def ada(person):
    ada = address()
    with_passkey(person, ada)
    return ada


@pytest.fixture
def thief(people, person, ada):
    """Somebody took Ada's session to another browser, and adds a passkey of their own."""
    thief = people(user_agent=FIREFOX, storage_state=person.context.storage_state())
    thief.device = VirtualAuthenticator(thief.page)
    thief.opens("/account/passkeys/", "passkeys")
    thief.presses("Add a passkey")
    expect(thief.page.get_by_text("The passkey was added")).to_be_visible()
    return thief


def test_one_press_locks_the_thief_out(people, person, thief, site, ada):
    message = site.message(ada, 3)
    assert "A passkey was added" in message["subject"]
    phone = people(user_agent=IPHONE, viewport=PHONE)
    phone.opens(message["link"], "report")
    expect(phone.page).to_have_url(path("/login/report/"))
    expect(phone.page.get_by_text("Firefox on Windows")).to_be_visible()
    pictures.take(phone.page, "report")

    phone.presses("This wasn’t me")

    expect(phone.page.get_by_role("heading", name="Changes are stopped")).to_be_visible()
    pictures.take(phone.page, "report_done")
    assert "are stopped" in site.message(ada, 4)["subject"]
    thief.is_signed_out()
    person.is_signed_out()

    # The thief's passkey opens nothing, and says why.
    thief.device.looks_away()
    thief.opens("/login/", "login")
    thief.device.answers()
    thief.presses("Sign in with a passkey")
    expect(thief.page.get_by_text("This passkey is blocked")).to_be_visible()
    pictures.take(thief.page, "login_with_a_blocked_passkey")
    thief.opens("/logout/done/", "signed_out")
    thief.is_signed_out()
    assert all("403 (Forbidden)" in line for line in thief.noticed.console), thief.noticed.console
    thief.noticed.console.clear()  # Chromium's own note of it

    # The owner's own goes on working, and opens changes again.
    person.opens("/login/")
    person.page.wait_for_url(lambda url: "/login/" not in url)
    person.is_signed_in_as(ada)
    person.opens("/account/passkeys/", "passkeys")
    expect(person.page.get_by_text("Blocked", exact=True).first).to_be_visible()


def test_opening_the_message_twice_shows_what_was_done(people, thief, site, ada):
    link = site.message(ada, 3)["link"]
    phone = people()
    phone.opens(link, "report")
    phone.presses("This wasn’t me")
    expect(phone.page.get_by_role("heading", name="Changes are stopped")).to_be_visible()

    other = people()
    other.opens(link, "report")

    expect(other.page.get_by_role("heading", name="Changes are stopped")).to_be_visible()
    expect(other.page.get_by_role("button", name="This wasn’t me")).to_have_count(0)


def test_it_works_without_javascript(people, thief, site, ada):
    reader = people(java_script_enabled=False)
    reader.opens(site.message(ada, 3)["link"], "report")

    reader.presses("This wasn’t me")

    expect(reader.page.get_by_role("heading", name="Changes are stopped")).to_be_visible()
    thief.is_signed_out()


def test_a_message_that_is_too_old_says_what_to_do(people, thief, site, ada):
    link = site.message(ada, 3)["link"]
    past = "2026-01-01 00:00:00"
    site.sql(
        "UPDATE passwordless_auth_challenge SET link_expires_at = ?, expires_at = ? WHERE purpose = 'report'",
        past,
        past,
    )
    reader = people()

    reader.opens(link, "error")

    reader.sees("error", "expired")
    expect(reader.page.get_by_role("link", name="See where you are signed in")).to_be_visible()
