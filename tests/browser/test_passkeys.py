"""Passkeys, as their owner meets them: real Chromium, and a virtual authenticator that holds a finger to it."""

import pytest
from playwright.sync_api import expect

from .authenticators import VirtualAuthenticator
from .people import path
from .site import address

pytestmark = pytest.mark.browser

CANCELLED = "No passkey was used. You can try again, or go on without one."


@pytest.fixture
def owner(people):
    """Makes a person with a passkey, signed out, whose device leaves requests alone until it is told to answer."""

    def make(ada, **options):
        person = people(**options)
        person.device = VirtualAuthenticator(person.page)
        add_passkey(person, ada)
        person.device.looks_away()
        sign_out(person)
        return person

    return make


def add_passkey(person, ada):
    person.comes_signed_in(ada)
    person.opens("/account/passkeys/offer/", "enrol")
    person.presses("Add a passkey")
    person.sees("account")
    person.site.forget_limits()


def sign_out(person):
    person.opens("/logout/", "logout_confirm")
    person.presses("Sign out")
    person.sees("signed_out")


def sign_in_by_passkey(person):
    person.device.answers()
    person.opens("/login/")
    person.sees("account")


def asked_for_options(page):
    """Expect the page to ask for a new challenge."""
    return page.expect_request(lambda request: request.url.endswith("/login/passkey/options/"))


# -- the offer


def test_who_signs_up_is_offered_a_passkey_and_goes_where_they_wanted(site, person):
    ada = address()
    device = VirtualAuthenticator(person.page)
    person.asks(ada, next_url="/members/")
    person.types_code(site.message(ada)["code"])

    person.sees("enrol")
    expect(person.page.get_by_role("heading", name="Your account is ready")).to_be_visible()
    expect(person.page.get_by_text(ada)).to_be_visible()
    assert device.credentials() == []
    person.presses("Add a passkey")

    expect(person.page).to_have_url(path("/members/"))
    (credential,) = device.credentials()
    assert credential["isResidentCredential"]
    assert (credential["rpId"], credential["userName"]) == ("localhost", ada)


def test_the_link_offers_it_as_well(site, person):
    ada = address()
    VirtualAuthenticator(person.page)
    person.asks(ada, next_url="/members/")
    person.opens(site.message(ada)["link"])

    person.sees("enrol")
    person.presses("Not now")
    expect(person.page).to_have_url(path("/members/"))


def test_not_now_is_remembered_for_good(site, person):
    ada = address()
    VirtualAuthenticator(person.page)
    person.asks(ada)
    person.types_code(site.message(ada)["code"])
    person.sees("enrol")
    person.presses("Not now")
    person.sees("account")
    sign_out(person)
    site.forget_limits()

    person.asks(ada)
    person.types_code(site.message(ada, 2)["code"])
    person.sees("account")


def test_an_offer_that_was_left_open_comes_again_at_the_next_sign_in(site, person):
    ada = address()
    VirtualAuthenticator(person.page)
    person.asks(ada)
    person.types_code(site.message(ada)["code"])
    person.sees("enrol")
    sign_out(person)
    site.forget_limits()

    person.asks(ada)
    person.types_code(site.message(ada, 2)["code"])
    person.sees("enrol")
    expect(person.page.get_by_role("heading", name="Sign in without a message next time")).to_be_visible()


def test_a_browser_without_an_authenticator_is_offered_nothing(person):
    person.signs_in(address())  # which sees the account at once


def test_who_stops_the_dialog_of_the_offer_is_told_so_and_can_go_on(site, person):
    ada = address()
    device = VirtualAuthenticator(person.page, isUserVerified=False)
    person.asks(ada)
    person.types_code(site.message(ada)["code"])
    person.sees("enrol")
    person.presses("Add a passkey")
    expect(person.page.get_by_role("status")).to_have_text(
        "No passkey was added. You can try again, or do it another time."
    )
    expect(person.page.get_by_role("alert")).to_have_count(0)
    assert device.credentials() == []

    device.recognises()
    person.presses("Add a passkey")
    person.sees("account")


# -- signing in


def test_the_address_field_offers_the_passkey(owner):
    ada = address()
    person = owner(ada)

    person.device.answers()
    person.opens("/login/?next=/members/")
    expect(person.page).to_have_url(path("/members/"))
    person.is_signed_in_as(ada)
    who = person.session()
    assert (who["methods"], who["level"]) == (["passkey"], "phr")


def test_the_button_takes_over_from_the_field(owner):
    ada = address()
    person = owner(ada)
    with asked_for_options(person.page):
        person.opens("/login/", "login")
    person.device.recognises(False)
    person.device.answers()
    person.presses("Sign in with a passkey")
    expect(person.page.get_by_role("status")).to_have_text(CANCELLED)
    expect(person.page.get_by_role("alert")).to_have_count(0)
    expect(person.page.get_by_role("button", name="Sign in with a passkey")).to_be_focused()

    person.device.recognises()
    person.presses("Sign in with a passkey")
    person.sees("account")
    person.is_signed_in_as(ada)


def test_the_field_offers_it_again_after_the_button_was_refused(owner):
    ada = address()
    person = owner(ada)
    with asked_for_options(person.page):
        person.opens("/login/", "login")
    person.page.get_by_label("E-mail address").fill("ada@example")
    person.device.answers()
    person.presses("Sign in with a passkey")  # which can't be, for half an address

    person.sees("account")
    person.is_signed_in_as(ada)


def test_a_typed_address_names_the_passkeys_that_may_answer(owner):
    ada = address()
    person = owner(ada)
    (credential,) = person.device.credentials()
    with person.page.expect_response("**/login/passkey/options/"):  # for the offer in the field
        person.opens("/login/", "login")
    person.page.get_by_label("E-mail address").fill(ada)
    with person.page.expect_response("**/login/passkey/options/") as answer:
        person.presses("Sign in with a passkey")
    (allowed,) = answer.value.json()["allowCredentials"]
    assert allowed["id"] == unpadded(credential["credentialId"])

    person.opens("/login/", "login")
    person.page.get_by_label("E-mail address").fill(ada)
    person.device.answers()
    person.presses("Sign in with a passkey")
    person.sees("account")


def test_an_unknown_address_gets_the_same_dialog(owner):
    person = owner(address())
    with person.page.expect_response("**/login/passkey/options/"):  # for the offer in the field
        person.opens("/login/", "login")
    person.page.get_by_label("E-mail address").fill(address("nobody"))
    person.device.recognises(False)  # or it would answer what the field has asked
    person.device.answers()
    with person.page.expect_response("**/login/passkey/options/") as answer:
        person.presses("Sign in with a passkey")

    expect(person.page.get_by_role("status")).to_have_text(CANCELLED)
    assert len(answer.value.json()["allowCredentials"]) == 1


def test_half_an_address_is_said_in_the_page(owner):
    person = owner(address())
    person.opens("/login/", "login")
    person.page.get_by_label("E-mail address").fill("ada@example")
    person.presses("Sign in with a passkey")

    expect(person.page.get_by_role("alert")).to_have_text(
        "Please enter one complete e-mail address, like name@example.com."
    )


def test_who_waits_for_a_message_can_use_the_passkey_instead(owner):
    ada = address()
    person = owner(ada)
    person.asks(ada, next_url="/members/")
    person.device.answers()
    person.presses("Use a passkey instead")

    expect(person.page).to_have_url(path("/members/"))
    assert person.session()["methods"] == ["passkey"]


def test_a_page_that_stays_open_gets_a_new_challenge_in_time(owner):
    person = owner(address())
    person.page.clock.install()
    with asked_for_options(person.page):
        person.opens("/login/", "login")
    person.page.wait_for_load_state("networkidle")

    with asked_for_options(person.page):
        person.page.clock.fast_forward(241_000)


def test_a_page_that_comes_back_from_the_cache_offers_it_again(owner):
    person = owner(address())
    with asked_for_options(person.page):
        person.opens("/login/", "login")

    with asked_for_options(person.page):
        person.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")


def test_browsers_that_know_no_json_form_sign_in_as_well(owner):
    person = owner(address())
    person.context.add_init_script(
        """for (const name of ["parseRequestOptionsFromJSON", "parseCreationOptionsFromJSON"]) delete PublicKeyCredential[name];
        delete PublicKeyCredential.prototype.toJSON;"""
    )
    sign_in_by_passkey(person)


def test_browsers_without_passkeys_see_nothing_of_them(site, person):
    ada = address()
    person.context.add_init_script("delete globalThis.PublicKeyCredential")
    person.opens("/login/", "login")
    expect(person.page.get_by_role("button")).to_have_count(1)
    person.signs_in(ada)
    person.opens("/account/passkeys/", "passkeys")
    expect(person.page.get_by_text("This browser can’t make passkeys.")).to_be_visible()
    expect(person.page.get_by_role("button")).to_have_count(0)


# -- keeping house


def test_a_passkey_is_renamed(owner):
    person = owner(address())
    sign_in_by_passkey(person)
    person.opens("/account/passkeys/", "passkeys")
    expect(person.page.get_by_text("Used in this browser")).to_be_visible()
    person.follows("Rename")
    expect(person.page.get_by_label("Name")).to_be_focused()
    person.page.get_by_label("Name").fill("My blue phone")
    person.presses("Save the name")

    expect(person.page.get_by_text("The name was changed.")).to_be_visible()
    expect(person.page.get_by_role("heading", name="My blue phone")).to_be_visible()


def test_a_blocked_passkey_is_refused_with_a_clear_message_until_it_is_unblocked(owner, people):
    ada = address()
    person = owner(ada)
    sign_in_by_passkey(person)
    second = add_second_device(person, people)

    # The new device blocks the old one, whose session ends.
    second.opens("/account/passkeys/", "passkeys")
    second.page.get_by_role("link", name="Block").first.click()
    second.presses("Block it")
    expect(second.page.get_by_text("The passkey is blocked, and its sign-ins have ended.")).to_be_visible()
    person.is_signed_out()

    person.device.looks_away()
    person.opens("/login/", "login")
    with person.page.expect_response("**/login/passkey/verify/**") as answer:
        # In this order: else the address field's own question may be answered, and not the button's.
        person.presses("Sign in with a passkey")
        person.device.answers()
    person.device.looks_away()
    assert answer.value.status == 403
    expect(person.page.get_by_role("alert")).to_have_text("This passkey is blocked. Sign in another way to unblock it.")
    assert len(person.device.credentials()) == 1  # it may be unblocked, so the device keeps it

    second.presses("Unblock")
    expect(second.page.get_by_text("The passkey works again.")).to_be_visible()
    sign_in_by_passkey(person)


def add_second_device(person, people):
    """The same person at another browser, with a passkey of their own there. The first one vouches for it by being
    carried over for a moment."""
    second = people()
    second.device = VirtualAuthenticator(second.page)
    (credential,) = person.device.credentials()
    second.device.take_over(credential)
    second.opens("/login/")
    second.sees("account")
    second.device.remove()
    second.device = VirtualAuthenticator(second.page)
    second.opens("/account/passkeys/", "passkeys")
    second.presses("Add a passkey")
    expect(second.page.get_by_text("The passkey was added.")).to_be_visible()
    sign_out_elsewhere(second)
    return second


def sign_out_elsewhere(person):
    """Sign in anew, with the passkey of this device alone."""
    person.device.looks_away()
    sign_out(person)
    sign_in_by_passkey(person)


def test_who_blocks_the_passkey_they_signed_in_with_is_told_and_signed_out(owner):
    person = owner(address())
    sign_in_by_passkey(person)
    person.device.looks_away()
    person.opens("/account/passkeys/", "passkeys")
    person.follows("Block")
    expect(person.page.get_by_text("You signed in with it here.")).to_be_visible()
    expect(person.page.get_by_text("It is the only one that you have.")).to_be_visible()
    person.presses("Block it")

    person.sees("signed_out")
    person.is_signed_out()


def test_a_removed_passkey_is_gone_from_the_device_as_well(owner):
    person = owner(address())
    sign_in_by_passkey(person)
    person.device.looks_away()
    person.opens("/account/passkeys/", "passkeys")
    assert len(person.device.credentials()) == 1
    person.follows("Remove")
    person.follows("Keep it")
    person.follows("Remove")
    person.presses("Remove it")

    expect(person.page.get_by_text("The passkey was removed.")).to_be_visible()
    expect(person.page.get_by_text("You have no passkey yet.")).to_be_visible()
    person.device.forgets_all()
    person.opens("/account/", "account")  # the session goes on


def test_a_passkey_that_was_removed_elsewhere_is_forgotten_when_it_is_tried(site, owner):
    ada = address()
    person = owner(ada)
    site.sql("DELETE FROM passwordless_auth_passkey WHERE user_id = (SELECT id FROM auth_user WHERE email = ?)", ada)
    person.device.answers()
    with person.page.expect_response("**/login/passkey/verify/**") as answer:
        person.opens("/login/", "login")
    assert answer.value.status == 404

    expect(person.page.get_by_role("alert")).to_have_text(
        "This passkey does not belong to an account here. It may have been removed."
    )
    person.device.forgets_all()


def test_the_device_learns_the_new_name_of_its_owner(site, owner):
    ada = address()
    person = owner(ada)
    assert person.device.credentials()[0]["userDisplayName"] == ada
    site.sql("UPDATE auth_user SET first_name = 'Ada', last_name = 'Lovelace' WHERE email = ?", ada)
    sign_in_by_passkey(person)

    assert person.device.credentials()[0]["userDisplayName"] == "Ada Lovelace"


def test_the_last_way_in_stays(site, owner):
    ada = address()
    person = owner(ada)
    sign_in_by_passkey(person)
    site.delete_identity(ada)
    person.opens("/account/passkeys/", "passkeys")
    person.follows("Remove")
    person.presses("Remove it")

    person.sees("passkeys", "last_way_in")
    expect(person.page.get_by_role("alert")).to_have_text(
        "This is the last way into your account. Add another one first."
    )
    expect(person.page.get_by_role("link", name="Remove")).to_be_visible()


# -- how much a session may


def test_a_session_by_code_confirms_with_the_passkey_and_comes_back_to_what_it_wanted(owner):
    ada = address()
    person = owner(ada)
    person.asks(ada)
    person.types_code(person.site.message(ada, 2)["code"])
    person.sees("account")
    person.opens("/account/passkeys/", "passkeys")
    expect(person.page.get_by_role("button", name="Add a passkey")).to_have_count(0)
    expect(person.page.get_by_text("A link or a code is not enough for that.")).to_be_visible()
    person.follows("Remove")
    person.sees("step_up")
    person.device.answers()
    person.presses("Use a passkey")
    expect(person.page.get_by_role("heading", name="Remove this passkey?")).to_be_visible()
    person.presses("Remove it")

    expect(person.page.get_by_text("The passkey was removed.")).to_be_visible()


def test_what_was_pressed_when_the_proof_had_aged_is_done_after_the_confirmation(site, owner):
    person = owner(address())
    sign_in_by_passkey(person)
    person.opens("/account/passkeys/", "passkeys")
    person.follows("Remove")
    site.age_session(person.session_key, 601)
    person.presses("Remove it")
    person.sees("step_up")
    person.presses("Use a passkey")

    person.sees("passkeys")
    expect(person.page.get_by_text("The passkey was removed.")).to_be_visible()


def test_the_first_passkey_comes_soon_after_the_sign_in_or_after_another_one(site, person):
    ada = address()
    VirtualAuthenticator(person.page)
    person.asks(ada)
    person.types_code(site.message(ada)["code"])
    person.sees("enrol")
    site.age_session(person.session_key, 601)
    person.opens("/account/passkeys/", "passkeys")
    expect(person.page.get_by_text("It can be added within ten minutes after signing in.")).to_be_visible()
    person.follows("Sign in again")
    site.forget_limits()
    expect(person.page.get_by_label("E-mail address")).to_have_value(ada)
    person.presses("Send me the message")
    person.sees("wait")
    person.types_code(site.message(ada, 2)["code"])
    person.sees("enrol")
    person.presses("Add a passkey")

    person.sees("passkeys")


def unpadded(base64):
    return base64.replace("+", "-").replace("/", "_").rstrip("=")
