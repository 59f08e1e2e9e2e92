"""The checks of the OpenID provider: what is wrong yields its id and no other of ours, and our defaults yield none."""

from datetime import timedelta

import pytest
from django.core import checks
from django.utils.module_loading import import_string
from oauth2_provider.models import get_application_model

from passwordless_auth.oidc import _dot, clients
from passwordless_auth.oidc.models import ClientSettings

APPLICATION = get_application_model()
OURS = "passwordless_auth_oidc."
ANYBODY = {
    "DCR": ["oauth2_provider.dcr.AllowAllDCRPermission"],
    "CIMD": ["oauth2_provider.cimd.AllowAllCIMDPermission"],
}

#: id: what ``OAUTH2_PROVIDER`` says.
WEAK = {
    "W101": [{"ACCESS_TOKEN_EXPIRE_SECONDS": 3601}, {"ACCESS_TOKEN_EXPIRE_SECONDS": timedelta(days=1)}],
    "W102": [{"ID_TOKEN_EXPIRE_SECONDS": 36000}, {"ID_TOKEN_EXPIRE_SECONDS": "for ever"}],
    "W103": [{"AUTHORIZATION_CODE_EXPIRE_SECONDS": 601}, {"AUTHORIZATION_CODE_EXPIRE_SECONDS": 0}],
    "W104": [{"REFRESH_TOKEN_EXPIRE_SECONDS": None}, {"REFRESH_TOKEN_EXPIRE_SECONDS": timedelta(days=31)}],
    "W105": [{"ROTATE_REFRESH_TOKEN": False}],
    "W106": [{"OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT": False}],
    "W107": [{"OIDC_RP_INITIATED_LOGOUT_STRICT_REDIRECT_URIS": False}],
    "W108": [{"REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 1, "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": False}],
    "W109": [{"OIDC_RESPONSE_TYPES_SUPPORTED": ["code", "id_token token"]}],
    "W110": [{"OIDC_ISS_ENDPOINT": "https://elsewhere.example/"}, {"OIDC_ISS_ENDPOINT": ""}],
    "W111": [{"DCR_ENABLED": True, "DCR_REGISTRATION_PERMISSION_CLASSES": ANYBODY["DCR"]}],
    "W112": [{"CIMD_ENABLED": True}, {"CIMD_ENABLED": True, "CIMD_REGISTRATION_PERMISSION_CLASSES": ANYBODY["CIMD"]}],
}
#: What django-oauth-toolkit's own checks see to, by their ids: with our defaults they are silent.
BY_DOT = {
    "W001": {"COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": False},
    "W002": {"COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": False},
    "W003": {"COMPLIANT_BCP_RFC9700_PKCE_METHOD": False},
    "W004": {"COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": False},
    "W005": {"COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": False},
    "W006": {"COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": False},
    "E002": {"REFRESH_TOKEN_REUSE_PROTECTION": False},
    "W007": {"REFRESH_TOKEN_REUSE_PROTECTION": False, "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": False},
    "E003": {"ALLOWED_REDIRECT_URI_SCHEMES": ["http", "https"]},
    "E004": {"ALLOW_URI_WILDCARDS": True},
    "E005": {"PKCE_REQUIRED": False},
}
RIGHT = [
    {},
    {"ACCESS_TOKEN_EXPIRE_SECONDS": timedelta(minutes=10)},
    {"REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 86400},
    {"DCR_ENABLED": True},
    {
        "CIMD_ENABLED": True,
        "CIMD_REGISTRATION_PERMISSION_CLASSES": ["oauth2_provider.cimd.HostAllowlistCIMDPermission"],
    },
    {"OIDC_RESPONSE_TYPES_SUPPORTED": ["code", "code id_token"]},
    {"SCOPES": {"openid": "Sign you in", "read": "Read"}},
]


def found(*, prefix=OURS, databases=(), deploy=False):
    messages = checks.run_checks(
        tags=[checks.Tags.security, checks.Tags.database, checks.Tags.models],
        databases=list(databases),
        include_deployment_checks=deploy,
    )
    return [message.id.removeprefix(prefix) for message in messages if (message.id or "").startswith(prefix)]


# -- settings


@pytest.mark.parametrize(
    ("ident", "said"), [(ident, said) for ident, cases in WEAK.items() for said in cases], ids=lambda value: str(value)
)
def test_what_a_host_sets_weaker_is_told_where_one_deploys(settings, ident, said):
    settings.OAUTH2_PROVIDER = said

    assert found() == []
    assert found(deploy=True) == [ident]


@pytest.mark.parametrize(("ident", "said"), BY_DOT.items())
def test_what_django_oauth_toolkit_tells_itself_is_not_told_twice(settings, ident, said):
    settings.OAUTH2_PROVIDER = said

    assert found(deploy=True) == []
    assert found(prefix="oauth2_provider.", deploy=True) == [ident]


@pytest.mark.parametrize("said", RIGHT, ids=str)
def test_a_host_that_says_nothing_weak_reads_nothing(settings, said):
    settings.OAUTH2_PROVIDER = said

    assert found(deploy=True) == []
    assert found(prefix="oauth2_provider.", deploy=True) == []


def test_our_defaults_are_those_of_a_host_without_settings(settings):
    if hasattr(settings, "OAUTH2_PROVIDER"):
        del settings.OAUTH2_PROVIDER

    for name, value in _dot.SAFE_DEFAULTS.items():
        wanted = import_string(value) if name.endswith("_CLASS") else value
        assert getattr(_dot.oauth2_settings, name) == wanted, name
    assert _dot.oauth2_settings.OIDC_ISS_ENDPOINT == "http://testserver/"


def test_what_the_host_says_stays(settings):
    settings.OAUTH2_PROVIDER = {"ACCESS_TOKEN_EXPIRE_SECONDS": 60}

    assert _dot.oauth2_settings.ACCESS_TOKEN_EXPIRE_SECONDS == 60
    assert _dot.oauth2_settings.ID_TOKEN_EXPIRE_SECONDS == 3600


@pytest.mark.parametrize(
    ("ident", "name", "value"),
    [
        ("W115", "OIDC_REGISTRATION_RESPONSE_TYPES", ["code", "id_token"]),
        ("W116", "OIDC_REGISTRATION_PKCE", False),
    ],
)
def test_what_clients_may_register_themselves_for_is_told_where_they_may(settings, ident, name, value):
    setattr(settings, f"PASSWORDLESS_AUTH_{name}", value)
    assert found(deploy=True) == []

    settings.OAUTH2_PROVIDER = {"DCR_ENABLED": True}
    assert found(deploy=True) == [ident]


@pytest.mark.parametrize("name", ["OIDC_LIMIT_REGISTRATIONS_PER_IP", "OIDC_LIMIT_REQUESTS_PER_IP"])
def test_a_limit_that_can_not_be_read_is_refused(settings, name):
    setattr(settings, f"PASSWORDLESS_AUTH_{name}", "often")

    assert found() == ["E009"]


@pytest.mark.parametrize("name", ["OAUTH2_SERVER_CLASS", "OIDC_RSA_PRIVATE_KEY", "ACCESS_TOKEN_GENERATOR"])
def test_settings_that_nobody_asks_any_more_are_told(settings, name):
    settings.OAUTH2_PROVIDER = {name: "tests.oidc.validators.Own"}

    assert found() == ["W001"]


def test_a_validator_that_lets_ended_sessions_in_is_told(settings):
    settings.OAUTH2_PROVIDER = {"OAUTH2_VALIDATOR_CLASS": "oauth2_provider.oauth2_validators.OAuth2Validator"}

    assert found(deploy=True) == ["W113"]


def test_without_an_issuer_the_other_checks_go_on(settings):
    del settings.PASSWORDLESS_AUTH_BASE_URL
    settings.OAUTH2_PROVIDER = {"ACCESS_TOKEN_EXPIRE_SECONDS": 3601}

    assert found(deploy=True) == ["W101"]


# -- urls


@pytest.mark.parametrize("urls", ["dot_urls", "dot_urls_openid"])
def test_urls_of_django_oauth_toolkit_in_our_place_are_told(settings, urls):
    settings.ROOT_URLCONF = f"tests.oidc.{urls}"

    assert found() == ["W002"]


def test_apart_they_are_told_where_one_deploys(settings):
    settings.ROOT_URLCONF = "tests.oidc.dot_urls_apart"

    assert found() == []
    assert found(deploy=True) == ["W114"]


# -- clients


def application(row=True, **changes):
    fields = {
        "client_type": "confidential",
        "authorization_grant_type": "authorization-code",
        "client_secret": "s" * 40,
        "redirect_uris": "https://rp.example/cb",
    }
    made = APPLICATION(**{**fields, **changes})
    settings = ClientSettings(application=made)
    if row:
        clients.set_secret(made, settings, "s" * 40)
    made.save()
    if row:
        settings.application = made
        settings.save()
    return made


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ident", "changes"),
    [
        ("W201", {"row": False}),
        ("W202", {"row": False, "hash_client_secret": False}),
        ("W203", {"algorithm": "HS256"}),
        ("W204", {"redirect_uris": "https://rp.example/cb https://*.rp.example/cb"}),
        ("W204", {"redirect_uris": "https://rp.example/cb#x"}),
        ("W204", {"redirect_uris": "http://rp.example/cb"}),
        ("W204", {"post_logout_redirect_uris": "http://rp.example/bye"}),
    ],
    ids=str,
)
def test_a_client_that_is_weak_is_told(ident, changes):
    application(client_id="first")
    weak = application(client_id="second", **changes)

    assert found(databases=["default"]) == [ident]
    assert found() == []
    weak.delete()
    assert found(databases=["default"]) == []


@pytest.mark.django_db
def test_after_the_next_use_of_a_secret_there_is_nothing_to_tell():
    application(row=False, client_id="shop")
    clients.authenticate(clients.Credentials(client_id="shop", client_secret="s" * 40))

    assert found(databases=["default"]) == []


@pytest.mark.django_db
def test_clients_without_secrets_have_no_slow_ones():
    application(client_type="public", row=False)
    other = application(client_id="signer")
    ClientSettings.objects.filter(pk=other.pk).update(auth_method="private_key_jwt", secret_digest="")

    assert found(databases=["default"]) == []


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_the_clients(django_assert_max_num_queries):
    for number in range(20):
        application(client_id=f"c{number}")

    with django_assert_max_num_queries(13):
        assert found(databases=["default"]) == []
