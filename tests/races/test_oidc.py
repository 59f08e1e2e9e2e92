"""One code, one refresh token, one request: many times at one moment."""

from functools import partial

import pytest
from django.test import Client
from oauth2_provider.models import AccessToken, RefreshToken

from passwordless_auth.oidc import validator
from passwordless_auth.oidc.models import AccessTokenOrigin, Authorization, Consent
from tests.conftest import Browser
from tests.oidc.relying_party import RelyingParty, make_client, query_of

from .together import meeting, ready, tabs, together

pytestmark = pytest.mark.django_db(transaction=True)

OFFLINE = "openid offline_access"


@pytest.fixture
def app(browser, again):
    make_client()
    browser.sign_in("ada@example.com")
    app = RelyingParty(browser)
    app.tokens()  # the keys are there
    AccessTokenOrigin.objects.all().delete()
    AccessToken.objects.all().delete()
    Authorization.objects.all().delete()
    return app


def callers(app, number):
    """The client's own servers, each with a connection of its own."""
    found = []
    for _ in range(number):
        caller = RelyingParty(app.browser, back=Client(raise_request_exception=False))
        caller.verifier = app.verifier
        caller.back.handler.load_middleware()
        found.append(caller)
    return found


def winners(responses):
    refused = [response for response in responses if response.status_code != 200]
    assert {(response.status_code, response.json()["error"]) for response in refused} <= {(400, "invalid_grant")}
    return [response for response in responses if response.status_code == 200]


def test_one_code_twenty_times(app):
    code = app.code(scope=OFFLINE)

    answers = together(partial(caller.redeem, code) for caller in callers(app, 20))

    assert len(winners(answers)) == 1
    assert (AccessToken.objects.count(), RefreshToken.objects.count(), AccessTokenOrigin.objects.count()) == (1, 1, 1)
    assert Authorization.objects.get().revoked_at is not None  # it came a second time


def test_one_refresh_token_twenty_times(app):
    tokens = app.tokens(scope=OFFLINE)

    answers = together(partial(caller.refresh, tokens["refresh_token"]) for caller in callers(app, 20))

    assert len(winners(answers)) == 1
    assert (AccessToken.objects.count(), RefreshToken.objects.count(), AccessTokenOrigin.objects.count()) == (2, 2, 2)


def test_two_requests_with_one_refresh_token_at_one_moment_leave_the_winner_its_tokens(app, monkeypatch):
    """Both have read the row before either has spent it: the loser is late, and no thief."""
    tokens = app.tokens(scope=OFFLINE)
    monkeypatch.setattr(validator.Validator, "_rotate", meeting(validator.Validator._rotate))

    answers = together(partial(caller.refresh, tokens["refresh_token"]) for caller in callers(app, 2))

    (won,) = winners(answers)
    assert app.userinfo(won.json()["access_token"]).status_code == 200
    monkeypatch.undo()
    assert app.refresh(won.json()["refresh_token"]).status_code == 200


def test_one_request_goes_on_once_in_twenty_tabs(app, browser):
    stranger = Browser()
    asking = RelyingParty(stranger)
    onward = query_of(asking.ask().url)["next"]
    stranger.sign_in("eve@example.com")
    before = Authorization.objects.count()

    answers = together(partial(tab.get, onward) for tab in tabs(stranger, 20))

    assert sorted(response.status_code for response in answers) == [303] + [410] * 19
    assert Authorization.objects.count() == before + 1


def test_one_consent_in_twenty_tabs(app, browser):
    make_client("foreign", first_party=False)
    foreign = RelyingParty(browser, "foreign")
    onward = foreign.ask().url
    page = browser.get(onward).content.decode()
    person = page.partition('name="person" value="')[2].partition('"')[0]

    answers = together(partial(tab.submit, onward, {"allow": "1", "person": person}) for tab in tabs(browser, 20))

    assert {response.status_code for response in answers} == {303}
    assert Consent.objects.count() == 1
    assert "code" in foreign.answer(browser.get(onward))


def test_signing_out_while_a_code_is_redeemed_leaves_no_token_that_opens_anything(app, browser):
    code = app.code(scope=OFFLINE)
    (caller,) = callers(app, 1)
    leaving = ready(browser)

    redeemed, _left = together([partial(caller.redeem, code), partial(leaving.submit, "/logout/")])

    if redeemed.status_code == 200:
        assert app.userinfo(redeemed.json()["access_token"]).status_code == 401
        assert app.refresh(redeemed.json()["refresh_token"]).status_code == 400
