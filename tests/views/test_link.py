"""The page behind the link of a message: here, elsewhere, for a link that no browser asked for, and denied."""

import pytest
from django.contrib.auth.models import User

from passwordless_auth.models import Challenge, Event, SignIn
from passwordless_auth.testing import outbox

from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"
LINK = "/login/link/"


@pytest.fixture
def link(browser):
    browser.start(next="/members/")
    return outbox.last_link(ADA)


# -- in the browser that asked


def test_here_one_press_signs_in(browser, link):
    response = browser.get(link)
    assert (response.status_code, response["Location"]) == (303, LINK)
    page = visit(browser, link)

    assert (page.status, page.name, page.code) == (200, "link", "")
    assert "Sign in to Testserver" in page.words
    assert ADA in page.words
    assert f'data-auto-submit="{Challenge.objects.get().public_id}"' in page.html
    assert not browser.who()["authenticated"]

    page = page.press(browser, "Sign in")
    assert page.response.redirect_chain == [("/members/", 303)]
    assert browser.who()["authenticated"]
    assert SignIn.objects.get().methods == ["magic_link"]
    assert Challenge.objects.get().spent_by == "magic_link"


def test_here_a_link_that_was_used_says_so_and_leads_on(browser, link):
    visit(browser, link).press(browser, "Sign in")
    page = visit(browser, link)

    assert (page.status, page.name, page.code) == (410, "error", "spent")
    assert page.links["Continue"] == "/members/"


def test_here_a_link_that_ran_out_says_so_and_a_new_message_is_one_press_away(browser, link, time_machine):
    time_machine.move_to(Challenge.objects.get().link_expires_at)
    page = visit(browser, link)

    assert (page.status, page.code) == (410, "expired")
    assert page.press(browser, "Send a new message").name == "wait"


# -- anywhere else


def test_elsewhere_it_says_who_asked_and_not_where_to(other_browser, link):
    page = visit(other_browser, link)

    assert (page.status, page.name, page.code) == (200, "link_elsewhere", "")
    for words in ("not from this browser", "a•••@e•••.com", "Chrome on Windows", "127.0.0.1"):
        assert words in page.words
    assert "Go back to that window, and type the code from the message there." in page.words
    assert "Never read the code to anyone." in page.words
    assert ADA not in page.html
    assert "auto-submit" not in page.html
    assert page.next_steps[1:] == ["Sign in here instead", "This wasn’t me"]


def test_elsewhere_the_address_signs_in_and_what_the_asker_wanted_is_dropped(browser, other_browser, link):
    page = visit(other_browser, link).press(other_browser, "Sign in here instead", identifier=" ADA@example.com ")

    assert page.response.redirect_chain == [("/account/", 303)]
    assert page.name == "account"
    assert other_browser.who()["user"]["email"] == ADA
    assert not browser.who()["authenticated"]


@pytest.mark.parametrize("button", ["Sign in here instead", "This wasn’t me"])
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("eve@example.com", "That is not the address that this message was sent to."),
        ("", "This field is required."),
        ("nonsense", "Please enter one complete e-mail address"),
    ],
)
def test_elsewhere_nothing_happens_without_the_address(other_browser, link, button, typed, words):
    page = visit(other_browser, link).press(other_browser, button, identifier=typed)

    assert (page.status, page.name, page.code) == (400, "link_elsewhere", "invalid_identifier")
    assert words in page.words
    assert Challenge.objects.get().state == "open"
    assert not other_browser.who()["authenticated"]


def test_elsewhere_the_owner_can_stop_it(browser, other_browser, link):
    page = visit(other_browser, link).press(other_browser, "This wasn’t me", identifier=ADA)

    assert (page.status, page.name) == (200, "denied")
    assert "This sign-in was stopped" in page.words
    assert page.press(other_browser, "Go to sign-in").name == "login"
    assert Challenge.objects.get().state == "cancelled"
    assert Event.objects.get().kind == "sign_in_denied"

    page = Page(browser.submit("/login/wait/", {"code": outbox.last_code(ADA)}))
    assert (page.status, page.code) == (410, "superseded")
    assert browser.get("/login/wait/status.json").json()["state"] == "cancelled"


def test_stopping_twice_is_stopping_once(other_browser, link):
    page = visit(other_browser, link)
    page.press(other_browser, "This wasn’t me", identifier=ADA)
    other_browser.get(link)
    again = page.press(other_browser, "This wasn’t me", identifier=ADA)

    assert again.code == "superseded"
    assert Event.objects.count() == 1


def test_elsewhere_a_message_with_the_link_alone_sends_the_person_back_to_open_it_there(
    browser, other_browser, settings
):
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link"]
    browser.start()
    page = visit(other_browser, outbox.last_link(ADA))

    assert "Go back to that window, and open the link from the message there." in page.words
    assert "code" not in page.words


def test_elsewhere_a_used_link_leads_to_the_beginning(browser, other_browser, link):
    visit(browser, link).press(browser, "Sign in")
    page = visit(other_browser, link)

    assert (page.status, page.code) == (410, "spent")
    assert page.press(other_browser, "Go to sign-in").name == "login"


# -- links that are none


@pytest.mark.parametrize("token", ["x", "x" * 64, "x" * 66, "ä" * 65])
def test_what_can_not_be_a_link_says_so(browser, token):
    page = visit(browser, f"{LINK}{token}/")

    assert (page.status, page.name, page.code) == (400, "error", "invalid_code")
    assert "This link does not work" in page.words
    assert page.press(browser, "Go to sign-in").name == "login"


def test_a_link_of_an_attempt_that_was_purged_has_run_out(browser, link):
    Challenge.objects.all().delete()
    page = visit(browser, link)

    assert (page.status, page.code) == (410, "expired")


def test_a_link_whose_end_was_changed_does_not_work_and_learns_nothing(browser, link, other_browser):
    forged = link[:-5] + ("aaaa/" if link[-5:-1] != "aaaa" else "bbbb/")
    page = visit(other_browser, forged)

    assert (page.status, page.code) == (400, "invalid_code")
    assert "a•••" not in page.words
    assert Challenge.objects.get().tries == 0


def test_the_page_without_its_link_says_what_to_do(browser):
    page = visit(browser, LINK)

    assert (page.status, page.name, page.code) == (403, "error", "wrong_browser")
    assert "Your browser must accept cookies for it." in page.words
    assert Page(browser.submit(LINK)).code == "wrong_browser"


def test_the_form_of_an_older_link_shows_the_newer_one_first(browser, link, clock):
    """Two links were opened in one browser: nobody is signed in by what they don't see."""
    first = visit(browser, link)
    browser.start("bob@example.com")
    browser.get(outbox.last_link("bob@example.com"))

    page = first.press(browser, "Sign in")
    assert (page.status, page.name) == (200, "link")
    assert "bob@example.com" in page.words
    assert not browser.who()["authenticated"]

    page.press(browser, "Sign in")
    assert browser.who()["user"]["email"] == "bob@example.com"


def test_a_link_is_off_where_the_host_has_switched_it_off(browser, settings):
    settings.PASSWORDLESS_AUTH_METHODS = ["one_time_code"]
    browser.start()
    page = visit(browser, f"{LINK}{Challenge.objects.get().link_token()}/")

    assert (page.status, page.code) == (400, "invalid_code")


def test_a_code_is_off_where_the_host_has_switched_it_off(browser, settings):
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link"]
    browser.start()
    challenge = Challenge.objects.get()
    page = visit(browser, "/login/wait/")
    assert "code" not in page.inputs

    assert Page(browser.submit("/login/wait/", {"code": challenge.code()})).code == "invalid_code"
    assert not browser.who()["authenticated"]


def test_the_token_is_kept_from_scripts_and_forgotten_when_it_is_used(browser, link):
    browser.get(link)
    cookie = browser.cookies["passwordless_link"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["max-age"]) == (True, "Lax", LINK, 900)

    visit(browser, LINK).press(browser, "Sign in")
    assert browser.cookies["passwordless_link"].value == ""


def test_a_disabled_account_is_refused_behind_its_link_too(browser):
    user = User.objects.create_user("ada", ADA)
    browser.start()
    link = outbox.last_link(ADA)
    User.objects.filter(pk=user.pk).update(is_active=False)  # without a signal
    page = visit(browser, link).press(browser, "Sign in")

    assert (page.status, page.code) == (403, "disabled")
