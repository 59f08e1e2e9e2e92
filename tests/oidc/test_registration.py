"""Clients that register themselves, and those that come with a metadata document."""

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_application_model

from passwordless_auth.models import Event
from passwordless_auth.oidc import clients
from passwordless_auth.oidc.clients import Credentials
from passwordless_auth.oidc.models import ClientSettings
from passwordless_auth.testing import signed_in_client
from passwordless_auth.testing.factories import UserFactory

from .relying_party import RelyingParty, make_client
from .test_authorize import go_on, press

pytestmark = pytest.mark.django_db

APPLICATION = get_application_model()
REGISTER = "/openid/register"
CALLBACK = "https://rp.example/cb?tenant=1"
OPEN = {"DCR_ENABLED": True, "DCR_REGISTRATION_PERMISSION_CLASSES": ["oauth2_provider.dcr.AllowAllDCRPermission"]}
#: RFC 7517, appendix A.1.
KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    "use": "sig",
    "kid": "1",
}


@pytest.fixture
def registering(settings):
    settings.OAUTH2_PROVIDER = OPEN


def post(metadata, client=None, **extra):
    body = metadata if isinstance(metadata, str | bytes) else json.dumps(metadata)
    return (client or Client()).post(REGISTER, body, content_type="application/json", **extra)


def register(**metadata):
    answer = post({"redirect_uris": [CALLBACK], **metadata})
    assert answer.status_code == 201, answer.content
    return answer.json()


def refused(expected="invalid_client_metadata", **metadata):
    answer = post({"redirect_uris": [CALLBACK], **metadata})
    assert (answer.status_code, answer.json()["error"]) == (400, expected), answer.content
    assert not APPLICATION.objects.exists()
    return answer.json()["error_description"]


def manage(method, registered, metadata=None, *, token=None):
    path = registered["registration_client_uri"].removeprefix("http://testserver")
    token = registered["registration_access_token"] if token is None else token
    body = (
        {}
        if metadata is None or method == "get"
        else {"data": json.dumps(metadata), "content_type": "application/json"}
    )
    return getattr(Client(), method)(path, headers={"authorization": f"Bearer {token}"}, **body)


# -- whether, and who


def test_nobody_registers_where_it_is_not_switched_on():
    client = signed_in_client(UserFactory(username="ada", address="ada@example.com"))

    assert post({"redirect_uris": [CALLBACK]}, client).status_code == 404
    assert Client().get(f"{REGISTER}/x").status_code == 404
    assert "registration_endpoint" not in Client().get("/.well-known/openid-configuration").json()


def test_switched_on_only_people_who_are_signed_in_do(settings):
    settings.OAUTH2_PROVIDER = {"DCR_ENABLED": True}
    answer = post({"redirect_uris": [CALLBACK]})

    assert (answer.status_code, answer.json()["error"]) == (401, "access_denied")
    assert answer["WWW-Authenticate"] == "Bearer"
    # SECURITY: with a cookie, and without a token against forgery, a page of somebody else would do it.
    ada = UserFactory(username="ada", address="ada@example.com")
    assert post({"redirect_uris": [CALLBACK]}, signed_in_client(ada, enforce_csrf_checks=True)).status_code == 401
    assert not APPLICATION.objects.exists()
    assert post({"redirect_uris": [CALLBACK]}, signed_in_client(ada)).status_code == 201
    assert APPLICATION.objects.get().user == User.objects.get(pk=ada.pk)


def test_discovery_says_so(registering):
    document = Client().get("/.well-known/openid-configuration").json()

    assert document["registration_endpoint"] == "http://testserver/openid/register"


def test_so_many_an_hour_and_no_more(registering, settings):
    settings.PASSWORDLESS_AUTH_OIDC_LIMIT_REGISTRATIONS_PER_IP = "2/h"
    register()
    register()
    answer = post({"redirect_uris": [CALLBACK]})

    assert (answer.status_code, answer.json()["error"]) == (429, "temporarily_unavailable")
    assert int(answer["Retry-After"]) > 3000
    assert APPLICATION.objects.count() == 2


# -- registering


def test_a_client_that_says_nothing_more_is_a_web_application(registering):
    told = register()

    assert len(told["client_secret"]) >= 43
    assert told["client_secret_expires_at"] == 0
    assert told["redirect_uris"] == [CALLBACK]
    assert told["response_types"] == ["code"]
    assert told["grant_types"] == ["authorization_code", "refresh_token"]
    assert told["token_endpoint_auth_method"] == "client_secret_basic"
    assert told["id_token_signed_response_alg"] == "RS256"
    assert told["subject_type"] == "public"
    assert told["application_type"] == "web"
    application = clients.load(told["client_id"])
    assert application.registration_source == "dcr"
    assert application.name == "rp.example"
    assert not application.skip_authorization
    assert application.passwordless_settings.requires_pkce
    credentials = Credentials(client_id=told["client_id"], client_secret=told["client_secret"])
    assert clients.authenticate(credentials) == application


def test_everything_that_is_known_is_kept_and_told_again(registering):
    metadata = {
        "client_name": "Shop",
        "application_type": "web",
        "redirect_uris": [CALLBACK, "https://rp.example/other"],
        "post_logout_redirect_uris": ["https://rp.example/bye"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [KEY]},
        "id_token_signed_response_alg": "ES256",
        "subject_type": "pairwise",
        "client_uri": "https://rp.example/",
        "logo_uri": "https://rp.example/logo.svg",
        "policy_uri": "https://rp.example/privacy",
        "tos_uri": "https://rp.example/terms",
        "initiate_login_uri": "https://rp.example/start",
        "backchannel_logout_uri": "https://rp.example/logout",
        "backchannel_logout_session_required": True,
    }
    told = register(**metadata, contacts=["ada@example.com"], jwks_uri=None, made_up=[1])

    assert {name: told[name] for name in metadata} == metadata
    assert "contacts" not in told
    assert "client_secret" not in told
    assert "client_secret_expires_at" not in told
    client = ClientSettings.objects.get()
    assert (client.sector_identifier, client.backchannel_logout_session_required) == ("rp.example", True)
    again = manage("get", told).json()
    assert again == told


def test_a_script_gets_its_origin_and_no_secret(registering):
    told = register(
        token_endpoint_auth_method="none", redirect_uris=["https://App.rp.example:8443/cb", "http://localhost:3000/"]
    )

    assert "client_secret" not in told
    application = APPLICATION.objects.get()
    assert (application.client_type, application.passwordless_settings.kind) == ("public", "spa")
    assert application.allowed_origins == "https://app.rp.example:8443 http://localhost:3000"


def test_a_native_app_has_no_secret_either(registering):
    told = register(application_type="native", redirect_uris=["com.example.app:/cb", "http://127.0.0.1/cb"])

    assert told["token_endpoint_auth_method"] == "none"
    assert "client_secret" not in told
    APPLICATION.objects.all().delete()
    refused(application_type="native", token_endpoint_auth_method="client_secret_basic")


def test_a_machine_needs_no_redirect_uri(registering):
    told = register(redirect_uris=[], grant_types=["client_credentials"], client_name="Robot")

    assert (told["grant_types"], told["response_types"]) == (["client_credentials"], [])
    assert ClientSettings.objects.get().kind == "m2m"


def test_what_it_registered_works_from_end_to_end(registering, browser):
    told = register(redirect_uris=["https://app.example/callback"], client_name="Shop")
    app = RelyingParty(
        browser, told["client_id"], secret=told["client_secret"], redirect_uri="https://app.example/callback"
    )
    browser.sign_in("ada@example.com")

    page = go_on(browser, app.ask())
    assert "Shop" in page.content.decode()
    tokens = app.redeem(app.answer(go_on(browser, press(browser, page, "allow")))["code"]).json()

    assert app.claims(tokens["id_token"])["sub"] == app.userinfo(tokens["access_token"]).json()["sub"]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"jwks_uri": "https://rp.example/jwks"}, "jwks_uri"),
        ({"sector_identifier_uri": "https://rp.example/sector"}, "sector_identifier_uri"),
        ({"redirect_uris": "https://rp.example/cb"}, "redirect_uris"),
        ({"redirect_uris": [1]}, "redirect_uris"),
        ({"post_logout_redirect_uris": ["https://rp.example/#x"]}, "post_logout_redirect_uris"),
        ({"grant_types": ["password"]}, "password"),
        ({"grant_types": ["urn:ietf:params:oauth:grant-type:device_code"]}, "device_code"),
        ({"response_types": ["id_token"]}, "id_token"),
        ({"response_types": ["token code"]}, "code token"),
        ({"token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
        ({"jwks": {"keys": [{**KEY, "d": "AAAA"}]}}, "private"),
        ({"jwks": []}, "jwks"),
        ({"id_token_signed_response_alg": "none"}, "id_token_signed_response_alg"),
        ({"id_token_signed_response_alg": "HS256"}, "id_token_signed_response_alg"),
        ({"subject_type": "private"}, "subject_type"),
        ({"subject_type": "pairwise", "redirect_uris": [CALLBACK, "https://other.example/cb"]}, "subject_type"),
        ({"initiate_login_uri": "http://localhost/start"}, "initiate_login_uri"),
        ({"initiate_login_uri": "http://rp.example/start"}, "initiate_login_uri"),
        ({"logo_uri": "data:image/png;base64,AAAA"}, "logo_uri"),
        ({"backchannel_logout_uri": "http://169.254.169.254/"}, "backchannel_logout_uri"),
        ({"backchannel_logout_session_required": "yes"}, "backchannel_logout_session_required"),
        ({"client_name": "x" * 81}, "client_name"),
        ({"client_name": ["Shop"]}, "client_name"),
        ({"client_name": "x\u202ey"}, "client_name"),
        ({"client_name": "a\0b"}, "client_name"),
    ],
    ids=str,
)
def test_what_can_not_be_is_refused_and_says_which_member(registering, metadata, said):
    assert said in refused(**metadata)


@pytest.mark.parametrize(
    "uri", ["https://rp.example/cb#here", "https://rp.example/cb#", "http://rp.example/cb", "https://*.rp.example/"]
)
def test_a_redirect_uri_that_can_not_be_has_an_error_of_its_own(registering, uri):
    assert "redirect_uris" in refused("invalid_redirect_uri", redirect_uris=[CALLBACK, uri])


def test_without_one_it_is_the_same(registering):
    refused("invalid_redirect_uri", redirect_uris=[])


def test_errors_are_english_as_all_of_the_protocol(registering):
    answer = post({"redirect_uris": ["http://rp.example/"]}, headers={"accept-language": "de"})

    assert "not encrypted" in answer.json()["error_description"]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "null",
        '"x"',
        "{",
        '{"a": 1, "a": 2}',
        b"\xff\xfe",
        "[" * 100000,
        '{"x": "' + "y" * 70000 + '"}',
    ],
    ids=lambda body: repr(body[:8]),
)
def test_a_body_that_can_not_be_read_is_refused(registering, body):
    answer = post(body)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_a_form_is_no_metadata(registering):
    assert Client().post(REGISTER, {"redirect_uris": CALLBACK}).status_code == 400
    assert Client().get(REGISTER).status_code == 405


def test_the_host_may_open_more(registering, settings):
    settings.PASSWORDLESS_AUTH_OIDC_REGISTRATION_RESPONSE_TYPES = ["code", "id_token code"]
    settings.PASSWORDLESS_AUTH_OIDC_REGISTRATION_PKCE = False
    told = register(response_types=["code id_token"], grant_types=["authorization_code", "implicit"])

    assert told["response_types"] == ["code id_token"]
    assert "implicit" in told["grant_types"]
    assert not ClientSettings.objects.get().requires_pkce
    document = Client().get("/.well-known/openid-configuration").json()
    assert "code id_token" in document["response_types_supported"]


def test_what_happened_is_written_down(registering):
    told = register()
    manage("put", told, {**told, "client_name": "Other"})

    kinds = list(Event.objects.order_by("pk").values_list("kind", "data__client_id"))
    assert kinds == [(kind, told["client_id"]) for kind in ("client_made", "client_secret_made", "client_changed")]
    assert told["client_secret"] not in str(list(Event.objects.values()))


# -- managing


def only_metadata(told):
    return {
        name: value
        for name, value in told.items()
        if name not in {"registration_access_token", "registration_client_uri", "client_secret_expires_at"}
    }


def test_a_client_reads_what_it_registered_and_never_its_secret(registering):
    told = register()
    answer = manage("get", told)

    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert "client_secret" not in answer.json()
    assert answer.json()["registration_access_token"] == told["registration_access_token"]


def test_a_client_says_all_of_it_anew(registering):
    told = register(client_name="Shop", policy_uri="https://rp.example/privacy")
    answer = manage("put", told, {**only_metadata(told), "policy_uri": None, "client_name": "Better shop"})

    now = answer.json()
    assert answer.status_code == 200
    assert now["client_name"] == "Better shop"
    assert "policy_uri" not in now
    assert "client_secret" not in now
    credentials = Credentials(client_id=told["client_id"], client_secret=told["client_secret"])
    assert clients.authenticate(credentials).name == "Better shop"
    # The registration access token was replaced (RFC 7592 §2.2).
    assert manage("get", told).status_code == 401
    assert manage("get", now).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "other"},
        {"client_id": None},
        {"client_secret": "chosen"},
        {"client_secret": 7},
        {"jwks_uri": "https://rp.example/jwks"},
        {"redirect_uris": []},
    ],
    ids=str,
)
def test_what_can_not_be_changes_nothing(registering, changes):
    told = register()

    assert manage("put", told, {**only_metadata(told), **changes}).status_code == 400
    assert manage("get", told).json()["redirect_uris"] == [CALLBACK]


def test_a_client_goes_as_it_came(registering):
    told = register()

    assert manage("delete", told).status_code == 204
    assert not APPLICATION.objects.exists()
    assert not get_access_token_model().objects.exists()
    assert manage("get", told).status_code == 401
    assert Event.objects.filter(kind="client_removed").count() == 1


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_nobody_else_manages_it(registering, method):
    told, other = register(), register()
    by_hand = make_client()
    path = f"http://testserver{REGISTER}/{by_hand.client_id}"

    for token in ("", "x", other["registration_access_token"], told["client_secret"]):
        answer = manage(method, told, {}, token=token)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
    assert manage(method, {**told, "registration_client_uri": path}, {}).status_code == 401
    assert APPLICATION.objects.count() == 3


def test_the_token_of_a_registration_opens_nothing_else(registering):
    told = register()

    answer = Client().get("/openid/userinfo", headers={"authorization": f"Bearer {told['registration_access_token']}"})
    assert answer.status_code in (401, 403)


# -- metadata documents


class Documents:
    """For ``CIMD_METADATA_FETCHER``: what is where."""

    found = {}
    asked = []

    def fetch(self, client_id):
        from oauth2_provider.cimd import CIMDError

        self.asked.append(client_id)
        if client_id not in self.found:
            raise CIMDError("nothing there")
        return self.found[client_id], 300


DOCUMENT = "https://rp.example/client.json"


@pytest.fixture
def documents(settings):
    settings.OAUTH2_PROVIDER = {"CIMD_ENABLED": True, "CIMD_METADATA_FETCHER": "tests.oidc.test_registration.Documents"}
    Documents.asked = []
    Documents.found = {
        DOCUMENT: {"client_id": DOCUMENT, "client_name": "The App", "redirect_uris": ["https://app.example/callback"]}
    }
    yield Documents
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def stranger(documents, browser):
    return RelyingParty(browser, DOCUMENT, secret=None, redirect_uri="https://app.example/callback")


def test_where_it_is_not_switched_on_nothing_is_fetched(stranger, settings):
    settings.OAUTH2_PROVIDER = {"CIMD_METADATA_FETCHER": "tests.oidc.test_registration.Documents"}

    assert stranger.ask().status_code == 400
    assert Documents.asked == []
    assert "client_id_metadata_document_supported" not in Client().get("/.well-known/openid-configuration").json()


def test_a_client_comes_with_its_document(stranger, browser):
    browser.sign_in("ada@example.com")
    answer = stranger.ask()

    assert answer.status_code == 303
    application = APPLICATION.objects.get()
    assert (application.client_id, application.registration_source) == (DOCUMENT, "cimd")
    client = ClientSettings.of(application)
    assert (client.kind, client.auth_method, client.response_types) == ("spa", "none", ["code"])
    assert (client.requires_pkce, client.refresh) == (True, "offline_access")
    assert not application.skip_authorization
    assert Client().get("/.well-known/openid-configuration").json()["client_id_metadata_document_supported"] is True


def test_its_document_is_fetched_again_when_it_is_old(stranger, clock):
    stranger.ask()
    stranger.ask()
    assert len(Documents.asked) == 1

    clock.shift(301)
    stranger.ask()
    assert len(Documents.asked) == 2


@pytest.mark.parametrize("client_id", ["https://rp.example/nothing", "https://rp.example/\0", "http://rp.example/x"])
def test_what_has_no_document_is_nobody(documents, browser, client_id):
    assert RelyingParty(browser, client_id, secret=None).ask().status_code == 400


def test_the_address_that_it_was_not_registered_with_gets_nothing(stranger, browser):
    browser.sign_in("ada@example.com")
    stranger.redirect_uri = "https://evil.example/cb"

    assert stranger.ask().status_code == 400


# -- the host's own word


def test_a_client_that_the_host_calls_unusable_is_nobody(signed_in, monkeypatch):
    tokens = signed_in.tokens(scope="openid offline_access")
    monkeypatch.setattr(APPLICATION, "is_usable", lambda self, request: False)

    assert signed_in.ask().status_code == 400
    assert signed_in.refresh(tokens["refresh_token"]).json() == {"error": "invalid_client"}
