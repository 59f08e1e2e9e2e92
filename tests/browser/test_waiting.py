"""The waiting page is true from moment to moment, and easy to fill in."""

import re

import pytest
from playwright.sync_api import expect

from .people import path_of
from .site import address

pytestmark = pytest.mark.browser


def test_the_state_of_the_message_changes_on_screen(site, person):
    ada = address()
    page = person.asks(ada)
    site.set_delivery(ada, "queued")
    page.reload()
    state = page.locator("[data-delivery]")
    expect(state).to_have_text("On its way to the mail server.")
    site.set_delivery(ada, "handed_over")
    expect(state).to_have_text("Handed over to the mail server. It should arrive in a moment.")
    ago = page.locator("[data-ago]")
    expect(ago).to_have_text(re.compile(r"^now$|^\d+ seconds? ago$"))
    another = page.get_by_role("link", name="Use a recovery code")
    expect(another).to_be_hidden()
    where_to_look = (
        page.get_by_text("Look in the spam folder, too."),
        page.get_by_text("Type the code from the message"),
    )
    for text in where_to_look:
        expect(text).to_be_visible()
    site.set_delivery(ada, "delivered")
    expect(state).to_have_text("Delivered to your mailbox. If you don’t see it, look in the spam folder.")
    expect(where_to_look[0]).to_be_hidden()  # it would be said twice
    site.set_delivery(ada, "bounced")
    expect(state).to_have_text("This message could not be delivered. Please use another way.")
    expect(another).to_be_visible()
    expect(page.get_by_role("heading", name="Another way to sign in")).to_be_visible()
    for text in where_to_look:
        expect(text).to_be_hidden()
    site.set_delivery(ada, "failed")
    expect(state).to_have_text("We could not send this message. Please check the address, and try again.")
    expect(state).to_have_attribute("role", "status")  # screen readers speak it


def test_the_seconds_since_a_message_was_handed_over_go_on_by_themselves(site, person):
    person.page.clock.install()
    _keep_the_site_silent(person)
    ada = address()
    page = person.asks(ada)
    site.set_delivery(ada, "handed_over")
    page.reload()
    ago = page.locator("[data-ago]")
    expect(ago).to_have_text(re.compile(r"^now$|^\d+ seconds? ago$"))
    page.clock.fast_forward("01:05")
    expect(ago).to_have_text("1 minute ago")
    assert page.locator("[role=status] [data-ago]").count() == 0  # a screen reader would speak every second


def test_a_message_that_takes_too_long_brings_another_way(site, person):
    ada = address()
    page = person.asks(ada)
    another = page.get_by_role("link", name="Use a recovery code")
    expect(another).to_be_hidden()
    site.delay(ada)
    expect(another).to_be_visible()
    expect(page.get_by_text("Lately there was trouble")).to_be_hidden()
    site.mark(ada)
    expect(page.get_by_text("Lately there was trouble")).to_be_visible()
    another.click()

    person.sees("recovery")


def test_a_clock_says_when_the_message_may_be_asked_for_again(person):
    person.page.clock.install()
    _keep_the_site_silent(person)
    page = person.asks(address())
    again = page.get_by_role("button", name="Send it again")
    expect(again).to_be_disabled()
    expect(page.get_by_text("You can ask again in")).to_have_text(_minutes_and_seconds("You can ask again in"))
    page.clock.fast_forward("01:10")
    expect(again).to_be_enabled()
    expect(page.locator("[data-hint]")).to_be_hidden()


def test_a_clock_says_how_long_the_message_works(person):
    person.page.clock.install()
    _keep_the_site_silent(person)
    page = person.asks(address())
    left = page.locator("[data-left]")
    expect(left).to_have_text(_minutes_and_seconds("The message works for"))
    before = left.inner_text()
    page.clock.fast_forward("00:30")
    expect(left).not_to_have_text(before)


def test_a_second_message_is_the_first_one_again(site, person):
    ada = address()
    page = person.asks(ada)
    site.forget_limits()
    page.reload()
    person.presses("Send it again")
    expect(page.get_by_text("Here comes the message once more.")).to_be_visible()
    second = site.message(ada, 2)
    assert second["code"] == site.messages(ada)[1]["code"]
    person.types_code(second["code"])

    person.sees("account")


def test_a_page_whose_time_is_over_says_so_and_offers_a_new_message(site, person):
    ada = address()
    person.asks(ada)
    site.forget_limits()
    site.expire(ada)
    person.sees("error", "expired")  # by itself
    person.presses("Send a new message")
    person.sees("wait")
    person.types_code(site.message(ada, 2)["code"])

    person.sees("account")


def test_a_waiting_page_of_a_finished_sign_in_leads_on(site, person):
    ada = address()
    person.asks(ada)
    url = person.page.url
    person.types_code(site.message(ada)["code"])
    person.sees("account")
    person.opens(url)

    assert path_of(person.page) == "/account/"


def test_the_field_tells_phones_what_it_wants(site, strict_site, people):
    ada = address()
    person = people()
    person.asks(ada)
    field = person.code_field
    expect(field).to_have_attribute("autocomplete", "one-time-code")
    expect(field).to_have_attribute("inputmode", "numeric")
    expect(field).to_have_attribute("type", "text")
    person.types_code(site.message(ada)["code"])
    person.sees("account")
    site.forget_limits()

    person = people(strict_site)
    person.asks(ada)
    expect(person.code_field).to_have_attribute("autocomplete", "one-time-code")
    expect(person.code_field).to_have_attribute("inputmode", "text")
    expect(person.code_field).to_have_attribute("autocapitalize", "characters")


def test_the_address_field_tells_phones_what_it_wants(person):
    person.opens("/login/", "login")
    field = person.page.get_by_label("E-mail address")
    expect(field).to_have_attribute("autocomplete", "username webauthn")  # an address, or a passkey
    expect(field).to_have_attribute("inputmode", "email")
    expect(field).to_have_attribute("autocapitalize", "none")
    expect(field).to_be_focused()


@pytest.mark.parametrize(
    ("domain", "name", "url"),
    [
        ("gmail.com", "Open Gmail", "https://mail.google.com/"),
        ("outlook.com", "Open Outlook", "https://outlook.live.com/mail/"),
    ],
)
def test_a_webmail_is_one_press_away(person, domain, name, url):
    person.asks(address(domain=domain))
    link = person.page.get_by_role("link", name=name)

    expect(link).to_have_attribute("href", url)
    expect(link).to_have_attribute("rel", "noopener noreferrer")


def test_german_people_read_german(site, people):
    ada = address()
    person = people(locale="de-DE")
    person.asks(ada)
    expect(person.page.locator("html")).to_have_attribute("lang", "de")
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Sehen Sie in Ihr Postfach")
    assert "Ihr Code" in site.message(ada)["text"]


def _minutes_and_seconds(text):
    return re.compile(rf"{text} \d:\d\d")


def _keep_the_site_silent(person):
    """The page must count by itself: the site's clock has not been put forward."""
    person.page.route("**/status.json*", lambda route: route.fulfill(status=204))
