"""One link, its button pressed many times at one moment (RC-02)."""

from functools import partial
from urllib.parse import urlsplit

import pytest
from django.contrib.sessions.models import Session

from passwordless_auth.models import Challenge, SignIn
from passwordless_auth.testing import outbox

from .together import in_the_middle_of, ready, signed_in, tabs, together

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@example.com"


def open_link(browser):
    assert browser.get(urlsplit(outbox.last_link(ADDRESS)).path).status_code == 303
    assert browser.get("/login/link/").status_code == 200


def press(tab, **more):
    return tab.submit("/login/link/", {"challenge": Challenge.objects.get().public_id, "action": "sign_in", **more})


def assert_one_session(answers):
    refused = [answer.status_code for answer in answers if answer.status_code != 303]
    assert refused == [410] * (len(answers) - 1)
    assert len(signed_in(answers)) == 1
    assert SignIn.objects.count() == 1
    assert Session.objects.count() == 1


def test_twenty_presses_in_the_browser_that_asked_make_one_session(browser, again):
    browser.start(ADDRESS)
    open_link(browser)

    assert_one_session(together(partial(press, tab) for tab in tabs(browser, 20)))


def test_twenty_presses_in_another_browser_make_one_session(browser, other_browser, again):
    browser.start(ADDRESS)
    other_browser.get("/login/")
    open_link(other_browser)

    assert_one_session(together(partial(press, tab, identifier=ADDRESS) for tab in tabs(other_browser, 20)))


def test_link_and_code_of_one_message_at_one_moment_make_one_session(browser, again):
    browser.start(ADDRESS)
    code = outbox.last_code(ADDRESS)
    open_link(browser)

    def type_code(tab):
        return tab.submit("/login/wait/", {"code": code})

    both = tabs(browser, 20)
    assert_one_session(
        together([*(partial(press, tab) for tab in both[:10]), *(partial(type_code, tab) for tab in both[10:])])
    )


def test_a_sign_in_denied_in_the_middle_of_it_stays_what_it_became(browser, other_browser, again):
    browser.start(ADDRESS)
    open_link(browser)
    other_browser.get("/login/")
    open_link(other_browser)

    pressed, denied = in_the_middle_of(
        partial(press, ready(browser)),
        partial(press, ready(other_browser), identifier=ADDRESS, action="deny"),
    )

    assert pressed.status_code == 303
    assert denied.status_code < 500
    assert Challenge.objects.get().state == Challenge.State.SPENT
    assert SignIn.objects.live().count() == 1


def test_a_link_pressed_and_denied_at_one_moment_has_one_outcome(browser, other_browser, again):
    browser.start(ADDRESS)
    open_link(browser)
    other_browser.get("/login/")
    open_link(other_browser)

    pressed, denied = together(
        [
            partial(press, ready(browser)),
            partial(press, ready(other_browser), identifier=ADDRESS, action="deny"),
        ]
    )

    won = pressed.status_code == 303
    assert pressed.status_code in {303, 410}
    assert denied.status_code in {200, 303, 410}
    assert Challenge.objects.get().state == (Challenge.State.SPENT if won else Challenge.State.CANCELLED)
    assert SignIn.objects.count() == won
