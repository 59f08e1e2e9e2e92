"""What a notice calls "this wasn't me", while the thief is at work."""

import threading
from functools import partial

import pytest
from django.db.models.signals import pre_save

from passwordless_auth.models import Delivery, Event, Passkey, SignIn
from passwordless_auth.testing.authenticator import Authenticator
from tests.conftest import Browser
from tests.passkeys import ORIGIN, answer, asked_to_register, asked_to_sign_in, register, send, sign_in, with_passkey
from tests.views.test_other_device import approved, asks
from tests.views.test_report import REPORT, opens, report_link

from .together import ready, signed_in, tabs, together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner():
    return ready(Browser())


@pytest.fixture
def thief(browser):
    """Somebody has Ada's session, and has added a passkey with it; signed in with that."""
    authenticator = with_passkey(browser)
    assert sign_in(browser, authenticator).status_code == 200
    stolen, response = register(browser, Authenticator(), query="?name=Mine")
    assert response.status_code == 200
    assert sign_in(browser, stolen).status_code == 200
    browser.stolen = stolen
    return ready(browser)


def presses(tab, page):
    return tab.submit(REPORT, page.forms[0].fields)


def test_ten_presses_at_one_moment_are_one(owner, thief, again):
    page = opens(owner, report_link())
    before = Delivery.objects.count()

    answers = together(partial(presses, tab, page) for tab in tabs(owner, 10))

    assert {one.status_code for one in answers} == {303}
    assert [one["Location"] for one in answers].count(REPORT) == 1
    assert Event.objects.filter(kind="changes_stopped").count() == 1
    assert Event.objects.filter(kind="passkey_blocked").count() == 1
    assert Delivery.objects.count() == before + 1


def test_a_sign_in_with_the_passkey_at_that_moment_leaves_no_session(owner, thief, again):
    page = opens(owner, report_link())
    visitor = Browser()
    visitor.get("/login/")
    credential = thief.stolen.get(asked_to_sign_in(visitor), origin=ORIGIN)

    pressed, signed = together([partial(presses, owner, page), partial(answer, tabs(visitor, 1)[0], credential)])

    assert pressed.status_code == 303
    assert signed.status_code in {200, 403, 410}
    assert not signed_in([signed])
    assert Passkey.objects.get(name="Mine").is_blocked


def paused_in_the_middle(request, then):
    """``then`` runs while the request is about to write its passkey."""
    reached, go_on = threading.Event(), threading.Event()

    def pause(sender, instance, **kwargs):
        if instance._state.adding:
            reached.set()
            go_on.wait(30)

    def interfere():
        assert reached.wait(30)
        timer = threading.Timer(0.3, go_on.set)  # by then it is done, or waits for the request
        timer.start()
        try:
            return then()
        finally:
            timer.join()

    pre_save.connect(pause, sender=Passkey)
    try:
        return together([request, interfere])
    finally:
        pre_save.disconnect(pause, sender=Passkey)


def test_a_passkey_that_is_being_added_at_that_moment_is_found_and_blocked(owner, thief, again):
    page = opens(owner, report_link())
    second = Authenticator()
    made = second.create(asked_to_register(thief), origin=ORIGIN)

    added, pressed = paused_in_the_middle(
        partial(send, thief, "/account/passkeys/register/?name=Second", made), partial(presses, owner, page)
    )

    assert pressed.status_code == 303
    assert added.status_code in {200, 410}
    assert not Passkey.objects.filter(name__in=["Mine", "Second"], confirmed=True).exists()
    assert sign_in(Browser(), second).status_code in {403, 404}


def test_another_device_that_is_being_added_at_that_moment_is_found_and_blocked(owner, thief, other_browser, again):
    page = opens(owner, report_link())
    approved(other_browser, thief)
    made = Authenticator().create(asks(other_browser).json(), origin=ORIGIN)

    added, pressed = paused_in_the_middle(
        partial(send, ready(other_browser), "/enrol/register/?name=Second", made), partial(presses, owner, page)
    )

    assert pressed.status_code == 303
    assert added.status_code in {200, 410}
    assert not Passkey.objects.filter(name__in=["Mine", "Second"], confirmed=True).exists()


def test_a_ceremony_that_begins_at_that_moment_comes_to_nothing(owner, thief, again):
    page = opens(owner, report_link())
    asking = tabs(thief, 5)

    _pressed, *options = together(
        [partial(presses, owner, page), *(partial(send, tab, "/account/passkeys/options/", {}) for tab in asking)]
    )
    for tab, given in zip(asking, options, strict=True):
        if given.status_code == 200:
            made = Authenticator().create(given.json(), origin=ORIGIN)
            assert send(tab, "/account/passkeys/register/", made).status_code in {403, 410}

    assert Passkey.objects.count() == 2
    assert not thief.who()["authenticated"]
    assert not SignIn.objects.filter(ended_at=None).exists()
