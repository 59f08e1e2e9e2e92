"""The rows of authenticator apps: what django-otp sees of them, and the profile that follows."""

import logging
import os

import django_otp
import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from django_otp.forms import OTPTokenForm

from passwordless_auth.flows import totp
from passwordless_auth.methods import METHODS
from passwordless_auth.models import Challenge, Counter, Profile, Totp
from passwordless_auth.testing import add_passkey, add_totp, signed_in_client, totp_code
from passwordless_auth.testing.factories import ChallengeFactory, UserFactory

from ..totp import ADA, another, answer, first_step, sign_in_with_app

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return UserFactory(email=ADA)


@pytest.fixture
def app(ada, clock):
    return add_totp(ada)


def has_totp(user):
    return Profile.objects.get(user=user).has_totp


# -- django-otp


def test_django_otp_takes_a_code_once(app):
    code = totp_code(app)

    assert app.verify_token(code)
    assert not app.verify_token(code)
    assert app.verify_token(totp_code(app))
    assert Totp.objects.get().last_used_at == timezone.now()


@pytest.mark.parametrize("wrong", ["", "12345", "1234567", "abcdef", "\0", "x" * 10000, None, 7])
def test_what_is_no_code_is_wrong_and_no_error(app, wrong):
    assert not app.verify_token(wrong)


def test_a_code_is_read_as_people_write_it(app):
    code = totp_code(app)

    assert app.verify_token(f" {code[:3]}-{code[3:]}")


def test_the_functions_of_django_otp_find_it(ada, app):
    assert list(django_otp.devices_for_user(ada)) == [app]
    assert django_otp.match_token(ada, totp_code(app)) == app
    assert django_otp.verify_token(ada, app.persistent_id, totp_code(app)) == app
    assert django_otp.verify_token(ada, app.persistent_id, another(totp_code(app))) is None


def test_a_form_of_django_otp_uses_the_code_up_for_our_pages(ada, app, browser):
    code = totp_code(app)
    form = OTPTokenForm(ada, data={"otp_device": app.persistent_id, "otp_token": code})
    assert form.is_valid(), form.errors
    assert ada.otp_device == app

    assert answer(browser, first_step(browser), code).status_code == 400


def test_wrong_codes_count_together_with_those_of_our_pages(ada, app, browser):
    url = first_step(browser)
    for _ in range(2):
        assert answer(browser, url, another(totp_code(app))).status_code == 400
    for _ in range(3):
        assert not app.verify_token(another(totp_code(app)))

    assert not app.verify_token(totp_code(app))
    assert answer(browser, url, totp_code(app)).status_code == 429
    assert Counter.objects.filter(action="failures_totp", period=900).get().count == 5


def test_a_right_code_counts_for_nothing(app, clock):
    for _ in range(8):
        assert app.verify_token(totp_code(app))
        clock.shift(30)
    assert not Counter.objects.filter(action="failures_totp", count__gt=0).exists()


@pytest.mark.redis
@pytest.mark.skipif("CACHE_URL" not in os.environ, reason="needs Redis in CACHE_URL")
def test_limits_in_redis_hold_here_too(app, in_redis, clock):
    for _ in range(8):
        assert app.verify_token(totp_code(app))
        clock.shift(30)
    for _ in range(5):
        assert not app.verify_token(another(totp_code(app)))
    assert not app.verify_token(totp_code(app))


def test_one_that_is_blocked_or_not_confirmed_takes_no_code(ada, app):
    unfinished = add_totp(ada, confirmed=False)
    Totp.objects.filter(pk=app.pk).block(now=timezone.now())
    app.refresh_from_db()

    assert not app.verify_token(totp_code(app))
    assert not unfinished.verify_token(totp_code(unfinished))
    assert list(django_otp.devices_for_user(ada)) == []


def test_one_that_was_blocked_since_it_was_read_takes_no_code(app):
    Totp.objects.filter(pk=app.pk).block(now=timezone.now())

    assert app.confirmed
    assert not app.verify_token(totp_code(app))


@pytest.mark.urls("tests.otp_urls")
def test_django_otp_calls_a_session_of_two_factors_verified(browser, ada, app, clock):
    sign_in_with_app(browser, app)
    assert browser.get("/verified/").content == b"True"

    Totp.objects.all().delete()
    assert browser.get("/verified/").content == b"False"
    assert signed_in_client(UserFactory()).get("/verified/").content == b"False"


# -- what answers, and to what


def test_a_code_of_an_app_answers_no_message(ada, app):
    """Nor does it answer what was asked of nobody in particular."""
    for asked in (ChallengeFactory(user=ada), ChallengeFactory(user=ada, purpose="step_up")):
        with pytest.raises(Exception, match="invalid_code"):
            METHODS["totp"].check(asked, totp_code(app), now=timezone.now())
    nobody = Challenge(purpose="step_up", expires_at=timezone.now())
    with pytest.raises(Exception, match="invalid_code"):
        METHODS["totp"].check(nobody, totp_code(app), now=timezone.now())


def test_nothing_is_issued(app):
    issued = METHODS["totp"].issue(Challenge())

    assert (issued.code, issued.link_token) == ("", "")


def test_what_is_shown_once_is_not_shown_when_printed(ada):
    row = Totp(user=ada)
    row.set_key(b"k" * 20)
    setup = totp._setup_of(row)

    assert repr(setup) == "Setup(…)"
    assert setup.key.replace(" ", "") in setup.uri


def test_no_log_and_no_event_names_a_key_or_a_code(browser, app, caplog, django_capture_on_commit_callbacks):
    caplog.set_level(logging.DEBUG)
    url = first_step(browser)
    wrong, right = another(totp_code(app)), totp_code(app)
    with django_capture_on_commit_callbacks(execute=True):
        answer(browser, url, wrong)
        answer(browser, url, right)

    assert "wrong_code" in caplog.text
    assert "signed_in" in caplog.text
    for secret in (wrong, right, app.key().hex()):
        assert secret not in caplog.text


# -- the profile


def test_the_profile_says_whether_one_works_whoever_changed_it(ada):
    assert not has_totp(ada)
    first, second = add_totp(ada), add_totp(ada)
    assert has_totp(ada)
    first.delete()
    assert has_totp(ada)
    second.confirmed = False
    second.save()
    assert not has_totp(ada)
    second.confirmed = True
    second.save()
    assert has_totp(ada)
    assert Totp.objects.filter(user=ada).block(now=timezone.now()) == 1
    assert not has_totp(ada)
    assert Totp.objects.filter(user=ada).block(now=timezone.now()) == 0
    assert Totp.objects.filter(user=ada).unblock() == 1
    assert has_totp(ada)
    Totp.objects.all().delete()
    assert not has_totp(ada)


def test_one_that_is_set_up_and_not_confirmed_asks_nobody_for_anything(ada):
    add_totp(ada, confirmed=False)

    assert not has_totp(ada)


def test_a_user_without_a_profile_gets_one_with_the_app():
    user = User.objects.create_user("bob")
    Profile.objects.filter(user=user).delete()
    row = Totp(user=user, name="App")
    row.set_key(b"k" * 20)
    row.save()

    assert has_totp(user)


def test_a_user_is_deleted_with_app_and_profile(ada, app):
    add_passkey(ada)
    ada.delete()

    assert not Totp.objects.exists()
    assert not Profile.objects.exists()
