"""Whatever comes to an endpoint: an answer below 500, and none above 3 seconds' worth of work."""

import json
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oauth2_provider.models import get_application_model

from .relying_party import CALLBACK, RelyingParty, make_client

pytestmark = pytest.mark.django_db

BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"a":' * 2000,
    b'{"client_id":"app","client_id":"app"}',
    "\ufeff{}".encode(),
    b"\xff\xfe\x00a",
    b"client_id=%00",
    b"client_id=%FF%FE",
    b"client_id=%ED%A0%80",
    b"client_id=app&client_id=app",
    b"client_id[]=app",
    b"client_id=app&client_secret=%",
    b"grant_type=authorization_code&code=%00&client_id=app",
    b"grant_type=authorization_code&code=" + b"x" * 60_000,
    b"grant_type=refresh_token&refresh_token=%F0%9F%98%80&client_id=app",
    b"grant_type=client_credentials&scope=%00",
    b"grant_type=authorization_code&code=a&client_assertion=a.b.c&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    b"grant_type=authorization_code&code=a&client_assertion=" + b"e30." * 3000,
    b"token=a&token_type_hint=nonsense&client_id=app",
    b"token=%00&client_id=app&client_secret=x",
    b"&=&=&;;&&",
    b"=" * 5000,
    b"a=b&" * 2000,
    b"access_token=%00",
]
TYPES = ["application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x", "text/plain"]
HEADERS = [
    "",
    "Basic",
    "Basic !!!!",
    "Basic " + "QQ==",
    "Basic OjpAOg==",
    "Basic /////w==",
    "Basic AAAA",
    "Bearer",
    "Bearer " + "x" * 9000,
    "Bearer a b c",
    "Bearer \x7f",
    "Digest username=app",
]
PATHS = [
    "/openid/authorize",
    "/openid/token",
    "/openid/userinfo",
    "/openid/revoke",
    "/openid/introspect",
    "/openid/logout",
    "/account/applications/",
]


@pytest.fixture
def caller(db):
    make_client()
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("path", PATHS)
def test_no_body_brings_an_error_of_ours(caller, path):
    for body in BODIES:
        for kind in TYPES:
            response = caller.post(path, body, content_type=kind)
            assert response.status_code < 500, (body[:80], kind)


@pytest.mark.parametrize("path", PATHS)
def test_no_header_brings_an_error_of_ours(caller, path):
    for header in HEADERS:
        for send in (caller.get, caller.post, caller.head, caller.options, caller.put, caller.delete):
            response = send(path, headers={"Authorization": header})
            assert response.status_code < 500, (header[:40], send)


def test_without_a_working_half_nothing_would_be_shown(caller, browser):
    """The positive twin: the same endpoints, asked well."""
    browser.sign_in()
    app = RelyingParty(browser)
    assert app.userinfo(app.tokens()["access_token"]).status_code == 200


WORDS = st.text(alphabet=st.characters(codec="utf-8"), max_size=40)
#: What stands at the place of a good value.
ODD = st.one_of(
    WORDS,
    st.sampled_from(
        [
            "",
            "\0",
            "\ud7ff",
            "%",
            "%zz",
            "code",
            "none",
            "openid " * 500,
            "-1",
            "9" * 400,
            "[" * 400,
            "{}",
            '{"userinfo":1}',
            "\n",
            "\r\nX: y",
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | WORDS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner), max_leaves=6
    ).map(json.dumps),
)
NAMES = st.sampled_from(
    [
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "prompt",
        "max_age",
        "acr_values",
        "claims",
        "display",
        "ui_locales",
        "claims_locales",
        "id_token_hint",
        "login_hint",
        "code_challenge",
        "code_challenge_method",
        "request",
        "request_uri",
        "registration",
        "resource",
        "audience",
    ]
)


@pytest.fixture
def both(signed_in, other_browser):
    """A Client, at the browser of somebody who is signed in, and at one of a stranger."""
    signed_in.browser.raise_request_exception = other_browser.raise_request_exception = False
    return signed_in, RelyingParty(other_browser)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.dictionaries(NAMES, ODD, max_size=4), which=st.sampled_from([0, 1]))
def test_no_authorization_request_brings_an_error_of_ours(both, changes, which):
    app = both[which]

    query = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in app.params(**changes).items())
    response = app.browser.get(f"/openid/authorize?{query}")

    assert response.status_code < 500
    if response.status_code == 303:
        assert response.url.startswith((CALLBACK, "/login/", "/openid/authorize/"))


LOGOUT_NAMES = st.sampled_from(
    [
        "id_token_hint",
        "client_id",
        "post_logout_redirect_uri",
        "state",
        "ui_locales",
        "logout_hint",
        "x",
        "allow",
        "deny",
    ]
)
AFTER = "https://app.example/signed-out"


@pytest.fixture
def whole(signed_in):
    """A request to sign out that is in order, and asks: the ID token is of another session."""
    get_application_model().objects.update(post_logout_redirect_uris=AFTER)
    hint = signed_in.tokens()["id_token"]
    other = type(signed_in.browser)()
    other.sign_in("bob@example.com")
    other.raise_request_exception = False
    return other, {"id_token_hint": hint, "post_logout_redirect_uri": AFTER, "state": "x"}


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.dictionaries(LOGOUT_NAMES, ODD, max_size=4), method=st.sampled_from(["GET", "POST", "form"]))
def test_no_request_to_sign_out_brings_an_error_of_ours_or_leads_astray(whole, changes, method):
    browser, good = whole
    fields = {**good, **changes}
    encoded = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name, value in fields.items())
    if method == "GET":
        response = browser.get(f"/openid/logout?{encoded}")
    elif method == "POST":
        response = browser.post("/openid/logout", encoded, content_type=TYPES[0])
    else:
        response = browser.submit("/openid/logout", {**fields, "deny": "1"})

    assert response.status_code < 500
    if response.status_code == 303:
        assert response.url.partition("?")[0] in {"/openid/logout", "/account/"}
    assert browser.who()["authenticated"]
