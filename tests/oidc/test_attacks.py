"""What somebody may try who means ill: a person at their own browser, a Client, a stranger with a link."""

import hashlib
import json
import logging
import secrets
import sys
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from django.views.debug import ExceptionReporter
from oauth2_provider.models import AccessToken, get_application_model
from oauth2_provider.scopes import SettingsScopes
from oauthlib import common

from passwordless_auth.flows import purging
from passwordless_auth.models import Delivery, Event, SignIn, Totp
from passwordless_auth.oidc import claims
from passwordless_auth.oidc.models import (
    AccessTokenOrigin,
    Authorization,
    AuthorizationRequest,
    ClientSettings,
    PairwiseSalt,
)
from passwordless_auth.testing import outbox, totp_code
from tests.conftest import Browser
from tests.passkeys import ORIGIN, send, with_passkey
from tests.passkeys import sign_in as sign_in_with_passkey
from tests.recovery import make_codes, recover
from tests.totp import answer as answer_with_app
from tests.totp import code_of, first_step, sign_in_with_app, with_app

from .relying_party import RelyingParty, make_client, query_of

pytestmark = pytest.mark.django_db

ALL_TYPES = [
    "code",
    "none",
    "token",
    "id_token",
    "id_token token",
    "code id_token",
    "code token",
    "code id_token token",
]


# -- what comes as a parameter


@pytest.fixture
def liberal(browser):
    """A Client that may ask for everything."""
    make_client(response_types=ALL_TYPES)
    browser.raise_request_exception = False
    return RelyingParty(browser)


#: What oauthlib calls its own variables, and what makes no sense of our own parameters.
VARIABLES = [
    {"client": "app"},
    {"user": "1"},
    {"scopes": "openid"},
    {"authorization": "1"},
    {"grant_type": "authorization_code", "redirect_uri": None},
    {"grant_type": "refresh_token", "response_type": "token"},
    {"refresh_token": "x", "response_type": "token"},
    {"extra_credentials": "ab", "response_type": "id_token token"},
    {"response_type": "id_token", "scope": None},
    {"response_type": "code id_token", "scope": None},
    {"claims": '{"userinfo": {"email": {"value": NaN}}}'},
    {"claims": '{"userinfo": {"email": {"value": 1e999}}}'},
    {"claims": '{"userinfo": {"email": {"value": "\\ud800"}}}'},
    {"claims": '{"userinfo": {"\\udfff": null}}'},
    {"claims": '{"id_token": {"acr": {"values": [[], {}, 1, null]}}}'},
    {"\0": "1"},
    {"ui_locales": "x" * 600},
    {"ui_locales": "- _ x-- de-DE-DE-DE-DE-x-" + "a-" * 300},
]


@pytest.mark.parametrize("changes", VARIABLES, ids=repr)
@pytest.mark.parametrize("signed_in", [True, False], ids=["signed in", "a stranger"])
def test_no_parameter_brings_an_error_of_ours(liberal, browser, changes, signed_in):
    if signed_in:
        browser.sign_in()

    assert liberal.ask(**changes).status_code < 500


@pytest.mark.parametrize("path", ["token", "revoke", "introspect"])
def test_no_field_brings_an_error_of_ours(liberal, path):
    liberal.back.raise_request_exception = False
    for fields in ({"client": "app"}, {"client": "app", "grant_type": "authorization_code", "code": "x"}):
        response = liberal.post(f"/openid/{path}", fields, headers={"Origin": "https://evil.example"})
        assert response.status_code < 500


def test_nobody_becomes_a_machine_by_a_parameter(browser, settings):
    settings.OAUTH2_PROVIDER = {"SCOPES": {"openid": "Sign you in", "read": "Read"}}
    make_client(public=True, kind="spa", response_types=["token"])
    browser.sign_in()
    app = RelyingParty(browser, secret=None)

    app.answer(app.ask(response_type="token", scope="openid read", grant_type="client_credentials"))

    token = AccessToken.objects.get()
    assert token.user.email == "ada@example.com"
    assert token.origin.authorization.user == token.user


def test_what_nobody_knows_is_not_kept(app, browser):
    app.ask(junk="x" * 3000)

    assert "junk" not in AuthorizationRequest.objects.get().params


# -- what is written down on the way


@pytest.fixture
def log(caplog):
    """All that any logger says, at DEBUG."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(("oauth", "passwordless", "django"))]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    yield lambda: "\n".join(f"{each.getMessage()} {each.__dict__}" for each in caplog.records)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def test_no_log_has_a_code_or_a_token(app, browser, log):
    browser.sign_in()
    code = app.code(scope="openid offline_access")
    verifier = app.verifier
    first = app.redeem(code).json()
    again = app.redeem(code)
    second = app.tokens(scope="openid offline_access")
    third = app.refresh(second["refresh_token"]).json()
    app.refresh(second["refresh_token"])
    app.userinfo(third["access_token"])
    app.post("/openid/introspect", {"token": third["access_token"], "client_id": "app", "client_secret": app.secret})
    app.post("/openid/revoke", {"token": third["access_token"], "client_id": "app", "client_secret": app.secret})

    assert again.status_code == 400
    said = log()
    secret_values = [code, verifier, app.secret] + [
        given[name]
        for given in (first, second, third)
        for name in ("access_token", "refresh_token", "id_token")
        if name in given
    ]
    assert len(secret_values) == 12
    for value in secret_values:
        assert value not in said
    assert "/openid/userinfo" in said  # the log was read


# -- what a login is worth: the time and the method of one proof, not of two


ESSENTIAL = {name: json.dumps({"id_token": {"acr": {"essential": True, "value": name}}}) for name in ("multi", "phr")}


@pytest.fixture
def since_morning(app, browser, clock, settings):
    """A session that a passkey proved three hours ago."""
    authenticator = with_passkey(browser)
    browser.submit("/logout/")
    sign_in_with_passkey(browser, authenticator)
    assert browser.who()["level"] == "phr"
    clock.shift(3 * 3600)
    return authenticator


def step_up_with_passkey(browser, authenticator):
    options = send(browser, "/login/passkey/options/", {"step_up": True}).json()
    answer = send(browser, "/login/passkey/verify/?step_up=1", authenticator.get(options, origin=ORIGIN))
    assert answer.status_code == 200, answer.content


def confirm_by_code(browser, url, address="ada@example.com", **query):
    """On the step-up page, with whatever the person may have made of its address: by the code of a message."""
    browser.submit("/login/step-up/", {"action": "message", **query_of(url), **query})
    return browser.submit("/login/wait/", {"code": outbox.last_code(address)})


@pytest.mark.parametrize("fresh", [{"prompt": "login"}, {"max_age": "60"}], ids=str)
def test_a_mailbox_does_not_make_this_morning_s_passkey_young(since_morning, app, browser, clock, fresh):
    ClientSettings.objects.update(minimum_level="phr")
    clock.shift(2)

    asked = app.ask(**fresh)
    clock.shift(2)
    confirm_by_code(browser, asked.url, level="single", next="/account/")
    onward = browser.get(query_of(asked.url)["next"])

    assert onward.url.startswith("/login/step-up/?level=phr")
    assert not Authorization.objects.exists()
    page = browser.get(onward.url)
    assert 'data-page="step_up"' in page.content.decode()  # it is shown, and does not send back here

    clock.shift(2)
    step_up_with_passkey(browser, since_morning)
    answer = app.answer(browser.get(query_of(asked.url)["next"]))
    claims = app.claims(app.redeem(answer["code"]).json()["id_token"])
    assert (claims["acr"], claims["auth_time"]) == ("phr", SignIn.objects.live().get().auth_time.timestamp())


def test_an_id_token_tells_of_the_proof_that_was_asked_for(since_morning, app, browser, clock):
    """Nobody has asked for a level; and what is said of it is of the moment that ``auth_time`` names."""
    clock.shift(2)
    asked = app.ask(prompt="login")
    clock.shift(2)
    confirm_by_code(browser, asked.url)

    answer = app.answer(browser.get(query_of(asked.url)["next"]))

    claims = app.claims(app.redeem(answer["code"]).json()["id_token"])
    assert (claims["acr"], claims["amr"]) == ("single", ["otp"])
    usual = app.claims(app.tokens()["id_token"])
    assert usual["acr"] == "phr"
    assert "hwk" in usual["amr"] or "swk" in usual["amr"]


def test_prompt_login_and_an_essential_level_are_one_question(since_morning, app):
    asked = app.ask(prompt="login", claims=ESSENTIAL["phr"])

    assert query_of(asked.url)["level"] == "phr"


@pytest.mark.parametrize("fresh", [{"prompt": "login"}, {"max_age": "0"}], ids=str)
def test_a_code_of_an_app_is_fresh_with_the_message_of_before(app, browser, clock, fresh):
    """Two factors are two factors: the second of them is the proof of this minute."""
    key = with_app(browser)
    browser.submit("/logout/")
    clock.shift(60)
    sign_in_with_app(browser, Totp.objects.get())
    clock.shift(60)

    asked = app.ask(**fresh, claims=ESSENTIAL["multi"])
    clock.shift(2)
    answered = answer_with_app(browser, asked.url, code_of(key))

    answer = app.answer(browser.get(answered.url))
    claims = app.claims(app.redeem(answer["code"]).json()["id_token"])
    assert claims["acr"] == "multi"
    assert set(claims["amr"]) == {"otp", "mfa"}


def test_a_password_of_the_host_is_no_way_around_the_second_factor(app, browser):
    with_app(browser)
    browser.submit("/logout/")
    user = User.objects.get()
    user.set_password("hunter2hunter2")
    user.save()
    assert browser.login(username=user.username, password="hunter2hunter2")

    assert app.answer(app.ask(prompt="none"))["error"] == "interaction_required"
    asked = app.ask()
    assert asked.url.startswith("/login/step-up/?level=multi")
    assert not Authorization.objects.exists()

    onward = query_of(asked.url)["next"]
    second = first_step(browser, next=onward)
    answered = answer_with_app(browser, second, totp_code(Totp.objects.get()))
    assert "code" in app.answer(browser.get(answered.url))


# -- whose consent it is


@pytest.fixture
def foreign(app, browser):
    make_client("foreign", first_party=False)
    return RelyingParty(browser, "foreign")


def consent_page(browser, response):
    while response.status_code == 303 and response.url.startswith("/"):
        response = browser.get(response.url)
    assert 'data-page="consent"' in response.content.decode()
    return response


def allow(browser, page):
    """Press the button, and do not follow where it leads."""
    person = page.content.decode().partition('name="person" value="')[2].partition('"')[0]
    response = browser.submit(page.request["PATH_INFO"], {"allow": "1", "person": person})
    assert response.status_code == 303
    return response.url


@pytest.mark.parametrize("prompt", [None, "consent"])
def test_what_one_person_allowed_another_did_not(foreign, browser, prompt):
    """Somebody leaves a request that they allowed in a browser that others use, too."""
    browser.sign_in("mallory@example.com")
    onward = allow(browser, consent_page(browser, foreign.ask(prompt=prompt)))
    browser.submit("/logout/")
    browser.sign_in("ada@example.com")

    consent_page(browser, browser.get(onward))

    assert not Authorization.objects.exists()


def test_what_was_taken_back_is_asked_again(foreign, browser):
    browser.sign_in()
    onward = allow(browser, consent_page(browser, foreign.ask()))
    browser.submit("/account/applications/", {"application": "foreign"})

    consent_page(browser, browser.get(onward))


@pytest.mark.parametrize("redirect_uri", ["com.example.app:/cb", "http://127.0.0.1:49152/cb", "http://[::1]:49152/cb"])
@pytest.mark.parametrize("first_party", [True, False])
def test_an_app_that_anybody_could_be_asks_each_time(browser, redirect_uri, first_party):
    """Any program of a device may take the scheme or the port of another, and ask in its name (RFC 8252 §8.6)."""
    uris = "com.example.app:/cb http://127.0.0.1/cb http://[::1]/cb https://app.example/cb"
    make_client(public=True, kind="native", redirect_uris=uris, first_party=first_party)
    browser.sign_in()
    app = RelyingParty(browser, secret=None, redirect_uri=redirect_uri)

    for _time in range(2):
        assert app.answer(app.ask(prompt="none"))["error"] == "consent_required"
        page = consent_page(browser, app.ask())
        answer = app.answer(browser.get(allow(browser, page)))
        assert app.redeem(answer["code"]).status_code == 200

    claimed = RelyingParty(browser, secret=None, redirect_uri="https://app.example/cb")
    assert "code" in claimed.answer(claimed.ask())  # the device has asked that domain whose app this is


# -- what a browser tells who comes next


def test_the_addresses_of_others_stay_masked(app, browser):
    """Choosing an account does not tell more of it than the page that offers it."""
    browser.sign_in("ada@example.com")
    browser.submit("/logout/")
    browser.sign_in("mallory@example.com")
    page = browser.get(app.ask(prompt="select_account").url)
    ada = User.objects.get(email="ada@example.com").passwordless_profile.handle
    assert ada in page.content.decode()

    chosen = browser.submit(page.request["PATH_INFO"], {"account": ada})

    assert "ada@example.com" not in f"{page.content.decode()}{chosen.url}{browser.get(chosen.url).content.decode()}"


# -- what strangers can fill or take away


def test_a_form_of_another_site_does_not_change_who_a_browser_is(app, browser):
    """With it no cookie comes that is Lax: a browser that seems new would get another key, and be a stranger to the
    account that it belongs to."""
    browser.sign_in()
    stranger = Browser()

    response = stranger.post("/openid/authorize", app.params(claims=json.dumps({"userinfo": {"x" * 9000: None}})))

    assert (response.status_code, len(response.cookies)) == (400, 0)
    assert not AuthorizationRequest.objects.exists()


def test_a_request_that_is_too_long_is_not_kept(app, browser):
    response = app.ask(state="s" * 7000)

    assert response.status_code == 400
    assert not AuthorizationRequest.objects.exists()


def test_one_network_can_not_fill_the_table(app, settings):
    settings.PASSWORDLESS_AUTH_OIDC_LIMIT_REQUESTS_PER_IP = "3/h"

    def ask(ip):
        stranger = RelyingParty(Browser(REMOTE_ADDR=ip))
        return stranger.ask()

    assert [ask("203.0.113.7").status_code for _ in range(3)] == [303] * 3
    refused = ask("203.0.113.7")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 3500
    assert AuthorizationRequest.objects.count() == 3
    assert ask("203.0.113.8").status_code == 303
    app.browser.defaults["REMOTE_ADDR"] = "203.0.113.7"
    app.browser.sign_in()
    assert "code" in app.answer(app.ask())  # who needs no page needs no row


# -- tokens that live on


OFFLINE = "openid email offline_access"


def opens(app, tokens):
    """Which of the two still open something."""
    return (
        app.userinfo(tokens["access_token"]).status_code == 200,
        app.refresh(tokens["refresh_token"]).status_code == 200,
    )


def test_a_session_that_is_forgotten_does_not_come_back_in_its_tokens(app, browser, clock, settings):
    """A host that keeps who asked for a day only, and the end of the session with that."""
    settings.PASSWORDLESS_AUTH_RETENTION_REQUESTERS = 86400
    settings.OAUTH2_PROVIDER = {"ACCESS_TOKEN_EXPIRE_SECONDS": 7 * 86400}
    browser.sign_in()
    tokens = app.tokens(scope=OFFLINE)
    browser.submit("/logout/")

    clock.shift(2 * 86400)
    purging.purge()

    assert not SignIn.objects.exists()
    assert opens(app, tokens) == (False, False)


def test_one_that_ran_out_and_is_forgotten_leaves_an_app_its_access(app, browser, clock, settings):
    """The positive twin."""
    settings.PASSWORDLESS_AUTH_RETENTION_REQUESTERS = 86400
    browser.sign_in()
    tokens = app.tokens(scope=OFFLINE)

    clock.shift(2 * 86400)
    purging.purge()
    clock.shift(2 * 86400)
    purging.purge()

    assert not SignIn.objects.exists()
    assert app.refresh(tokens["refresh_token"]).status_code == 200


def test_a_token_of_no_client_opens_nothing_and_breaks_nothing(app, browser):
    """django-oauth-toolkit lets a host write such rows."""
    user = User.objects.create_user("bob", "bob@example.com")
    AccessToken.objects.create(
        user=user, token="of-nobody", scope="openid", expires=timezone.now() + timedelta(hours=1)
    )
    app.back.raise_request_exception = False

    assert app.userinfo("of-nobody").status_code == 401


def test_the_other_endpoints_of_a_host_refresh_nothing_of_ours(app, browser, settings):
    """Those of django-oauth-toolkit, which know nothing of sessions."""
    settings.ROOT_URLCONF = "tests.oidc.dot_urls_apart"
    browser.sign_in()
    first, second = (app.tokens(scope="email offline_access") for _time in range(2))
    path = reverse("oauth2_provider:token")

    def refresh(tokens):
        fields = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        return app.post(path, {**fields, "client_id": "app", "client_secret": app.secret})

    assert refresh(first).status_code == 400
    browser.submit("/logout/")
    assert refresh(second).status_code == 400


# -- who may ask about a token


def test_who_only_says_its_name_learns_nothing_of_a_token(browser):
    """RFC 7662 §2.1: the endpoint takes no one without a proof of who they are."""
    make_client(public=True, kind="spa")
    browser.sign_in()
    app = RelyingParty(browser, secret=None)
    token = app.tokens()["access_token"]

    response = app.post("/openid/introspect", {"token": token, "client_id": "app"})

    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    methods = app.back.get("/.well-known/openid-configuration").json()["introspection_endpoint_auth_methods_supported"]
    assert "none" not in methods


def test_a_thief_can_not_fill_the_log(app, browser):
    """One event tells of a stolen code, or token, however often it comes."""
    browser.sign_in()
    code = app.code(scope=OFFLINE)
    tokens = app.redeem(code).json()
    other = app.tokens(scope=OFFLINE)
    app.refresh(other["refresh_token"])
    for _time in range(5):
        app.redeem(code)
        app.refresh(tokens["refresh_token"])
        app.refresh(other["refresh_token"])

    found = [event.kind for event in Event.objects.filter(kind__in=["code_replayed", "refresh_token_reused"])]
    assert sorted(found) == ["code_replayed", "refresh_token_reused"]


# -- what a Client may know


def test_claims_do_not_open_what_a_scope_would_not(app, browser, settings):
    """The host's scopes backend gives this Client no e-mail addresses; ``claims`` is no way around it."""
    settings.OAUTH2_PROVIDER = {"SCOPES_BACKEND_CLASS": "tests.oidc.test_attacks.ScopesOfAFew"}
    browser.sign_in()
    wanted = json.dumps({name: {"email": {"essential": True}, "name": None} for name in ("id_token", "userinfo")})

    tokens = app.tokens(scope="openid email", claims=wanted)

    assert "email" not in app.claims(tokens["id_token"])
    assert set(app.userinfo(tokens["access_token"]).json()) == {"sub"}


class ScopesOfAFew(SettingsScopes):
    def get_available_scopes(self, application=None, request=None, *args, **kwargs):
        return ["openid", "phone"]


def test_who_asks_for_a_name_is_not_given_an_address(app, browser):
    """The page of the consent says "your name and language"."""
    browser.sign_in()

    for scope in ("openid profile", "openid avatar"):
        tokens = app.tokens(scope=scope)
        for told in (app.userinfo(tokens["access_token"]).json(), app.claims(tokens["id_token"])):
            assert not {"name", "nickname", "email"} & told.keys()

    with_address = app.userinfo(app.tokens(scope="openid profile email")["access_token"]).json()
    assert (with_address["email"], with_address["name"]) == ("ada@example.com", "ada@example.com")


# -- pairwise: two Clients can't tell that it is the same person


def test_pairwise_clients_have_nothing_in_common_of_a_person(app, browser):
    for name in ("one", "two"):
        make_client(name, subject_type="pairwise", redirect_uris=f"https://{name}.example/cb")
    browser.sign_in()

    found = []
    for name in ("one", "two"):
        each = RelyingParty(browser, name, redirect_uri=f"https://{name}.example/cb")
        claims = each.claims(each.tokens()["id_token"])
        found.append({value for key, value in claims.items() if key in ("sub", "sid", "jti")})
        again = each.claims(each.tokens()["id_token"])
        assert (again["sub"], again["sid"]) == (claims["sub"], claims["sid"])

    assert not found[0] & found[1]
    assert SignIn.objects.get().public_id not in found[0] | found[1]


def test_a_pairwise_client_signs_its_people_out(app, browser):
    make_client("one", subject_type="pairwise")
    browser.sign_in()
    one = RelyingParty(browser, "one")
    hint = one.tokens()["id_token"]

    assert browser.get(f"/openid/logout?{urlencode({'id_token_hint': hint})}").status_code == 303
    assert browser.who()["authenticated"] is False


def test_two_native_apps_are_two_sectors(browser):
    for name in ("one", "two"):
        make_client(name, public=True, kind="native", subject_type="pairwise", redirect_uris="http://127.0.0.1/cb")
    browser.sign_in()

    subjects = set()
    for name in ("one", "two"):
        each = RelyingParty(browser, name, secret=None, redirect_uri="http://127.0.0.1:5000/cb")
        answer = each.answer(browser.get(allow(browser, consent_page(browser, each.ask()))))
        subjects.add(each.claims(each.redeem(answer["code"]).json()["id_token"])["sub"])

    assert len(subjects) == 2


@pytest.mark.django_db(transaction=True)
def test_a_salt_that_was_rolled_back_makes_no_subjects(browser, monkeypatch):
    """Or this process would call people otherwise than all others do."""
    make_client("one")
    browser.sign_in()
    app = RelyingParty(browser, "one")
    code = app.code()
    ClientSettings.objects.update(subject_type="pairwise")
    app.back.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(AccessTokenOrigin, "save", lambda *_args, **_kwargs: 1 / 0)
        assert app.redeem(code).status_code == 500
    assert not PairwiseSalt.objects.exists()

    first = app.claims(app.tokens()["id_token"])["sub"]
    claims.forget()  # another process
    assert app.claims(app.tokens()["id_token"])["sub"] == first


# -- what an error tells


@pytest.mark.parametrize("which", ["token", "authorize", "userinfo"])
def test_a_report_of_an_error_has_no_secret(app, browser, monkeypatch, which, settings):
    """What Django sends to ADMINS when something breaks, with the variables of every frame."""
    settings.DEBUG = False
    browser.sign_in()
    code = app.code(scope=OFFLINE)
    token = app.redeem(code).json()["access_token"]
    code = app.code(scope=OFFLINE)
    made = []

    def break_down(*_args, **_kwargs):
        raise ZeroDivisionError("on purpose")

    generate = secrets.token_urlsafe
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: made.append(generate(size)) or made[-1])
    original = common.generate_token
    monkeypatch.setattr(common, "generate_token", lambda *args: made.append(original(*args)) or made[-1])
    places = {
        "token": (AccessTokenOrigin, "save"),
        "authorize": (Authorization, "save"),
        "userinfo": (claims, "subject"),
    }
    monkeypatch.setattr(*places[which], break_down)
    request = RequestFactory().get("/")
    try:
        if which == "token":
            app.redeem(code)
        elif which == "authorize":
            app.ask()
        else:
            app.userinfo(token)
    except ZeroDivisionError:
        kind, error, frames = sys.exc_info()
        while frames.tb_frame.f_code.co_name != "_get_response":  # those of this test, and of its client
            frames = frames.tb_next
        report = ExceptionReporter(request, kind, error, frames).get_traceback_html()

    assert "on purpose" in report
    for value in {code, token, app.verifier, app.secret, *made} - {app.state, app.nonce}:
        assert value not in report


def test_a_client_that_lost_its_addresses_breaks_no_page(app, browser):
    browser.raise_request_exception = False
    page = app.ask(redirect_uri=None).url
    get_application_model().objects.update(redirect_uris="")

    assert browser.get(page).status_code == 200


def test_people_of_auth0_are_called_by_their_addresses(app, browser):
    """As Auth0's passwordless connections have it; see the test of names above."""
    ClientSettings.objects.update(subject_type="auth0")
    browser.sign_in()

    about = app.userinfo(app.tokens(scope="openid profile")["access_token"]).json()

    assert (about["name"], about["nickname"]) == ("ada@example.com", "ada")
    assert "email" not in about


# -- what a stolen database tells


def everything_that_is_kept():
    """All rows of all tables, as text; what is compressed or in base64 as it was before, too."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [str(value) for row in cursor.fetchall() for value in row]
    found += [str(SessionStore(row.session_key).load()) for row in Session.objects.all()]
    return "\n".join(found)


def test_no_row_has_a_code_a_token_or_a_secret(app, browser, settings):
    ClientSettings.objects.update(
        backchannel_logout_uri="https://app.example/logout", response_types=["code", "code id_token token"]
    )
    browser.sign_in()
    answer = app.answer(app.ask(scope=OFFLINE, response_type="code id_token token"))
    used = answer["code"]
    assert app.redeem(used).status_code == 200
    unused, verifier = app.code(scope=OFFLINE), app.verifier
    first = app.tokens(scope=OFFLINE)
    second = app.refresh(first["refresh_token"]).json()
    app.refresh(first["refresh_token"])
    app.ask(prompt="login")
    browser.submit("/logout/")

    kept = everything_that_is_kept()

    for value in (
        *(used, unused, verifier, app.verifier, app.secret, answer["access_token"], answer["id_token"]),
        *(tokens[name] for tokens in (first, second) for name in ("access_token", "refresh_token", "id_token")),
    ):
        assert value not in kept
    assert hashlib.sha256(unused.encode()).hexdigest() in kept  # it was looked at
    assert Delivery.objects.filter(kind="backchannel_logout").exists()


# -- the port of this machine


@pytest.mark.parametrize(
    ("kind", "registered", "asked"),
    [
        ("web", "http://127.0.0.1/cb", "http://127.0.0.1:5000/cb"),
        ("spa", "http://127.0.0.1:3000/cb", "http://127.0.0.1:5000/cb"),
        ("native", "http://localhost/cb", "http://localhost:5000/cb"),
        ("native", "http://app.example/cb", "http://app.example:5000/cb"),
        ("native", "https://127.0.0.1/cb", "https://127.0.0.1:5000/cb"),
        ("native", "http://127.0.0.1/cb", "http://user@127.0.0.1:5000/cb"),
        ("native", "http://127.0.0.1/cb", "http://127.0.0.1:5000@evil.example/cb"),
        ("native", "http://127.0.0.1/cb", "http://127.0.0.1:5000\\@evil.example/cb"),
        ("native", "http://127.0.0.1/cb", "http://127.0.0.1:99999/cb"),
        ("native", "http://127.0.0.1/cb", "http://127.0.0.1:-1/cb"),
        ("native", "http://127.0.0.1/cb", "http://127.0.0.1:/cb"),
        ("native", "http://127.0.0.1/cb", "http://127.0.0.1:05000/cb"),
        ("native", "http://127.0.0.1/cb", "http://127.0.0.1:5000/cb/../x"),
        ("native", "http://127.0.0.1/cb", "HTTP://127.0.0.1:5000/cb"),
        ("native", "http://127.0.0.1/cb", "http://127.1:5000/cb"),
        ("native", "http://127.0.0.1/cb", "http://2130706433:5000/cb"),
        ("native", "http://127.0.0.1/cb", "http://127.0.0.1.evil.example:5000/cb"),
        ("native", "http://127.0.0.1/cb", "http://127.0.0.2:5000/cb"),
        ("native", "http://[::1]/cb", "http://[::1%25lo]:5000/cb"),
        ("native", "http://[::1]/cb", "http://[0:0:0:0:0:0:0:1]:5000/cb"),
        ("native", "http://[::1]/cb", "http://[::ffff:127.0.0.1]:5000/cb"),
        ("native", "com.example.app:/cb", "com.example.app:/cb:5000"),
        ("native", "com.example.app:/cb", "COM.EXAMPLE.APP:/cb"),
        ("native", "com.example.app:/cb", "javascript:alert(1)"),
        ("native", "com.example.app:/cb", "data:text/html,x"),
    ],
    ids=str,
)
def test_only_the_port_of_a_native_app_s_loopback_address_is_free(browser, kind, registered, asked):
    make_client(public=True, kind=kind, redirect_uris=registered)
    browser.sign_in()
    app = RelyingParty(browser, secret=None, redirect_uri=asked)

    assert app.ask().status_code == 400


# -- clients that nobody has looked at


ANYBODY_MAY_REGISTER = {
    "DCR_ENABLED": True,
    "DCR_REGISTRATION_PERMISSION_CLASSES": ["oauth2_provider.dcr.AllowAllDCRPermission"],
}


def register(settings, **metadata):
    settings.OAUTH2_PROVIDER = ANYBODY_MAY_REGISTER
    body = json.dumps(metadata)
    return Client(raise_request_exception=False).post("/openid/register", body, content_type="application/json")


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), "\ud800", "\0", {"\ud800": 1}, [[[{}]]]], ids=repr)
@pytest.mark.parametrize("where", ["key", "set", "metadata"])
def test_no_metadata_bring_an_error_of_ours(db, settings, odd, where):
    key = {"kty": "EC", "crv": "P-256", "x": KEY_X, "y": KEY_Y}
    jwks = {"keys": [{**key, "odd": odd} if where == "key" else key]}
    metadata = {"redirect_uris": ["https://rp.example/cb"], "token_endpoint_auth_method": "private_key_jwt"}

    response = register(
        settings,
        **metadata,
        jwks={**jwks, "odd": odd} if where == "set" else jwks,
        **({"odd": odd} if where == "metadata" else {}),
    )

    assert response.status_code in (201, 400), response.content
    assert response.status_code == 201 or where != "metadata"


KEY_X = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
KEY_Y = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"


def test_who_registers_itself_has_no_rights_of_the_house(app, browser, settings):
    told = register(
        settings,
        redirect_uris=["https://rp.example/cb"],
        skip_authorization=True,
        first_party=True,
        minimum_level="",
        client_id="app",
        client_secret="chosen",
    ).json()
    browser.sign_in()
    rp = RelyingParty(browser, told["client_id"], secret=told["client_secret"], redirect_uri="https://rp.example/cb")

    assert told["client_id"] != "app"
    assert told["client_secret"] != "chosen"
    consent_page(browser, rp.ask())


@pytest.mark.parametrize("redirect_uri", ["http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"])
def test_native_apps_that_register_themselves_share_no_sector(browser, settings, redirect_uri):
    subjects = set()
    browser.sign_in()
    for _app in range(2):
        told = register(
            settings,
            redirect_uris=[redirect_uri],
            application_type="native",
            token_endpoint_auth_method="none",
            subject_type="pairwise",
        ).json()
        rp = RelyingParty(browser, told["client_id"], secret=None, redirect_uri=redirect_uri)
        answer = rp.answer(browser.get(allow(browser, consent_page(browser, rp.ask()))))
        subjects.add(rp.claims(rp.redeem(answer["code"]).json()["id_token"])["sub"])

    assert len(subjects) == 2


def test_the_token_of_a_registration_opens_nothing_else(app, browser, settings):
    told = register(settings, redirect_uris=["https://rp.example/cb"]).json()
    token = told["registration_access_token"]
    rp = RelyingParty(browser, told["client_id"], secret=told["client_secret"])

    assert rp.userinfo(token).status_code in (401, 403)
    assert rp.back.get("/resource/", headers={"Authorization": f"Bearer {token}"}).status_code == 403
    assert rp.refresh(token).status_code == 400
    other = register(settings, redirect_uris=["https://two.example/cb"]).json()
    page = other["registration_client_uri"].removeprefix("http://testserver")
    for call in (rp.back.get, rp.back.delete):
        assert call(page, headers={"Authorization": f"Bearer {token}"}).status_code == 401


# -- a recovered session


def test_a_recovery_opens_no_client(app, browser, other_browser):
    """It may add a passkey, and nothing else."""
    sign_in_with_passkey(browser, with_passkey(browser))
    codes = make_codes(browser)
    assert recover(other_browser, codes[0]).status_code == 303
    assert other_browser.who()["level"] == "recovered"
    thief = RelyingParty(other_browser)

    assert thief.answer(thief.ask(prompt="none"))["error"] == "login_required"
    asked = thief.ask()
    assert asked.url.startswith("/login/?")
    assert other_browser.get(query_of(asked.url)["next"]).url.startswith("/login/?")
    assert not Authorization.objects.exists()
