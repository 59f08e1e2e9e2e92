"""Codes, tokens, userinfo, revocation and introspection, as a Client sees them."""

import json

import pytest
from django.contrib.auth.models import User
from oauth2_provider.models import AccessToken, Grant, IDToken, RefreshToken

from passwordless_auth.models import Event, SignIn
from passwordless_auth.oidc.models import Authorization, ClientSettings

from .relying_party import RelyingParty, make_client

pytestmark = pytest.mark.django_db

OFFLINE = "openid email offline_access"


def test_a_code_gives_tokens(signed_in):
    response = signed_in.redeem(signed_in.code(scope="openid email"))

    assert response["Cache-Control"] == "no-store"
    tokens = response.json()
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 3600, "openid email")
    assert "refresh_token" not in tokens
    claims = signed_in.claims(tokens["id_token"])
    user = User.objects.get()
    sign_in = SignIn.objects.get()
    assert claims["sub"] == user.passwordless_profile.handle
    assert claims["nonce"] == signed_in.nonce
    assert (claims["acr"], claims["amr"], claims["sid"]) == ("single", ["otp"], sign_in.public_id)
    assert claims["auth_time"] == int(sign_in.auth_time.timestamp())
    assert (claims["email"], claims["email_verified"]) == ("ada@example.com", True)
    assert 0 < claims["exp"] - claims["iat"] <= 3600
    assert claims["at_hash"]


def test_nothing_that_opens_something_is_at_rest(signed_in):
    tokens = signed_in.tokens(scope=OFFLINE)

    assert not Grant.objects.exists()
    assert not IDToken.objects.exists()
    assert {AccessToken.objects.get().token, RefreshToken.objects.get().token} == {""}
    assert signed_in.userinfo(tokens["access_token"]).status_code == 200


def test_a_code_is_used_once_and_the_second_use_ends_what_the_first_gave(signed_in):
    code = signed_in.code(scope=OFFLINE)
    tokens = signed_in.redeem(code).json()

    again = signed_in.redeem(code)

    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert signed_in.userinfo(tokens["access_token"]).status_code == 401
    assert signed_in.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert Event.objects.filter(kind="code_replayed").count() == 1


def test_a_code_lives_for_a_minute(signed_in, browser, clock):
    browser.sign_in()
    in_time, too_late = signed_in.code(), None
    clock.shift(59)
    assert signed_in.redeem(in_time).status_code == 200
    too_late = signed_in.code()
    clock.shift(61)
    assert signed_in.redeem(too_late).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": None},
        {"code_verifier": "wrong" * 10},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": None},
    ],
    ids=str,
)
def test_a_code_that_comes_with_the_wrong_things_is_spent(signed_in, changes):
    code, verifier = signed_in.code(), signed_in.verifier

    assert signed_in.redeem(code, **changes).status_code == 400
    assert signed_in.redeem(code, code_verifier=verifier).json()["error"] == "invalid_grant"


def test_a_verifier_without_a_challenge_is_refused(browser):
    make_client(requires_pkce=False)
    browser.sign_in()
    app = RelyingParty(browser)
    nothing = {"code_challenge": None, "code_challenge_method": None}

    assert app.redeem(app.code(**nothing), code_verifier=None).status_code == 200
    assert app.redeem(app.code(**nothing)).json()["error"] == "invalid_grant"


def test_a_public_client_always_needs_pkce(browser):
    make_client(public=True, requires_pkce=False)
    browser.sign_in()
    app = RelyingParty(browser, secret=None)

    assert app.answer(app.ask(code_challenge=None, code_challenge_method=None))["error"] == "invalid_request"
    assert app.redeem(app.code()).status_code == 200


def test_a_code_of_another_client_is_dead(signed_in):
    make_client("other")
    code = signed_in.code()

    assert signed_in.redeem(code, client_id="other").json()["error"] == "invalid_grant"
    assert signed_in.redeem(code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("secret", ["wrong", "", None])
def test_without_the_secret_there_is_nothing(signed_in, secret):
    response = signed_in.redeem(signed_in.code(), secret=secret)

    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert response["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "magic"}, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "ada", "password": "x"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "authorization_code", "code": "made up"}, "invalid_grant"),
        ({"grant_type": "authorization_code", "code": "nul\0"}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "made up"}, "invalid_grant"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
    ],
    ids=str,
)
def test_what_cannot_be_answered(signed_in, fields, error):
    response = signed_in.token(**fields)

    assert (response.status_code, response.json()["error"]) == (400, error)


def test_bodies_that_cannot_be_read(app):
    send = app.back.post
    form = "application/x-www-form-urlencoded"
    assert send("/openid/token", "{}", content_type="application/json").status_code == 400
    assert send("/openid/token", "a=1&a=2", content_type=form).status_code == 400
    assert send("/openid/token?a=1", "", content_type=form).status_code == 400
    assert send("/openid/token", "a=" + "x" * 70_000, content_type=form).status_code == 413
    assert send("/openid/token", b"code=%FF%FE&client_id=%00", content_type=form).status_code == 400
    assert app.back.get("/openid/token").status_code == 405


# -- refreshing


def test_refresh_tokens_are_for_who_asks(signed_in):
    assert "refresh_token" not in signed_in.tokens()
    assert "refresh_token" in signed_in.tokens(scope=OFFLINE)
    ClientSettings.objects.update(refresh="always")
    assert "refresh_token" in signed_in.tokens()


def test_a_refresh_tells_the_same_truth(signed_in):
    first = signed_in.tokens(scope=OFFLINE)

    second = signed_in.refresh(first["refresh_token"]).json()

    assert second["refresh_token"] != first["refresh_token"]
    before, after = signed_in.claims(first["id_token"]), signed_in.claims(second["id_token"])
    for name in ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid", "email"):
        assert before[name] == after[name]
    assert signed_in.userinfo(second["access_token"]).status_code == 200
    assert signed_in.userinfo(first["access_token"]).status_code == 200  # other requests of the app are on their way


def test_a_refresh_token_that_comes_again_ends_its_family(signed_in):
    first = signed_in.tokens(scope=OFFLINE)
    second = signed_in.refresh(first["refresh_token"]).json()

    assert signed_in.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    assert signed_in.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
    assert signed_in.userinfo(second["access_token"]).status_code == 401
    assert Event.objects.filter(kind="refresh_token_reused").exists()


def test_less_may_be_asked_for_and_more_may_not(signed_in):
    first = signed_in.tokens(scope=OFFLINE)

    second = signed_in.refresh(first["refresh_token"], scope="openid").json()
    assert second["scope"] == "openid"
    assert "email" not in signed_in.userinfo(second["access_token"]).json()
    assert signed_in.refresh(second["refresh_token"], scope="openid phone").json()["error"] == "invalid_scope"
    third = signed_in.refresh(second["refresh_token"]).json()
    assert third["scope"] == OFFLINE


def test_a_refresh_token_belongs_to_its_client(signed_in):
    make_client("other")
    refresh_token = signed_in.tokens(scope=OFFLINE)["refresh_token"]

    assert signed_in.refresh(refresh_token, client_id="other").json()["error"] == "invalid_grant"
    assert signed_in.refresh(refresh_token).status_code == 200


def test_a_refresh_token_ends_unused_and_at_last(signed_in, browser, clock):
    browser.sign_in()
    unused = signed_in.tokens(scope=OFFLINE)["refresh_token"]
    used = signed_in.tokens(scope=OFFLINE)["refresh_token"]
    for _week in range(4):
        clock.shift(7 * 86400)
        used = signed_in.refresh(used).json()["refresh_token"]
    assert signed_in.refresh(unused).json()["error"] == "invalid_grant"
    clock.shift(3 * 86400)
    assert signed_in.refresh(used).json()["error"] == "invalid_grant"


# -- what ends tokens


@pytest.fixture
def tokens(signed_in):
    return signed_in.tokens(scope=OFFLINE)


def is_dead(app, tokens):
    return (
        app.userinfo(tokens["access_token"]).status_code == 401
        and app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    )


def test_signing_out_ends_them(signed_in, tokens, browser):
    browser.submit("/logout/")

    assert is_dead(signed_in, tokens)


def test_a_disabled_account_ends_them(signed_in, tokens):
    User.objects.update(is_active=False)

    assert is_dead(signed_in, tokens)


def test_a_session_that_runs_out_by_itself_does_not(signed_in, tokens):
    SignIn.objects.all().delete()

    assert not is_dead(signed_in, tokens)


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_of_a_pair_ends_both(signed_in, tokens, which):
    assert revoke(signed_in, tokens[which]).status_code == 200

    assert is_dead(signed_in, tokens)


def revoke(app, token, **changes):
    fields = {"token": token, "client_id": app.client_id, "client_secret": app.secret, **changes}
    return app.post("/openid/revoke", fields)


def test_nobody_revokes_the_tokens_of_others(signed_in, tokens):
    make_client("other")

    assert revoke(signed_in, tokens["access_token"], client_id="other").status_code == 200
    assert revoke(signed_in, "made up").status_code == 200
    assert revoke(signed_in, tokens["access_token"], client_secret="wrong").status_code == 401

    assert not is_dead(signed_in, tokens)


def test_introspection_is_for_the_client_itself(signed_in, tokens):
    def ask(token, **changes):
        fields = {"token": token, "client_id": "app", "client_secret": signed_in.secret, **changes}
        return signed_in.post("/openid/introspect", fields)

    make_client("other")
    found = ask(tokens["access_token"]).json()
    assert (found["active"], found["client_id"], found["scope"]) == (True, "app", OFFLINE)
    assert found["sub"] == User.objects.get().passwordless_profile.handle
    assert ask(tokens["access_token"], client_id="other").json() == {"active": False}
    assert ask("made up").json() == {"active": False}
    assert ask(tokens["access_token"], client_secret=None).status_code == 401
    User.objects.update(is_active=False)
    assert ask(tokens["access_token"]).json() == {"active": False}


# -- userinfo


def test_userinfo_by_every_way_that_the_standard_names(signed_in, tokens):
    token = tokens["access_token"]
    by_header = signed_in.userinfo(token)
    by_post = signed_in.back.post("/openid/userinfo", headers={"Authorization": f"Bearer {token}"})
    by_body = signed_in.post("/openid/userinfo", {"access_token": token})

    for response in (by_header, by_post, by_body):
        assert response.status_code == 200
        assert response.json() == {
            "sub": User.objects.get().passwordless_profile.handle,
            "email": "ada@example.com",
            "email_verified": True,
        }


def test_userinfo_refuses_the_rest(signed_in, tokens):
    token = tokens["access_token"]
    assert signed_in.back.get(f"/openid/userinfo?access_token={token}").status_code == 400
    assert signed_in.userinfo(tokens["id_token"]).status_code == 401
    assert signed_in.userinfo("x" * 100_000).status_code == 401
    nothing = signed_in.back.get("/openid/userinfo")
    assert (nothing.status_code, nothing["WWW-Authenticate"]) == (401, "Bearer")
    twice = signed_in.post("/openid/userinfo", {"access_token": token}, headers={"Authorization": f"Bearer {token}"})
    assert twice.status_code == 400
    without_openid = signed_in.tokens(scope="email")
    assert signed_in.userinfo(without_openid["access_token"]).status_code == 403


def test_claims_that_are_asked_for_by_name(signed_in):
    User.objects.update(first_name="Ada", last_name="Lovelace")
    claims = json.dumps({"userinfo": {"name": {"essential": True}}, "id_token": {"email": None, "auth_time": None}})

    tokens = signed_in.tokens(claims=claims)

    assert signed_in.userinfo(tokens["access_token"]).json()["name"] == "Ada Lovelace"
    assert signed_in.claims(tokens["id_token"])["email"] == "ada@example.com"


def test_pairwise_subjects(signed_in, browser):
    make_client("one", subject_type="pairwise", redirect_uris="https://one.example/cb")
    make_client("two", subject_type="pairwise", redirect_uris="https://two.example/cb")
    subjects = set()
    for name in ("one", "two"):
        app = RelyingParty(browser, name, redirect_uri=f"https://{name}.example/cb")
        tokens = app.tokens()
        subjects.add(app.claims(tokens["id_token"])["sub"])
        assert app.userinfo(tokens["access_token"]).json()["sub"] in subjects

    handle = User.objects.get().passwordless_profile.handle
    assert len(subjects) == 2
    assert handle not in subjects


def test_subjects_as_auth0_has_them(signed_in, settings):
    settings.PASSWORDLESS_AUTH_OIDC_SUBJECT = "auth0"

    claims = signed_in.claims(signed_in.tokens()["id_token"])

    assert claims["sub"] == f"email|{User.objects.get().passwordless_profile.handle}"


# -- machines, and what was there before


def test_a_machine_gets_a_token_of_its_own(app, settings):
    settings.OAUTH2_PROVIDER = {"SCOPES": {"openid": "Sign you in", "read": "Read"}}
    make_client("robot", kind="m2m", authorization_grant_type="client-credentials", response_types=[])
    robot = RelyingParty(app.browser, "robot")

    tokens = robot.token("client_credentials", scope="read openid").json()

    assert tokens["scope"] == "read"
    assert "refresh_token" not in tokens
    assert robot.userinfo(tokens["access_token"]).status_code == 403
    assert robot.answer(robot.ask())["error"] == "unauthorized_client"


def test_a_web_application_acts_for_itself_where_that_is_switched_on(app, settings):
    settings.OAUTH2_PROVIDER = {"SCOPES": {"openid": "Sign you in", "read": "Read"}}
    make_client("shop", grants=["authorization_code", "client_credentials"])
    make_client("leaky", public=True, grants=["client_credentials"])
    shop = RelyingParty(app.browser, "shop")

    assert app.token("client_credentials", scope="read").json()["error"] == "unauthorized_client"
    assert shop.token("client_credentials", scope="read").json()["scope"] == "read"
    leaky = RelyingParty(app.browser, "leaky", secret=None)
    assert leaky.token("client_credentials", scope="read").json()["error"] == "unauthorized_client"


def test_a_refresh_token_that_django_oauth_toolkit_made_goes_on(app, django_user_model):
    from datetime import timedelta

    from django.utils import timezone
    from oauth2_provider.models import get_application_model

    user = django_user_model.objects.create_user("bob", "bob@example.com")
    application = get_application_model().objects.get()
    access = AccessToken.objects.create(
        user=user,
        application=application,
        token="old-access",
        scope="openid",
        expires=timezone.now() + timedelta(hours=1),
    )
    RefreshToken.objects.create(user=user, application=application, token="old-refresh", access_token=access)

    assert app.userinfo("old-access").status_code == 200
    tokens = app.refresh("old-refresh").json()

    assert tokens["scope"] == "openid"
    assert app.userinfo(tokens["access_token"]).status_code == 200
    assert app.refresh("old-refresh").json()["error"] == "invalid_grant"
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"  # the family has ended
    assert Authorization.objects.get().auth_time is None
