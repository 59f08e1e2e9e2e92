"""Scripts of other origins: who may read what (Fetch standard, "CORS protocol")."""

import pytest
from django.core.exceptions import ValidationError

from passwordless_auth.oidc import cors, uris

from .relying_party import RelyingParty, make_client

pytestmark = pytest.mark.django_db

APP = "https://spa.example"
ENDPOINTS = ["/openid/token", "/openid/userinfo", "/openid/revoke"]


def preflight(client, url, origin, method="POST"):
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return client.options(url, headers={**headers, "Access-Control-Request-Headers": "authorization"})


def allowed(response):
    assert "Access-Control-Allow-Credentials" not in response
    assert "Origin" in response["Vary"]
    return response.get("Access-Control-Allow-Origin")


@pytest.fixture
def spa(browser):
    """A single-page application that has listed its origin, and another that has listed its own."""
    make_client("spa", public=True, allowed_origins=f"{APP} http://localhost:3000")
    make_client("other", public=True, allowed_origins="https://other.example https://spa.example:8443")
    browser.sign_in("ada@example.com")
    return RelyingParty(browser, "spa", secret=None)


@pytest.mark.usefixtures("spa")
@pytest.mark.parametrize("url", ENDPOINTS)
class TestTheQuestionBefore:
    def test_who_is_listed_may_ask(self, client, url):
        for origin in (APP, "https://other.example", "https://spa.example:8443", "http://localhost:3000"):
            response = preflight(client, url, origin)
            assert (response.status_code, response.content) == (204, b"")
            assert allowed(response) == origin
            assert "POST" in response["Access-Control-Allow-Methods"]
            assert {"Authorization", "Content-Type"} < set(response["Access-Control-Allow-Headers"].split(", "))
            assert response["Access-Control-Max-Age"] == "7200"

    def test_nobody_else(self, client, url):
        for origin in NOT_LISTED:
            response = preflight(client, url, origin)
            assert response.status_code == 204, origin
            assert allowed(response) is None, origin

    def test_it_costs_one_statement(self, client, url, django_assert_num_queries):
        with django_assert_num_queries(1):
            preflight(client, url, APP)
        with django_assert_num_queries(0):
            preflight(client, url, "null")


NOT_LISTED = [
    "null",
    "",
    "*",
    "https://",
    "https://spa",
    "https://spa.exampl",
    "https://spa.example.evil.example",
    "https://evil-spa.example",
    "https://a.spa.example",
    "https://spa.example:443",
    "https://spa.example:80",
    "https://spa.example:",
    "https://spa.example/",
    "https://spa.example/callback",
    "https://spa.example https://evil.example",
    "https://SPA.example",
    "https://spa.example@evil.example",
    "http://spa.example",
    "https://spa_example",
    "https://spa.example\\.evil.example",
    "http://localhost",
    "http://localhost:3001",
    "http://127.0.0.1:3000",
    "https://localhost:3000",
    "http://localhost:3000.evil.example",
    "https://" + "a" * 5000,
    "https://%",
    "https://[::1",
    "file://",
    "chrome-extension://abc",
    "https://spä.example",
]


def test_the_tokens_of_a_client_are_read_by_its_own_pages_alone(spa):
    own = "http://localhost:3000"
    for origin, read in ((APP, APP), (own, own), ("https://other.example", None), ("https://evil.example", None)):
        fields = {"code": spa.code(), "redirect_uri": spa.redirect_uri, "code_verifier": spa.verifier}
        fields = {"grant_type": "authorization_code", "client_id": "spa", **fields}
        response = spa.post("/openid/token", fields, headers={"Origin": origin})
        assert response.status_code == 200, response.content
        assert allowed(response) == read


def test_so_is_what_userinfo_says(spa, client):
    bearer = f"Bearer {spa.tokens()['access_token']}"
    for origin, read in ((APP, APP), ("https://other.example", None), ("https://evil.example", None)):
        response = client.get("/openid/userinfo", headers={"Origin": origin, "Authorization": bearer})
        assert response.status_code == 200
        assert allowed(response) == read


def test_so_is_what_became_of_a_revocation(spa):
    for origin, read in ((APP, APP), ("https://other.example", None)):
        response = spa.post("/openid/revoke", {"client_id": "spa", "token": "x"}, headers={"Origin": origin})
        assert response.status_code == 200
        assert allowed(response) == read


def test_a_refusal_is_read_by_those_who_would_have_read_the_answer(spa, client):
    fields = {"grant_type": "authorization_code", "client_id": "spa", "code": "wrong", "redirect_uri": "x"}
    for origin, read in ((APP, APP), ("https://other.example", None), ("https://evil.example", None)):
        response = spa.post("/openid/token", fields, headers={"Origin": origin})
        assert response.json()["error"] == "invalid_grant"
        assert allowed(response) == read


def test_where_it_is_not_known_who_calls_every_listed_page_reads_why(spa, client):
    for origin, read in (
        (APP, APP),
        ("https://other.example", "https://other.example"),
        ("https://evil.example", None),
    ):
        response = client.get("/openid/userinfo", headers={"Origin": origin, "Authorization": "Bearer wrong"})
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer error=")
        assert response["Access-Control-Expose-Headers"] == "WWW-Authenticate"
        assert allowed(response) == read
        response = spa.post("/openid/token", {"client_id": "nobody"}, headers={"Origin": origin})
        assert response.status_code in (400, 401)
        assert allowed(response) == read
        response = client.post("/openid/token", "{", content_type="application/json", headers={"Origin": origin})
        assert response.status_code == 400
        assert allowed(response) == read


def test_programs_that_send_no_origin_are_told_of_none(spa, client):
    response = spa.post("/openid/token", {"client_id": "spa"})
    assert allowed(response) is None


def test_an_origin_costs_no_statement_where_the_client_is_known(spa, client, django_assert_num_queries):
    bearer = f"Bearer {spa.tokens()['access_token']}"
    with django_assert_num_queries(1):
        client.get("/openid/userinfo", headers={"Authorization": bearer})
    with django_assert_num_queries(1):
        response = client.get("/openid/userinfo", headers={"Origin": APP, "Authorization": bearer})
    assert allowed(response) == APP


def test_servers_alone_introspect(spa, client):
    assert allowed(preflight(client, "/openid/introspect", APP)) is None
    response = spa.post("/openid/introspect", {"client_id": "spa", "token": "x"}, headers={"Origin": APP})
    assert allowed(response) is None


@pytest.mark.usefixtures("spa")
def test_while_one_develops_this_machine_needs_no_list(client, settings):
    settings.DEBUG = True
    for origin in ("http://localhost", "http://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:3000"):
        assert allowed(preflight(client, "/openid/token", origin)) == origin
    for origin in ("http://localhost.evil.example", "https://localhost:5173", "http://192.168.0.7:3000", "null"):
        assert allowed(preflight(client, "/openid/token", origin)) is None


def test_what_old_rows_say_in_other_words_is_meant_as_well(client):
    make_client("old", public=True, allowed_origins="https://Old.Example/ https://[bad")
    assert allowed(preflight(client, "/openid/token", "https://old.example")) == "https://old.example"


def test_what_a_client_can_list_can_be_allowed():
    """Two files say what an origin is."""
    for origin in [*NOT_LISTED, APP, "https://spa.example:8443", "http://[::1]:3000", "https://a-b_c.example"]:
        try:
            uris.check_origin(origin)
            can_be_listed = True
        except ValidationError:
            can_be_listed = False
        if can_be_listed:
            assert cors._may_be_listed(origin) == (len(origin) <= 300), origin
