"""The discovery documents and the key set: what they say is what works, whoever asks by whatever name."""

import json

import jwt
import pytest
from django.test import override_settings
from django.urls import include, path

from passwordless_auth.oidc import keys, tokens

from .relying_party import make_client

pytestmark = pytest.mark.django_db

OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
JWKS = "/openid/jwks"
ALL = [OPENID, OAUTH, JWKS]

#: A host of before us: django-oauth-toolkit's default issuer has a path.
urlpatterns = [
    path("", include("passwordless_auth.urls")),
    path("", include("passwordless_auth.oidc.urls")),
    path("o/", include(("passwordless_auth.oidc.urls", "old_place"))),
]


@pytest.fixture
def metadata(client):
    return lambda **extra: client.get(OPENID, **extra).json()


def test_what_is_said(metadata):
    assert metadata() == {
        "issuer": "http://testserver/",
        "authorization_endpoint": "http://testserver/openid/authorize",
        "token_endpoint": "http://testserver/openid/token",
        "userinfo_endpoint": "http://testserver/openid/userinfo",
        "jwks_uri": "http://testserver/openid/jwks",
        "revocation_endpoint": "http://testserver/openid/revoke",
        "introspection_endpoint": "http://testserver/openid/introspect",
        "end_session_endpoint": "http://testserver/openid/logout",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post", "web_message"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": AUTH_ALGORITHMS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_signing_alg_values_supported": AUTH_ALGORITHMS,
        "introspection_endpoint_auth_methods_supported": [way for way in AUTH_METHODS if way != "none"],
        "introspection_endpoint_auth_signing_alg_values_supported": AUTH_ALGORITHMS,
        "scopes_supported": ["openid", "profile", "email", "phone", "address", "avatar", "offline_access"],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            "sub",
            "name",
            "given_name",
            "family_name",
            "nickname",
            "locale",
            "email",
            "email_verified",
            "phone_number",
            "phone_number_verified",
            "iss",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "acr",
            "amr",
            "sid",
        ],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "acr_values_supported": ["single", "multi", "phr"],
        "prompt_values_supported": ["none", "login", "consent", "select_account", "create"],
        "display_values_supported": ["page"],
        "ui_locales_supported": ["en", "de"],
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
    }


AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none", "private_key_jwt", "client_secret_jwt"]
AUTH_ALGORITHMS = [
    *["RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512"],
    *["HS256", "HS384", "HS512"],
]


def test_both_documents_say_the_same(client):
    assert client.get(OPENID).json() == client.get(OAUTH).json()


def test_every_address_in_it_is_answered(client, metadata):
    for member, url in metadata().items():
        if member.endswith(("_endpoint", "_uri")):
            assert client.get(url.removeprefix("http://testserver")).status_code != 404, member


@pytest.mark.parametrize("url", ALL)
@pytest.mark.parametrize(
    "forged",
    [
        {"host": "127.0.0.1"},
        {"host": "evil.example"},
        {"host": "localhost", "x-forwarded-host": "evil.example", "x-forwarded-proto": "https"},
        {"forwarded": "host=evil.example;proto=https"},
        {"x-forwarded-host": "evil.example", "x-forwarded-port": "8443"},
    ],
)
def test_whatever_the_headers_say_the_issuer_is_the_same(client, url, forged):
    asked_right = client.get(url).json()
    forged = dict(forged)
    host = forged.pop("host", "testserver")
    assert client.get(url, headers=forged, SERVER_NAME=host).json() == asked_right


def test_response_types_are_said_while_some_client_has_them(metadata):
    make_client("one", response_types=["code", "code id_token"])
    make_client("two", response_types=["code"])
    assert metadata()["response_types_supported"] == ["code", "code id_token"]
    assert "implicit" in metadata()["grant_types_supported"]
    every = ["none", "id_token token", "code id_token token", "code token", "id_token"]
    application = make_client("three", response_types=every)
    assert metadata()["response_types_supported"] == [
        "code",
        "id_token",
        "none",
        "code id_token",
        "code token",
        "id_token token",
        "code id_token token",
    ]
    application.delete()
    assert metadata()["response_types_supported"] == ["code", "code id_token"]


def test_a_client_that_was_there_before_us_may_still_use_what_it_used(metadata):
    from oauth2_provider.models import get_application_model

    model = get_application_model()
    columns = {"redirect_uris": "https://app.example/", "client_type": model.CLIENT_CONFIDENTIAL}
    model.objects.create(authorization_grant_type=model.GRANT_AUTHORIZATION_CODE, **columns)
    assert metadata()["response_types_supported"] == ["code"]
    model.objects.create(authorization_grant_type=model.GRANT_OPENID_HYBRID, **columns)
    assert metadata()["response_types_supported"] == ["code", "code id_token"]


def test_levels_are_those_that_can_be_reached(metadata, settings):
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link", "totp"]
    assert metadata()["acr_values_supported"] == ["single", "multi"]
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link"]
    assert metadata()["acr_values_supported"] == ["single"]


def test_nobody_is_sent_to_make_an_account_where_none_is_made(metadata, settings):
    settings.PASSWORDLESS_AUTH_SIGN_UP = "closed"
    assert metadata()["prompt_values_supported"] == ["none", "login", "consent", "select_account"]


def test_languages_are_written_as_the_web_writes_them(metadata, settings):
    settings.LANGUAGES = [("de", "Deutsch"), ("pt-br", "Português"), ("zh-hans", "中文"), ("zh-hant-hk", "中文")]
    assert metadata()["ui_locales_supported"] == ["de", "pt-BR", "zh-Hans", "zh-Hant-HK"]


def test_algorithms_are_those_of_the_settings(metadata, settings):
    settings.PASSWORDLESS_AUTH_OIDC_SIGNING_ALGORITHMS = ["RS256", "EdDSA"]
    assert metadata()["id_token_signing_alg_values_supported"] == ["RS256", "EdDSA"]


def test_an_issuer_with_a_path_is_found_where_clients_look_for_it(client, settings):
    """OpenID Connect Discovery §4 puts the path before, RFC 8414 §3.1 behind."""
    settings.ROOT_URLCONF = "tests.oidc.test_metadata"
    settings.PASSWORDLESS_AUTH_OIDC_ISSUER = "http://testserver/o"
    for url in (f"/o{OPENID}", f"{OAUTH}/o"):
        found = client.get(url).json()
        assert found["issuer"] == "http://testserver/o"
        assert found["token_endpoint"] == "http://testserver/openid/token"
    assert client.get(f"{OAUTH}/x").status_code == 404
    assert client.get(f"{OAUTH}/o/o").status_code == 404


def test_an_issuer_without_a_path_has_none(client):
    for path_of_others in ("o", "tenant/1", "/"):
        assert client.get(f"{OAUTH}/{path_of_others}").status_code == 404


@pytest.mark.parametrize("url", ALL)
def test_it_costs_one_statement_however_many_clients_there_are(client, url, django_assert_num_queries):
    for number in range(5):
        make_client(f"client {number}", response_types=["code", "id_token"])
    client.get(url)
    with django_assert_num_queries(1):
        client.get(url)


@pytest.mark.parametrize("url", ALL)
def test_it_may_be_kept_for_an_hour_and_asked_for_again(client, url):
    response = client.get(url)
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "public, max-age=3600"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")

    again = client.get(url, headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == response["ETag"]
    assert again["Access-Control-Allow-Origin"] == "*"
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_tag_changes_with_what_is_said(client, settings, made_keys):
    before = client.get(JWKS)["ETag"]
    settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = made_keys[:2]
    assert client.get(JWKS)["ETag"] != before
    before = client.get(OPENID)["ETag"]
    settings.PASSWORDLESS_AUTH_SIGN_UP = "closed"
    assert client.get(OPENID)["ETag"] != before


@pytest.mark.parametrize("url", ALL)
def test_methods(client, url):
    whole = client.get(url)
    head = client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head["ETag"] == whole["ETag"]
    assert client.options(url)["Allow"] == "GET, HEAD, OPTIONS"
    assert client.post(url).status_code == 405
    assert client.delete(url).status_code == 405


@pytest.mark.parametrize("url", ALL)
def test_every_page_may_read_it_and_none_with_cookies(client, url):
    for origin in ("https://anything.example", "http://localhost:3000", "null"):
        response = client.get(url, headers={"Origin": origin})
        assert response["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response
        asked_before = client.options(url, headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
        assert asked_before.status_code == 204
        assert asked_before["Access-Control-Allow-Origin"] == "*"
        assert "GET" in asked_before["Access-Control-Allow-Methods"]


@override_settings(MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"])
def test_it_needs_no_other_middleware(client):
    assert client.get(OPENID).status_code == 200


def test_it_is_public_where_everything_else_needs_a_sign_in(client, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    for url in ALL:
        assert client.get(url).status_code == 200


def test_the_key_set_verifies_what_was_signed(client):
    token = tokens.sign({"sub": "ada"}, alg="RS256")
    key_set = jwt.PyJWKSet.from_dict(client.get(JWKS).json())
    kid = jwt.get_unverified_header(token)["kid"]
    assert jwt.decode(token, key_set[kid])["sub"] == "ada"


@pytest.mark.usefixtures("keys_in_database")
def test_the_key_set_of_a_new_site_has_its_keys_at_once(client):
    found = client.get(JWKS).json()["keys"]
    assert [key["alg"] for key in sorted(found, key=lambda key: key["alg"])] == ["ES256", "RS256"]
    assert keys.signing_key("RS256").kid in {key["kid"] for key in found}
    assert not {"d", "p", "q", "dp", "dq", "qi"} & {name for key in found for name in key}
    assert json.dumps(found).count("kid") == 2
