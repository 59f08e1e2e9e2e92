"""The page with one field, and the errors that stand where it was."""

import pytest
from django.contrib.auth.models import User

from passwordless_auth.models import Challenge, Delivery
from passwordless_auth.testing import outbox

from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


def test_the_page_asks_for_one_thing(browser):
    page = visit(browser, "/login/")

    assert (page.status, page.name, page.code) == (200, "login", "")
    assert "Sign in to Testserver" in page.words
    assert set(page.inputs) == {"csrfmiddlewaretoken", "identifier"}
    assert page.inputs["identifier"]["autocomplete"] == "username webauthn"  # browsers offer passkeys in it
    assert page.next_steps == ["Testserver", "Send me the message", "Lost your device?"]


def test_the_form_leads_to_the_page_that_waits_and_remembers_where_the_person_was_going(browser):
    page = visit(browser, "/members/")
    assert page.name == "login"

    page = page.press(browser, "Send me the message", identifier="Ada@Example.com")

    assert (page.status, page.name) == (200, "wait")
    challenge = Challenge.objects.get()
    assert (challenge.canonical, challenge.next_url, challenge.state) == (ADA, "/members/", "open")
    assert browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})["Location"] == "/members/"


def test_the_page_gives_the_browser_its_key_so_that_script_and_form_agree_on_it(browser, settings):
    browser.get("/login/")
    key = browser.cookies["passwordless_browser"].value
    options = browser.post("/login/passkey/options/", {}, content_type="application/json")
    browser.start()

    assert options.status_code == 200
    assert browser.cookies["passwordless_browser"].value == key
    assert "passwordless_browser" not in browser.get("/login/").cookies

    settings.PASSWORDLESS_AUTH_METHODS = ["one_time_code"]
    browser.cookies.clear()
    assert "passwordless_browser" not in browser.get("/login/").cookies


def test_what_is_no_address_is_said_beside_the_field_and_stands_in_it(browser):
    page = visit(browser, "/login/?next=/members/").press(browser, "Send me the message", identifier="ada@gmail")

    assert (page.status, page.name, page.code) == (400, "login", "invalid_identifier")
    assert "Please enter one complete e-mail address, like name@example.com." in page.words
    assert page.inputs["identifier"]["value"] == "ada@gmail"
    assert page.inputs["identifier"]["aria-invalid"] == "true"
    assert page.inputs["next"]["value"] == "/members/"
    assert not Challenge.objects.exists()


@pytest.mark.parametrize("typed", ["", "x" * 300 + "@example.com", "<script>alert(1)</script>"])
def test_nothing_typed_is_executed_or_too_long(browser, typed):
    page = Page(browser.start(typed))

    assert (page.status, page.code) == (400, "invalid_identifier")
    assert "<script>alert" not in page.html


def test_the_address_may_come_with_the_link_to_the_page(browser):
    assert visit(browser, f"/login/?identifier={ADA}").inputs["identifier"]["value"] == ADA
    assert len(visit(browser, "/login/?identifier=" + "x" * 1000).inputs["identifier"]["value"]) == 254


def test_who_is_signed_in_already_can_go_on_or_take_another_address(browser):
    browser.sign_in()
    page = visit(browser, "/login/?next=/members/")

    assert page.name == "login"
    assert "This browser is signed in as ada@example.com." in page.words
    assert page.links["Continue"] == "/members/"
    assert browser.get(page.links["Continue"]).status_code == 200

    page = page.press(browser, "Send me the message", identifier="bob@example.com")
    assert page.name == "wait"
    assert browser.who()["user"]["email"] == ADA
    browser.submit("/login/wait/", {"code": outbox.last_code("bob@example.com")})
    assert browser.who()["user"]["email"] == "bob@example.com"


def test_who_has_a_name_is_called_by_it(browser):
    User.objects.create_user("ada", ADA, first_name="Ada", last_name="Lovelace")
    browser.sign_in()

    assert "signed in as Ada Lovelace." in visit(browser, "/login/").words


# -- too often


def test_too_often_says_when_to_come_back_and_how_to_go_on_with_what_was_sent(browser, clock):
    browser.start(next="/members/")
    clock.shift(20)
    page = Page(browser.start(next="/members/"))

    assert (page.status, page.name, page.code) == (429, "error", "too_many_requests")
    assert page.response["Retry-After"] == "40"
    assert "You can try again in 40 seconds." in page.words
    assert page.next_steps[1:] == ["Enter the code that was sent", "Change the address"]

    assert page.press(browser, "Change the address").name == "login"
    page = page.press(browser, "Enter the code that was sent")
    assert page.name == "wait"
    page.press(browser, "Sign in", code=outbox.last_code(ADA))
    assert browser.who()["authenticated"]


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("1/1s", "You can try again in 1 second."),
        ("1/89s", "You can try again in 89 seconds."),
        ("1/10m", "You can try again in about 10 minutes."),
        ("1/d", "You can try again in about 24 hours."),
    ],
)
def test_the_time_to_wait_is_said_in_words(browser, settings, clock, limit, words):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = limit
    browser.start()

    assert words in Page(browser.start()).words


def test_too_often_without_a_message_of_this_browser_leads_back_with_what_was_typed(browser, other_browser):
    browser.start()
    page = Page(other_browser.start())

    assert (page.status, page.code) == (429, "too_many_requests")
    assert page.next_steps[1:] == ["Back to sign-in"]
    page = page.press(other_browser, "Back to sign-in")
    assert page.name == "login"
    assert page.inputs["identifier"]["value"] == ADA


def test_a_message_that_ran_out_is_not_offered(browser, settings, clock):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "1/h"
    browser.start()
    clock.shift(301)

    assert Page(browser.start()).next_steps[1:] == ["Back to sign-in"]


# -- languages


def test_the_page_is_in_the_language_that_the_browser_asks_for(browser, settings):
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("ar", "العربية")]

    assert visit(browser, "/login/", headers={"accept-language": "de"}).language == "de"
    page = visit(browser, "/login/", headers={"accept-language": "ar"})
    assert '<html lang="ar" dir="rtl"' in page.html


# -- what a start leaves behind


def test_a_start_is_one_challenge_and_one_delivery_that_know_who_asked(browser):
    browser.start(next="/members/")

    challenge, delivery = Challenge.objects.get(), Delivery.objects.get()
    assert challenge.asker == {"browser": "Chrome", "os": "Windows", "ip": "127.0.0.1"}
    assert challenge.browser_digest
    assert (challenge.purpose, challenge.tries, challenge.max_tries, challenge.code_length) == ("sign_in", 0, 3, 6)
    assert (challenge.identity, challenge.user) == (None, None)
    assert (delivery.challenge, delivery.kind, delivery.channel, delivery.state) == (
        challenge,
        "sign_in",
        "email",
        "queued",
    )
    assert delivery.expires_at == challenge.expires_at
    assert str(challenge) == "sign_in a•••@e•••.com"
    assert str(delivery) == "sign_in a•••@e•••.com"
