"""A sign-in with a browser that the account has not seen is told to its other addresses."""

import re

import pytest
from django.contrib.auth.models import User
from django.core import mail

from passwordless_auth.models import KnownBrowser, SignIn, Totp
from passwordless_auth.testing import outbox
from passwordless_auth.testing.factories import IdentityFactory, UserFactory
from tests.conftest import Browser
from tests.identities import notices, reports, says_link
from tests.passkeys import sign_in as sign_in_by_passkey
from tests.passkeys import with_passkey
from tests.recovery import make_codes, recover
from tests.totp import sign_in_with_app, with_app

from .pages import visit

pytestmark = pytest.mark.django_db

ADA, WORK, HOME = "ada@example.com", "ada@work.example", "ada@home.example"
NEW = "New sign-in to your account at Testserver"


@pytest.fixture
def ada(browser, clock):
    """Ada has signed in before, and has two more addresses."""
    browser.sign_in(ADA)
    user = User.objects.get()
    IdentityFactory(user=user, canonical=WORK)
    IdentityFactory(user=user, canonical=HOME)
    clock.shift(61)
    return user


def test_the_first_sign_in_of_all_is_told_to_nobody(browser):
    browser.sign_in(ADA)

    assert not notices(NEW)


def test_nor_is_that_of_somebody_who_was_imported_with_two_addresses(browser):
    user = UserFactory(email=ADA)
    IdentityFactory(user=user, canonical=WORK)
    browser.sign_in(ADA)

    assert not notices(NEW)


def test_the_other_addresses_hear_of_it_and_the_one_that_was_used_does_not(other_browser, ada):
    other_browser.sign_in(ADA)

    told = notices(NEW)
    assert set(told) == {WORK, HOME}
    assert "Firefox on Linux" in told[WORK].body
    assert "127.0.0.1" in told[WORK].body
    assert says_link(told[WORK])


def test_it_is_called_a_sign_in_and_no_change(other_browser, ada):
    other_browser.sign_in(ADA)
    message = notices(NEW)[WORK]
    html = message.alternatives[0][0]
    for text in (message.body, html):
        assert "Your account has changed" not in text
        assert "Asked from" not in text
        assert "The link works for 7 days." in text
    assert "From: Firefox on Linux" in message.body
    assert ">New sign-in</h1>" in html

    link = re.search(r"/login/report/\S+", message.body)[0]
    reader = Browser()
    page = visit(reader, link)
    assert "Signed in from Firefox on Linux" in page.words
    assert "That browser is signed out, and loses what was added with it since." in page.words
    assert "the change" not in page.words
    assert "That browser is signed out." in page.press(reader, "This wasn’t me").words


def test_a_browser_that_was_here_before_is_told_to_nobody(browser, ada):
    browser.submit("/logout/")
    browser.sign_in(WORK)

    assert not notices(NEW)


def test_it_is_told_once(other_browser, ada, clock):
    other_browser.sign_in(ADA)
    other_browser.submit("/logout/")
    clock.shift(61)
    assert notices(NEW)
    mail.outbox.clear()
    other_browser.sign_in(ADA)

    assert not notices(NEW)


def test_who_has_one_address_gets_no_more_mail_than_before(browser, other_browser, clock):
    browser.sign_in(ADA)
    clock.shift(61)
    other_browser.sign_in(ADA)

    assert not notices(NEW)


def test_an_address_without_notices_is_left_out(other_browser, ada):
    ada.passwordless_identities.filter(canonical=HOME).update(for_notices=False)
    other_browser.sign_in(ADA)

    assert set(notices(NEW)) == {WORK}


def test_a_passkey_in_a_new_browser_is_told_to_all(browser, other_browser, clock):
    authenticator = with_passkey(browser)
    clock.shift(61)
    sign_in_by_passkey(other_browser, authenticator)

    assert set(notices(NEW)) == {ADA}


def test_two_steps_are_one_sign_in(browser, other_browser, clock):
    """The address that got the message of the first step is the one that was used."""
    with_app(browser)
    IdentityFactory(user=User.objects.get(), canonical=WORK)
    clock.shift(61)
    sign_in_with_app(other_browser, Totp.objects.get())

    assert set(notices(NEW)) == {WORK}


def test_a_recovery_has_a_notice_of_its_own(browser, other_browser, ada):
    browser.submit("/logout/")
    browser.sign_in(HOME)
    codes = make_codes(browser)
    recover(other_browser, codes[0])

    assert not notices(NEW)
    assert not KnownBrowser.objects.filter(user=ada).exclude(
        browser_digest=SignIn.objects.filter(user=ada).first().browser_digest
    )


def test_a_session_that_is_confirmed_is_no_sign_in(browser, ada, clock):
    KnownBrowser.objects.all().delete()
    KnownBrowser.objects.create(user=ada, browser_digest="b" * 64)
    browser.submit("/login/step-up/", {"action": "message"})
    browser.submit("/login/wait/", {"code": outbox.last_code(ADA)})

    assert not notices(NEW)


def test_this_was_not_me_ends_it_and_makes_the_browser_a_stranger(browser, other_browser, ada):
    other_browser.sign_in(ADA)
    owner = Browser()
    page = reports(owner, notices(NEW)[WORK])

    assert "Changes are stopped" in page.words
    assert not other_browser.who()["authenticated"]
    assert browser.who()["authenticated"]
    assert KnownBrowser.objects.filter(user=ada).count() == 1
