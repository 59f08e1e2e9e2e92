"""One recovery code, many times at one moment (RC-08), and what the wrong ones cost."""

from functools import partial

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session

from passwordless_auth.flows import accounts, sign_out
from passwordless_auth.models import Counter, Event, RecoveryCode, SignIn
from passwordless_auth.testing import outbox
from tests.conftest import Browser
from tests.recovery import codes_on, make_codes, recover

from .together import in_the_middle_of, ready, signed_in, tabs, together

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS = "ada@example.com"
WRONG = "AAAA-BBBB-CCCC-DDDD"


@pytest.fixture
def codes(browser):
    """Ada's codes. Nobody is signed in any more."""
    browser.sign_in(ADDRESS)
    codes = make_codes(browser)
    browser.submit("/logout/")
    return codes


def strangers(number):
    found = []
    for each in range(number):
        found.append(ready(Browser(REMOTE_ADDR=f"203.0.113.{each + 1}")))
        found[-1].get("/login/recovery/")
    return found


def assert_one_session(answers, codes):
    assert [answer.status_code for answer in answers].count(303) == 1
    assert {answer.status_code for answer in answers} <= {303, 400, 429}
    assert len(signed_in(answers)) == 1
    assert SignIn.objects.filter(level="recovered").count() == 1
    assert Session.objects.count() == 1
    assert RecoveryCode.objects.exclude(used_at=None).count() == 1
    assert Event.objects.filter(kind="recovery_code_used").count() == 1
    assert sum("A recovery code" in message.subject for message in outbox.mail.outbox) == 1


def test_one_code_sent_sixteen_times_by_one_browser_makes_one_session(codes, browser, again):
    assert_one_session(together(partial(recover, tab, codes[0]) for tab in tabs(browser, 16)), codes)


def test_one_code_sent_by_sixteen_browsers_makes_one_session(codes, again):
    assert_one_session(together(partial(recover, one, codes[0]) for one in strangers(16)), codes)


def test_ten_codes_at_one_moment_make_ten_sessions(codes, again):
    answers = together(partial(recover, one, code) for one, code in zip(strangers(10), codes, strict=True))

    assert [answer.status_code for answer in answers] == [303] * 10
    assert len(signed_in(answers)) == SignIn.objects.filter(level="recovered").count() == 10
    assert not RecoveryCode.objects.filter(used_at=None).exists()
    assert not Counter.objects.filter(action="failures_recovery", count__gt=0).exists()


def test_guesses_at_one_moment_share_the_limit_of_the_account(codes, again):
    answers = together(partial(recover, one, WRONG) for one in strangers(20))

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(400), statuses.count(429)) == (5, 15)
    assert Counter.objects.get(action="failures_recovery").count == 5


def test_codes_made_twice_at_one_moment_are_one_set(browser, again):
    browser.sign_in(ADDRESS)

    answers = together(partial(tab.submit, "/account/recovery-codes/") for tab in tabs(browser, 2))

    assert [answer.status_code for answer in answers] == [200, 200]
    assert RecoveryCode.objects.count() == 10
    browser.submit("/logout/")
    worked = [
        sum(recover(one, code).status_code == 303 for one, code in zip(strangers(3), codes_on(answer)[:3], strict=True))
        for answer in answers
    ]
    assert sorted(worked) == [0, 3]


def test_a_code_used_while_new_ones_are_made_is_used_or_dead(browser, again):
    browser.sign_in(ADDRESS)
    old = make_codes(browser)
    (one,) = strangers(1)

    used, made = together([partial(recover, one, old[0]), partial(ready(browser).submit, "/account/recovery-codes/")])

    assert used.status_code in {303, 400}
    assert made.status_code == 200
    assert RecoveryCode.objects.filter(used_at=None).count() == 10
    assert recover(strangers(1)[0], old[1]).status_code == 400


def test_a_session_recovered_while_its_account_is_deactivated_does_not_outlive_it(codes, browser, again):
    user = get_user_model().objects.get()

    def deactivate():
        user.is_active = False
        user.save()

    answer, _done = in_the_middle_of(partial(recover, ready(browser), codes[0]), deactivate)

    assert answer.status_code < 500
    user.is_active = True
    user.save()
    assert not browser.who()["authenticated"], "a session came back to life with its account"


def test_a_session_recovered_while_its_owner_signs_out_everywhere_is_ended(codes, browser, again):
    user = get_user_model().objects.get()

    answer, _done = in_the_middle_of(partial(recover, ready(browser), codes[0]), partial(sign_out.end_everywhere, user))

    assert answer.status_code < 500
    assert not SignIn.objects.live().exists()
    assert not browser.who()["authenticated"]


def test_an_account_deactivated_since_it_was_looked_up_gets_no_session(codes, browser, monkeypatch):
    look_up = accounts.look_up

    def and_then_deactivate(*args, **kwargs):
        found = look_up(*args, **kwargs)
        user = get_user_model().objects.get()
        user.is_active = False
        user.save()
        return found

    monkeypatch.setattr(accounts, "look_up", and_then_deactivate)

    assert recover(browser, codes[0]).status_code == 403
    assert not SignIn.objects.live().exists()
    assert not Session.objects.exists()
