"""The page that asks a signed-in person to confirm that it is them."""

import pytest

from passwordless_auth.models import Challenge, Identity
from passwordless_auth.testing import outbox

from .pages import Page, visit

pytestmark = pytest.mark.django_db

ADA = "ada@example.com"


@pytest.fixture
def member(browser, clock):
    """A browser whose last proof is an hour old."""
    browser.sign_in(ADA)
    clock.shift(3600)
    return browser


def test_a_visitor_signs_in_first(browser):
    page = visit(browser, "/login/step-up/?next=/recent/")

    assert page.name == "login"
    assert page.inputs["next"]["value"] == "/login/step-up/?next=/recent/"


def test_the_page_says_where_the_message_will_go_and_sends_it(member):
    page = visit(member, "/recent/")

    assert (page.status, page.name) == (200, "step_up")
    assert "a•••@e•••.com" in page.words
    assert ADA not in page.html
    sent = Challenge.objects.count()

    (button,) = page.form(page.next_steps[1]).buttons
    page = page.press(member, button)

    assert page.name == "wait"
    assert "Confirm that it is you" in page.words
    assert Challenge.objects.count() == sent + 1
    assert page.press(member, "Cancel").name == "account"

    page = page.press(member, "Confirm", code=outbox.last_code(ADA))
    assert page.response.redirect_chain == [("/recent/", 303)]


def test_who_has_just_proven_it_is_not_asked(browser):
    browser.sign_in(ADA)

    assert browser.get("/login/step-up/?next=/members/")["Location"] == "/members/"
    assert browser.get("/login/step-up/")["Location"] == "/account/"


def test_the_link_confirms_here(member):
    member.submit("/login/step-up/", {"next": "/recent/"})
    page = visit(member, outbox.last_link(ADA))

    assert (page.name, page.words.count("Confirm that it is you")) == ("link", 1)
    assert page.press(member, "Confirm").response.redirect_chain == [("/recent/", 303)]


def test_the_link_confirms_nothing_elsewhere(member, other_browser):
    member.submit("/login/step-up/", {"next": "/recent/"})
    page = visit(other_browser, outbox.last_link(ADA))
    assert page.name == "link_elsewhere"
    assert page.next_steps[1:] == ["This wasn’t me"]

    form = page.form("This wasn’t me").fields
    page = Page(other_browser.post("/login/link/", {**form, "identifier": ADA, "action": "sign_in"}))

    assert (page.status, page.code) == (403, "wrong_browser")
    assert not other_browser.who()["authenticated"]
    assert Challenge.objects.latest("pk").state == "open"
    member.submit("/login/wait/", {"code": outbox.last_code(ADA)})
    assert member.get("/recent/").status_code == 200


def test_the_owner_of_the_mailbox_can_stop_it_elsewhere(member, other_browser):
    member.submit("/login/step-up/")
    page = visit(other_browser, outbox.last_link(ADA)).press(other_browser, "This wasn’t me", identifier=ADA)

    assert page.name == "denied"
    assert Page(member.submit("/login/wait/", {"code": outbox.last_code(ADA)})).code == "superseded"


def test_a_message_that_ran_out_is_replaced_by_one_press(member, clock):
    member.submit("/login/step-up/", {"next": "/recent/"})
    clock.shift(301)
    page = visit(member, "/login/wait/")
    assert page.code == "expired"

    page = page.press(member, "Send a new message")

    assert (page.name, page.inputs["next"]["value"]) == ("wait", "/recent/")
    assert Challenge.objects.latest("pk").purpose == "step_up"


def test_too_often_says_when_to_come_back(member):
    member.submit("/login/step-up/")
    page = Page(member.submit("/login/step-up/"))

    assert (page.status, page.name, page.code) == (429, "error", "too_many_requests")
    assert page.response["Retry-After"] == "60"


def test_who_has_nothing_to_confirm_with_is_told_so_and_signs_in_again(member):
    Identity.objects.update(for_sign_in=False)

    for page in (visit(member, "/recent/"), Page(member.submit("/login/step-up/", {"next": "/recent/"}))):
        assert (page.status, page.name, page.code) == (403, "step_up", "step_up_required")
        assert "Your account has no passkey yet" in page.words

    page = page.press(member, "Sign in again")
    assert (page.name, page.inputs["next"]["value"]) == ("login", "/recent/")
    assert not member.who()["authenticated"]
