"""One code of an authenticator app, many times at one moment; guesses beside each other; two apps set up at once."""

from functools import partial

import pytest
from django.contrib.sessions.models import Session

from passwordless_auth.models import Counter, SignIn, Totp
from passwordless_auth.testing import add_totp, totp_code
from passwordless_auth.testing.factories import UserFactory
from tests.totp import ADA, another, answer, code_of, first_step, key_on
from tests.views.pages import Page

from .together import ready, signed_in, tabs, together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app():
    return add_totp(UserFactory(email=ADA))


def test_twenty_times_one_code_at_one_moment_is_one_session(browser, app, again):
    url = first_step(browser)
    code = totp_code(app)
    before = SignIn.objects.count()

    answers = together(partial(answer, tab, url, code) for tab in tabs(browser, 20))

    assert len(signed_in(answers)) == 1
    assert {response.status_code for response in answers} <= {303, 400, 410, 429}
    assert (SignIn.objects.count(), SignIn.objects.live().count(), Session.objects.count()) == (before, 1, 1)


def test_one_code_in_two_browsers_at_one_moment_is_one_session(browser, other_browser, app, settings, again):
    """Somebody looked over a shoulder, and has the mailbox too (RFC 6238 §5.2)."""
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    urls = [(each, first_step(ready(each))) for each in (browser, other_browser)]
    code = totp_code(app)

    answers = together(partial(answer, each, url, code) for each, url in urls)

    assert len(signed_in(answers)) == 1
    assert Session.objects.count() == 1


def test_guesses_at_one_moment_do_not_outrun_the_limit(browser, app, settings, again):
    settings.PASSWORDLESS_AUTH_CODE_TRIES = 100
    url = first_step(browser)
    wrong = another(totp_code(app))

    answers = together(partial(answer, tab, url, wrong) for tab in tabs(browser, 20))

    assert sorted(response.status_code for response in answers) == [400] * 5 + [429] * 15
    assert Counter.objects.get(action="failures_totp", period=900).count == 5
    assert answer(browser, url, totp_code(app)).status_code == 429


def test_nor_do_they_outrun_the_tries_of_one_sign_in(browser, app, again):
    url = first_step(browser)
    wrong = another(totp_code(app))

    answers = together(partial(answer, tab, url, wrong) for tab in tabs(browser, 20))

    assert {response.status_code for response in answers} <= {400, 410, 429}
    assert Counter.objects.get(action="failures_totp", period=900).count <= 5


def test_a_half_sign_in_that_is_ended_while_its_code_is_typed_stays_ended(browser, other_browser, app, settings, again):
    settings.PASSWORDLESS_AUTH_LIMIT_SENDS_PER_ADDRESS = ""
    url = first_step(browser)
    answer(other_browser, first_step(ready(other_browser)), totp_code(app))
    code = totp_code(app)

    together(
        [
            partial(answer, browser, url, code),
            partial(other_browser.submit, "/account/sessions/", {"scope": "everywhere"}),
        ]
    )

    assert not SignIn.objects.begun().exists()
    assert not Session.objects.exists()


def test_two_apps_that_are_set_up_at_one_moment_are_one(browser, again):
    browser.sign_in(ADA)
    page = Page(browser.submit("/account/totp/", {"action": "begin"}))
    fields = {**page.form("Turn it on").fields, "action": "confirm", "code": code_of(key_on(page))}

    answers = together(partial(tab.post, "/account/totp/", fields) for tab in tabs(browser, 4))

    assert [response.status_code for response in answers].count(303) >= 1
    assert Totp.objects.get().confirmed
    assert SignIn.objects.get().methods == ["one_time_code", "totp"]
