"""What each step of the provider costs the database: data statements, written down exactly.

The promises are those of the design: authorize ≤ 5 (session and user included), token with ID token ≤ 6, refresh ≤ 6,
userinfo ≤ 1, client_credentials and introspection ≤ 3. Plain django-oauth-toolkit: token 16, refresh 17.
"""

from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from passwordless_auth.oidc.models import Consent

from .relying_party import RelyingParty, make_client

pytestmark = pytest.mark.django_db

FRAME = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK", "SET ")


@contextmanager
def statements(number):
    with CaptureQueriesContext(connection) as captured:
        yield
    asked = [query["sql"] for query in captured if not query["sql"].upper().startswith(FRAME)]
    assert len(asked) == number, "\n".join(asked)


@pytest.fixture
def warm(signed_in, django_capture_on_commit_callbacks):
    """What a process learns once, its keys, is learned."""
    with django_capture_on_commit_callbacks(execute=True):
        signed_in.tokens()
    signed_in.tokens()
    return signed_in


def test_authorize(warm):
    with statements(5):  # session, user, client, sign-in with consent, INSERT
        response = warm.ask()
    assert "code" in warm.answer(response)


def test_authorize_with_consent(warm, browser):
    application = make_client("foreign", first_party=False)
    Consent.objects.create(user=User.objects.get(), application=application, scope="openid")
    foreign = RelyingParty(browser, "foreign")
    with statements(5):
        response = foreign.ask()
    assert "code" in foreign.answer(response)


@pytest.mark.parametrize("others", [1, 5])
def test_choice_of_an_account(warm, browser, others):
    for number in range(others):
        browser.sign_in(f"person-{number}@example.com")
    onward = warm.ask(prompt="select_account").url
    with statements(7):  # request with client, client, session, user, sign-in, accounts; and the request for the frame
        page = browser.get(onward)
    assert page.content.count(b'name="account"') == others + 2


def test_prompt_none_for_a_stranger(warm, other_browser):
    stranger = RelyingParty(other_browser)
    with statements(1):  # client
        response = stranger.ask(prompt="none")
    assert stranger.answer(response)["error"] == "login_required"


def test_token(warm):
    code = warm.code(scope="openid email")
    with statements(4):  # code with client, person, sign-in; UPDATE; two INSERTs
        response = warm.redeem(code)
    assert "id_token" in response.json()


def test_token_with_refresh(warm):
    code = warm.code(scope="openid email offline_access")
    with statements(5):
        response = warm.redeem(code)
    assert "refresh_token" in response.json()


def test_refresh(warm):
    tokens = warm.tokens(scope="openid email offline_access")
    with statements(5):
        response = warm.refresh(tokens["refresh_token"])
    assert "id_token" in response.json()


def test_userinfo(warm):
    tokens = warm.tokens(scope="openid email phone")
    with statements(1):
        response = warm.userinfo(tokens["access_token"])
    assert response.json()["email"]


def test_introspection(warm):
    tokens = warm.tokens()
    with statements(2):  # client, token
        response = warm.post(
            "/openid/introspect", {"token": tokens["access_token"], "client_id": "app", "client_secret": warm.secret}
        )
    assert response.json()["active"]


def test_revocation(warm):
    tokens = warm.tokens()
    with statements(3):  # client, token, UPDATE
        warm.post("/openid/revoke", {"token": tokens["access_token"], "client_id": "app", "client_secret": warm.secret})


def test_client_credentials(warm, settings):
    make_client("robot", kind="m2m", authorization_grant_type="client-credentials", response_types=[])
    robot = RelyingParty(warm.browser, "robot")
    robot.token("client_credentials")
    with statements(2):  # client, INSERT
        response = robot.token("client_credentials")
    assert response.status_code == 200
