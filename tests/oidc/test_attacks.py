"""What somebody may try who means ill: a person at their own browser, a Client, a stranger with a link."""

import logging

import pytest
from oauth2_provider.models import AccessToken

from .relying_party import RelyingParty, make_client

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
    from passwordless_auth.oidc.models import AuthorizationRequest

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
