"""A lost phone, in a real browser: codes that are kept, a code that is used, a new passkey, and the old one blocked."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .authenticators import VirtualAuthenticator
from .people import path
from .site import address
from .test_passkeys import add_passkey

pytestmark = pytest.mark.browser


@pytest.fixture
def owner(people):
    """Makes a person with a passkey, signed in with it."""

    def make(ada, **options):
        person = people(**options)
        person.device = VirtualAuthenticator(person.page)
        add_passkey(person, ada)
        person.opens("/logout/", "logout_confirm")
        person.presses("Sign out")
        person.opens("/login/")
        person.sees("account")
        return person

    return make


def make_codes(person):
    person.opens("/account/recovery-codes/", "recovery_codes")
    person.presses("Make recovery codes")
    expect(person.page.get_by_role("heading", name="Your new recovery codes")).to_be_visible()
    codes = person.page.locator("[data-code]").all_inner_texts()
    assert len(codes) == 10
    return codes


def recovers(person, ada, code):
    person.opens("/login/", "login")
    person.follows("Lost your device?")
    person.sees("recovery")
    person.page.get_by_label("E-mail address").fill(ada)
    person.page.get_by_label("Recovery code").fill(code)
    person.page.keyboard.press("Enter")
    person.sees("passkeys")
    person.is_signed_in_as(ada)


def test_the_codes_are_downloaded_copied_and_printed_and_never_leave_the_browser(owner):
    person = owner(address())
    person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    codes = make_codes(person)
    asked = []
    person.page.on("request", lambda request: asked.append(request.url))

    with person.page.expect_download() as download:
        person.presses("Download")
    assert download.value.suggested_filename == "recovery-codes.txt"
    text = Path(download.value.path()).read_text()
    assert [line for line in text.splitlines() if line in codes] == codes
    assert "/login/recovery/" in text

    person.presses("Copy")
    expect(person.page.get_by_role("button", name="Copied")).to_be_visible()
    assert person.page.evaluate("navigator.clipboard.readText()") == text

    person.page.evaluate("window.print = () => { window.printed = true }")
    person.presses("Print")
    assert person.page.evaluate("window.printed")
    person.page.emulate_media(media="print")
    expect(person.page.locator("[data-code]").first).to_be_visible()
    for gone in ("Download", "Print", "I have kept them"):
        expect(person.page.get_by_text(gone, exact=True)).to_be_hidden()
    assert [url for url in asked if not url.startswith("blob:")] == []


def test_without_scripts_they_are_there_to_be_written_down(site, people):
    ada = address()
    person = people(java_script_enabled=False)
    person.comes_signed_in(ada)
    codes = make_codes(person)

    assert all(re.fullmatch(r"[A-Z2-7]{4}(-[A-Z2-7]{4}){3}", code) for code in codes)
    expect(person.page.get_by_role("button", name="Download")).to_be_hidden()
    person.follows("I have kept them")
    person.sees("account")


def test_going_back_does_not_show_them_again(owner):
    person = owner(address())
    codes = make_codes(person)
    person.follows("I have kept them")
    person.sees("account")
    person.opens("/account/recovery-codes/", "recovery_codes")

    expect(person.page.get_by_text("10 of 10")).to_be_visible()
    assert not [code for code in codes if code in person.page.content()]


def test_a_lost_phone_a_code_a_new_passkey_and_the_old_one_blocked(site, owner, people):
    ada = address()
    lost = owner(ada)
    codes = make_codes(lost)

    # Another device, with nothing but the paper.
    person = people()
    person.device = VirtualAuthenticator(person.page)
    person.opens("/members/")
    person.sees("login")
    person.follows("Lost your device?")
    person.page.get_by_label("E-mail address").fill(ada)
    person.page.get_by_label("Recovery code").fill("AAAA BBBB CCCC DDDD")
    person.page.keyboard.press("Enter")
    person.sees("recovery", "invalid_code")
    expect(person.page.get_by_label("E-mail address")).to_have_value(ada)
    expect(person.page.get_by_label("Recovery code")).to_be_focused()
    person.page.get_by_label("Recovery code").fill(codes[0].lower().replace("-", " "))
    person.presses("Recover with this code")
    person.sees("passkeys")
    person.is_signed_in_as(ada)
    assert person.session()["level"] == "recovered"
    assert "A recovery code of your account" in site.message(ada, 2)["subject"]

    # Until there is a passkey, everything else says what to do.
    person.opens("/members/")
    person.sees("login")
    expect(person.page.get_by_role("heading", name="Now add a passkey")).to_be_visible()
    person.presses("Add a passkey")
    person.sees("passkeys")
    expect(person.page.get_by_role("heading", name="One step is left: sign in with your passkey")).to_be_visible()
    assert len(person.device.credentials()) == 1
    person.presses("Sign in with a passkey")
    expect(person.page).to_have_url(path("/members/"))
    assert person.session()["level"] == "phr"

    # And the phone that somebody may find is refused.
    person.opens("/account/passkeys/", "passkeys")
    person.page.get_by_role("link", name="Block").first.click()
    person.presses("Block it")
    expect(person.page.get_by_text("The passkey is blocked, and its sign-ins have ended.")).to_be_visible()
    lost.is_signed_out()
    lost.device.looks_away()
    lost.opens("/login/", "login")
    with lost.page.expect_response("**/login/passkey/verify/**") as answer:
        lost.device.answers()
        lost.presses("Sign in with a passkey")
    assert answer.value.status == 403


def test_a_lost_phone_without_codes_and_an_address(site, owner, people):
    ada = address()
    owner(ada)
    site.forget_limits()

    person = people()
    person.device = VirtualAuthenticator(person.page)
    person.opens("/login/recovery/", "recovery")
    person.page.get_by_label("E-mail address").fill(ada)
    before = len(site.messages(ada))
    person.presses("Send me a message")  # though the field for a code is empty
    person.sees("wait")
    person.types_code(site.message(ada, before + 1)["code"])
    person.sees("passkeys")
    assert person.session()["level"] == "recovered"
    person.presses("Add a passkey")
    expect(person.page.get_by_role("heading", name="One step is left: sign in with your passkey")).to_be_visible()
    person.presses("Sign in with a passkey")
    person.sees("account")

    assert person.session()["level"] == "phr"
    assert any("was recovered" in message["subject"] for message in site.messages(ada))


def test_a_phone_that_was_found_again_ends_the_recovery(site, owner, people):
    ada = address()
    found = owner(ada)
    codes = make_codes(found)
    (credential,) = found.device.credentials()

    person = people()
    person.device = VirtualAuthenticator(person.page)
    recovers(person, ada, codes[0])
    person.device.take_over(credential)
    person.presses("Sign in with a passkey")
    person.sees("account")

    assert person.session()["level"] == "phr"


def test_a_browser_that_knows_no_passkeys_says_so(owner, people):
    ada = address()
    codes = make_codes(owner(ada))
    person = people()
    person.context.add_init_script("delete window.PublicKeyCredential")
    recovers(person, ada, codes[0])

    expect(person.page.get_by_text("This browser can’t make passkeys.")).to_be_visible()
    expect(person.page.get_by_role("button", name="Add a passkey")).to_be_hidden()


def test_the_account_page_shows_how_it_stands_and_the_best_next_step(owner):
    person = owner(address())
    person.opens("/account/", "account")
    stands = person.page.locator("[data-part]")
    expect(stands).to_have_count(3)
    for name, color in (("devices", "green"), ("email", "green"), ("codes", "red")):
        expect(person.page.locator(f"[data-part={name}]")).to_have_attribute("data-color", color)
    person.follows("Best next: make recovery codes")
    person.sees("recovery_codes")
    person.presses("Make recovery codes")
    person.follows("I have kept them")

    expect(person.page.locator("[data-part=codes]")).to_have_attribute("data-color", "green")
    expect(person.page.locator("[data-next-step]")).to_have_count(0)
