"""Code of the host breaks in the middle of a sign-in: whole or not at all."""

from contextlib import contextmanager

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session

from passwordless_auth import signals
from passwordless_auth.models import Challenge, Delivery, Identity, KnownBrowser, SignIn
from passwordless_auth.testing import outbox

from .mail_servers import wrong_code

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@example.com"


@contextmanager
def broken(signal):
    """A receiver of this signal that raises; yields how often it was called."""
    calls = []

    def receiver(**kwargs):
        calls.append(kwargs)
        raise RuntimeError(f"broken: {ADDRESS}")

    signal.connect(receiver)
    try:
        yield calls
    finally:
        signal.disconnect(receiver)


@pytest.mark.parametrize("name", ["sign_in_started", "signed_in", "identity_added", "security_event"])
def test_a_broken_receiver_of_our_signals_stops_nothing(name, browser):
    with broken(getattr(signals, name)) as calls:
        browser.sign_in(ADDRESS)

    assert calls
    assert browser.who()["user"]["email"] == ADDRESS
    assert SignIn.objects.live().count() == 1
    assert Session.objects.count() == 1


def test_a_broken_receiver_of_refusals_changes_no_refusal(browser):
    browser.start(ADDRESS)
    guess = {"code": wrong_code(outbox.last_code(ADDRESS))}
    with broken(signals.sign_in_failed) as calls:
        answers = [browser.submit("/login/wait/", guess).status_code for _attempt in range(3)]

    assert answers == [400, 400, 410]
    assert len(calls) == 3
    assert Challenge.objects.get().tries == 3


@pytest.mark.parametrize("name", ["signed_out", "security_event"])
def test_a_broken_receiver_keeps_nobody_signed_in(name, browser):
    browser.sign_in(ADDRESS)
    with broken(getattr(signals, name)) as calls:
        assert browser.submit("/logout/").status_code == 303

    assert calls
    assert not browser.who()["authenticated"]
    assert not SignIn.objects.live().exists()


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file"])
def test_a_host_that_breaks_when_somebody_signs_in_leaves_no_session_and_an_unspent_message(
    engine, browser, settings, tmp_path
):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    browser.raise_request_exception = False
    browser.start(ADDRESS)
    code = outbox.last_code(ADDRESS)

    with broken(user_logged_in) as calls:
        answer = browser.submit("/login/wait/", {"code": code})

    assert calls
    assert answer.status_code == 500
    assert ADDRESS not in answer.content.decode()
    assert "sessionid" not in answer.cookies
    assert not browser.who()["authenticated"]
    for model in (SignIn, Session, Identity, KnownBrowser, get_user_model()):
        assert not model.objects.exists()
    assert not list(tmp_path.iterdir())
    challenge = Challenge.objects.get()
    assert (challenge.state, challenge.tries) == (Challenge.State.OPEN, 0)

    assert browser.submit("/login/wait/", {"code": code}).status_code == 303
    assert browser.who()["user"]["email"] == ADDRESS


def test_a_person_who_was_signed_in_stays_so_when_the_next_sign_in_breaks(browser):
    browser.sign_in("somebody@example.com")
    browser.raise_request_exception = False
    browser.start(ADDRESS)
    code = outbox.last_code(ADDRESS)

    with broken(user_logged_in):
        assert browser.submit("/login/wait/", {"code": code}).status_code == 500

    assert browser.who()["user"]["email"] == "somebody@example.com"
    assert SignIn.objects.live().get().user.email == "somebody@example.com"


def test_a_start_that_breaks_sends_nothing_and_counts_nothing(browser, monkeypatch):
    browser.raise_request_exception = False

    def breaks(*args, **kwargs):
        raise RuntimeError

    with monkeypatch.context() as context:
        context.setattr("passwordless_auth.outbox.post", breaks)
        assert browser.start(ADDRESS).status_code == 500
    assert not Challenge.objects.exists()
    assert not Delivery.objects.exists()

    assert browser.start(ADDRESS).status_code == 303, "the broken one used up the limit"
