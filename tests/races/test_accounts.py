"""Two people at one door: accounts made, proven and ended at one moment."""

import threading
from contextlib import suppress
from functools import partial

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction

from passwordless_auth.flows import accounts, sign_out
from passwordless_auth.flows import sign_in as flow
from passwordless_auth.models import Challenge, Event, Identity, KnownBrowser, Profile, SignIn

from .together import in_the_middle_of, meeting, ready, signed_in, together

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@example.com"


@pytest.fixture(autouse=True)
def _two_messages_at_once(settings):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = "10/h"


def asked_by(browser):
    """A browser that has asked, and what remains to be done: type the code of its own message."""
    browser.start(ADDRESS)
    code = Challenge.objects.latest("pk").code()
    return partial(ready(browser).submit, "/login/wait/", {"code": code})


def test_two_browsers_that_prove_a_new_address_at_one_moment_share_one_account(
    browser, other_browser, monkeypatch, again
):
    monkeypatch.setattr(accounts, "admit", meeting(accounts.admit))

    answers = together([asked_by(browser), asked_by(other_browser)])

    assert [answer.status_code for answer in answers] == [303, 303]
    user = get_user_model().objects.get()
    assert Identity.objects.get().user == user
    assert Profile.objects.get().user == user
    assert [sign_in.user for sign_in in SignIn.objects.all()] == [user, user]
    assert KnownBrowser.objects.filter(user=user).count() == 2
    assert Session.objects.count() == 2
    assert browser.who()["user"] == other_browser.who()["user"]
    assert browser.who()["authenticated"]


def test_two_browsers_that_prove_an_entered_address_at_one_moment_clear_the_account_once(
    browser, other_browser, monkeypatch, again
):
    user = get_user_model().objects.create_user("ada", ADDRESS, "a-password-that-somebody-knows")
    assert Identity.objects.get(user=user).proven_at is None
    monkeypatch.setattr(accounts, "admit", meeting(accounts.admit))

    answers = together([asked_by(browser), asked_by(other_browser)])

    # Whoever is first clears the account, the other's message with it: that one asks again, or was a moment later.
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses in ([303, 303], [303, 410])
    assert len(signed_in(answers)) == statuses.count(303) == SignIn.objects.live().count()
    user.refresh_from_db()
    assert not user.has_usable_password()
    assert Identity.objects.get(user=user).proven_at


def test_two_browsers_that_adopt_an_existing_user_at_one_moment_find_the_same(
    browser, other_browser, monkeypatch, again
):
    user = get_user_model().objects.create_user("ada", ADDRESS)
    Identity.objects.all().delete()  # a user from before this app, never imported
    monkeypatch.setattr(accounts, "adopt", meeting(one_after_the_other(accounts.adopt)))

    answers = together([asked_by(browser), asked_by(other_browser)])

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses in ([303, 303], [303, 410])
    assert get_user_model().objects.get() == user
    assert Identity.objects.get().user == user
    assert len(signed_in(answers)) == statuses.count(303)


def one_after_the_other(function):
    """The same function; but whoever calls it second waits until the transaction of the first is over."""
    first = threading.Lock()
    over = threading.Event()

    def wait_for_the_first(*args, **kwargs):
        if first.acquire(blocking=False):
            transaction.on_commit(over.set)
        else:
            over.wait(1)
        return function(*args, **kwargs)

    return wait_for_the_first


@pytest.fixture
def user():
    user = get_user_model().objects.create_user("ada", ADDRESS)
    Identity.objects.update(proven_at=user.date_joined)
    return user


def test_a_session_made_while_its_account_is_deactivated_does_not_outlive_it(browser, user, again):
    def deactivate():
        user.is_active = False
        user.save()

    answer, _done = in_the_middle_of(asked_by(browser), deactivate)

    assert answer.status_code < 500
    assert not SignIn.objects.live().exists()
    user.is_active = True
    user.save()
    assert not browser.who()["authenticated"], "a session came back to life with its account"


def test_a_session_made_while_its_owner_signs_out_everywhere_is_ended(browser, user, again):
    answer, _done = in_the_middle_of(asked_by(browser), partial(sign_out.end_everywhere, user))

    assert answer.status_code < 500
    assert not SignIn.objects.live().exists()
    assert not browser.who()["authenticated"]


def test_a_user_deleted_at_the_moment_of_a_sign_in_leaves_nothing_half_made(browser, user, again):
    primary_key = user.pk

    def delete():
        # Django collects what goes with a user before it deletes: what is added meanwhile stops it, and one repeats.
        for _attempt in range(2):
            with suppress(IntegrityError):
                get_user_model().objects.get(pk=primary_key).delete()
                return

    answer, _done = together([asked_by(browser), delete])

    assert answer.status_code < 500
    assert not get_user_model().objects.filter(pk=primary_key).exists()
    assert not SignIn.objects.filter(user_id=primary_key).exists()


def test_a_message_whose_user_was_deleted_a_moment_ago_is_over(browser, user, monkeypatch):
    sign_in = asked_by(browser)
    require_open = flow.require_open

    def and_then_delete(challenge, **kwargs):
        require_open(challenge, **kwargs)
        get_user_model().objects.all().delete()

    monkeypatch.setattr(flow, "require_open", and_then_delete)

    assert sign_in().status_code == 410
    assert not SignIn.objects.exists()


def test_an_address_entered_by_an_administrator_while_its_owner_signs_up_is_its_owners(browser, again):
    enter = partial(get_user_model().objects.create_user, "entered", ADDRESS)

    answer, entered = in_the_middle_of(asked_by(browser), enter)

    assert answer.status_code == 303
    assert Identity.objects.get(canonical=ADDRESS).user != entered
    assert Event.objects.filter(kind="address_conflict", user=entered).exists()


def test_a_sign_in_that_has_to_begin_again_still_ends_the_session_that_it_replaces(browser):
    browser.sign_in("somebody@example.com")
    replaced = SignIn.objects.get()
    old_key = browser.cookies["sessionid"].value
    failures = iter([IntegrityError])

    def fail_once(sender, **kwargs):
        for failure in failures:
            raise failure

    sign_in = asked_by(browser)
    user_logged_in.connect(fail_once)
    try:
        answer = sign_in()
    finally:
        user_logged_in.disconnect(fail_once)

    assert answer.status_code == 303
    replaced.refresh_from_db()
    assert replaced.end_reason == "replaced"
    assert not Session.objects.filter(session_key=old_key).exists()
    assert browser.who()["user"]["email"] == ADDRESS
