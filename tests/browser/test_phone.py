"""Signing in by phone number, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from .people import PHONE
from .site import address, number

pytestmark = pytest.mark.browser

#: A browser that may read text messages: what a page asks it, and what it answers, as WebOTP says. Chromium has no SIM.
WEB_OTP = """() => {
  globalThis.OTPCredential ??= class {};
  globalThis.asked = [];
  const get = navigator.credentials.get.bind(navigator.credentials);
  navigator.credentials.get = (options) => {
    if (!options.otp) return get(options);
    return new Promise((resolve, reject) => {
      asked.push(options.otp.transport);
      options.signal.addEventListener("abort", () => { sessionStorage.stopped = "1"; reject(options.signal.reason); });
      globalThis.arrive = (code) => resolve({ code });
    });
  };
}"""


def at_home(e164):
    """As it is dialled in its country."""
    return e164.replace("+49", "0")


def test_a_person_signs_in_by_the_code_of_a_text_message(site, people):
    person = people(viewport=PHONE)
    ada = number()
    person.asks(ada)
    person.sees("wait")
    expect(person.page.get_by_role("heading", level=1)).to_have_text("Check your phone")
    expect(person.page.get_by_role("link", name="Change the number")).to_be_visible()
    message = site.message(ada)
    assert message["channel"] == "sms"
    assert message["text"].splitlines()[-1] == f"@localhost #{message['code']}"
    person.types_code(message["code"])

    person.sees("account")


def test_the_field_adapts_to_what_is_typed(people):
    person = people(viewport=PHONE)
    person.opens("/login/")
    field, country = person.page.locator("#identifier"), person.page.locator("#country")
    expect(field).to_have_attribute("inputmode", "email")
    expect(country).to_be_hidden()

    field.press_sequentially("0151 234")
    expect(field).to_have_attribute("inputmode", "tel")
    expect(country).to_be_visible()
    expect(country).to_be_enabled()
    assert country.locator("option").all_inner_texts() == [
        "Choose the country", "Austria (+43)", "France (+33)", "Germany (+49)", "Switzerland (+41)",
        "United Kingdom (+44)", "United States (+1)",
    ]  # fmt: skip

    field.fill("+49 151 234")
    expect(field).to_have_attribute("inputmode", "tel")
    expect(country).to_be_hidden()
    expect(country).to_be_disabled()

    for typed in ("ada@example.com", "12345@example.com", "2023ada", ""):
        field.fill(typed)
        expect(field).to_have_attribute("inputmode", "email")
        expect(country).to_be_hidden()


def test_a_number_as_at_home_and_its_country(site, people):
    person = people(viewport=PHONE)
    ada = number()
    person.opens("/login/")
    person.page.locator("#identifier").fill(at_home(ada))
    person.page.locator("#country").select_option(label="Germany (+49)")
    person.page.get_by_role("button", name="Send me the message").click()

    person.sees("wait")
    assert site.message(ada)["code"]


def test_without_scripts_the_server_asks_for_the_country(site, people):
    person = people(viewport=PHONE, java_script_enabled=False)
    ada = number()
    person.opens("/login/")
    expect(person.page.locator("#country")).to_be_hidden()
    person.page.locator("#identifier").fill(at_home(ada))
    person.page.locator("#identifier").press("Enter")

    person.sees("login", "invalid_identifier")
    expect(person.page.locator("#country")).to_be_focused()
    person.page.locator("#country").select_option("DE")
    person.page.get_by_role("button", name="Send me the message").click()
    person.sees("wait")
    person.types_code(site.message(ada)["code"])
    person.sees("account")


@pytest.mark.parametrize("page", ["/login/", "/account/identities/"])
def test_a_number_that_is_too_short_to_be_one_is_answered_on_screen(people, page):
    """The server asks for its country, and the script leaves that question where the person sees it."""
    person = people(viewport=PHONE)
    if page != "/login/":
        person.comes_signed_in(address())
    person.opens(page)
    person.page.locator("#identifier").fill("110")
    person.page.locator("#identifier").press("Enter")

    expect(person.page.get_by_role("alert")).to_contain_text("In which country is this phone number?")
    expect(person.page.locator("#country")).to_be_focused()
    person.page.locator("#country").select_option("DE")
    person.page.get_by_role("button", name="Send me the message").click()
    expect(person.page.get_by_role("alert")).to_contain_text("There is no such phone number")


def test_in_german_the_number_is_enough(site, people):
    person = people(viewport=PHONE, locale="de-DE")
    ada = number()
    person.opens("/login/")
    person.page.locator("#identifier").fill(at_home(ada))
    expect(person.page.locator("#country")).to_have_value("DE")
    person.page.locator("main form button").first.click()

    person.sees("wait")
    assert "ist Ihr Code" in site.message(ada)["text"]


def test_the_page_takes_the_code_that_the_browser_reads(site, people):
    person = people(viewport=PHONE)
    person.context.add_init_script(f"({WEB_OTP})()")
    ada = number()
    person.asks(ada)
    person.sees("wait")
    code = site.message(ada)["code"]
    assert person.page.evaluate("asked") == [["sms"]]
    person.page.evaluate("code => arrive(code)", code)

    person.sees("account")


def test_who_types_is_not_disturbed(site, people):
    person = people(viewport=PHONE)
    person.context.add_init_script(f"({WEB_OTP})()")
    ada = number()
    person.asks(ada)
    person.sees("wait")
    person.types_code(site.message(ada)["code"])

    person.sees("account")
    assert person.page.evaluate("sessionStorage.stopped") == "1"


def test_a_mail_is_not_asked_of_the_phone(site, person):
    person.context.add_init_script(f"({WEB_OTP})()")
    person.asks("nobody-by-phone@example.com")

    person.sees("wait")
    assert person.page.evaluate("asked") == []


def test_the_inbox_shows_a_text_message_as_a_phone_would(site, people):
    person = people()
    ada = number()
    person.asks(ada)
    text = site.message(ada)["text"]
    person.page.goto(f"/inbox/?to={ada.replace('+', '%2B')}")

    expect(person.page.locator(".ib-text--sms")).to_have_text(re.compile(re.escape(text.partition("\n")[0])))
