"""Rows of the provider that are over go; nothing that somebody still needs goes with them."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from passwordless_auth.flows import purging
from passwordless_auth.models import SignIn
from passwordless_auth.oidc.models import (
    AccessTokenOrigin,
    Authorization,
    AuthorizationRequest,
    ClientSettings,
    Consent,
)

from .relying_party import RelyingParty, make_client

pytestmark = pytest.mark.django_db

DAY = 86400


@pytest.fixture
def app(browser, db):
    make_client(refresh="always")
    return RelyingParty(browser)


@pytest.fixture
def later(time_machine):
    begun = timezone.now()

    def move(**delta):
        time_machine.move_to(begun + timedelta(**delta), tick=False)

    return move


def purge(**options):
    return {name: number for name, number in purging.purge(**options).items() if number and name.startswith("oidc")}


def rows():
    return [
        model.objects.count()
        for model in (Authorization, AccessTokenOrigin, get_access_token_model(), get_refresh_token_model())
    ]


def test_requests_that_nobody_went_on_with_go(app, browser, later):
    app.ask()
    assert AuthorizationRequest.objects.count() == 1
    later(minutes=59)
    assert purge() == {}
    later(minutes=61)
    assert purge() == {"oidc_requests": 1}
    assert not AuthorizationRequest.objects.exists()


def test_what_is_used_stays_and_works(signed_in, later):
    given = signed_in.tokens()
    for hour in range(1, 6):
        later(hours=hour)
        given = signed_in.refresh(given["refresh_token"]).json()
    later(hours=5, minutes=30)

    assert purge() == {"oidc_access_tokens": 5}
    assert signed_in.userinfo(given["access_token"]).status_code == 200

    later(hours=9)  # its access token has run out, and is needed: see the next test
    assert purge() == {}
    assert signed_in.refresh(given["refresh_token"]).status_code == 200


def test_cleartokens_may_run_beside(signed_in, later):
    given = signed_in.tokens()
    for hour in (2, 30, 80):
        later(hours=hour)
        purging.purge()
        call_command("cleartokens")
        given = signed_in.refresh(given["refresh_token"]).json()
        assert signed_in.userinfo(given["access_token"]).status_code == 200

    assert Authorization.objects.count() == 1


def test_a_refresh_token_that_comes_again_after_purging_still_ends_its_family(signed_in, later):
    given = signed_in.tokens()
    later(hours=2)
    fresh = signed_in.refresh(given["refresh_token"]).json()
    later(hours=4)
    purging.purge()

    assert signed_in.refresh(given["refresh_token"]).status_code == 400
    assert signed_in.refresh(fresh["refresh_token"]).status_code == 400
    assert Authorization.objects.get().revoked_at is not None


def test_a_code_that_comes_again_after_purging_still_ends_what_it_gave(signed_in, later):
    code = signed_in.code()
    given = signed_in.redeem(code).json()
    later(days=10)
    purging.purge()

    assert signed_in.redeem(code).status_code == 400
    assert signed_in.refresh(given["refresh_token"]).status_code == 400


def test_when_all_is_over_all_goes_but_what_was_allowed(signed_in, browser, later):
    given = signed_in.tokens()
    signed_in.refresh(given["refresh_token"])
    Consent.objects.create(
        user=SignIn.objects.get().user, application=ClientSettings.objects.get().application, scope="openid"
    )
    later(days=30)
    assert "oidc_authorizations" not in purge()
    later(days=31)

    assert purge()["oidc_authorizations"] == 1
    assert rows() == [0, 0, 0, 0]
    assert Consent.objects.exists()


def test_as_long_as_its_session_may_last_an_authorization_stays(signed_in, settings, later):
    settings.PASSWORDLESS_AUTH_OIDC_REFRESH_LIFETIME = DAY
    signed_in.tokens()
    later(days=20)

    purge()

    assert Authorization.objects.count() == 1


def test_others_tokens_are_not_ours_to_delete(signed_in, later):
    model = get_access_token_model()
    application = ClientSettings.objects.get().application
    model.objects.create(
        user=None, application=application, token_checksum="x" * 64, expires=timezone.now(), scope="read"
    )
    later(days=60)

    purge()

    assert model.objects.count() == 1


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_in_batches(signed_in, later, batch):
    for _number in range(3):
        given = signed_in.tokens()
        signed_in.refresh(given["refresh_token"])
    later(days=40)

    assert purge(batch=batch)["oidc_authorizations"] == 3
    assert rows() == [0, 0, 0, 0]
