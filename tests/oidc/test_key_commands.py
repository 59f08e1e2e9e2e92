"""What an operator does with keys: rotate them, move them to another secret, look whether all is well."""

import io
from datetime import timedelta

import jwt
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.utils import timezone

from passwordless_auth import checks as core_checks
from passwordless_auth import derivation
from passwordless_auth.models import Profile
from passwordless_auth.oidc import checks_keys, clients, keys, tokens
from passwordless_auth.oidc.models import ClientSettings, PairwiseSalt, SigningKey
from passwordless_auth.testing.factories import UserFactory

from .relying_party import SECRET, make_client

DAY = 86400
OLD = ("k1", "the-first-key-of-the-tests-" + "a" * 20)
NEW = ("k2", "the-next-key-of-the-tests-" + "b" * 20)


def run(command, **options):
    out, err = io.StringIO(), io.StringIO()
    call_command(command, stdout=out, stderr=err, **options)
    assert err.getvalue() == ""
    return out.getvalue().splitlines()


def kids_of(client):
    return {key["kid"] for key in client.get("/openid/jwks").json()["keys"]}


def key_of(token):
    return jwt.get_unverified_header(token)["kid"]


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_in_database")
class TestRotateSigningKeys:
    def test_the_story_of_a_rotation(self, client, clock):
        before = tokens.sign({"sub": "ada"}, alg="RS256")
        assert len(kids_of(client)) == 2

        said = run("rotate_signing_keys")
        assert [line.partition(" ")[0] for line in said] == ["ES256", "RS256"]
        assert all(line.endswith(": signs from 2026-05-02 12:00 UTC") for line in said)
        new = {line.split()[1].rstrip(":") for line in said}
        assert new < kids_of(client)
        assert len(kids_of(client)) == 4

        assert key_of(tokens.sign({}, alg="RS256")) == key_of(before)
        clock.shift(DAY)
        assert key_of(tokens.sign({}, alg="RS256")) in new
        assert key_of(before) in kids_of(client)
        clock.shift(32 * DAY)
        assert kids_of(client) == new

        assert SigningKey.objects.count() == 4
        assert "oidc_signing_keys: 2" in run("passwordless_purge")
        assert set(SigningKey.objects.values_list("kid", flat=True)) == new
        assert "oidc_signing_keys: 0" in run("passwordless_purge")

    def test_it_is_in_the_log_without_what_is_secret(self, caplog):
        caplog.set_level("INFO", logger="passwordless_auth")
        keys.signing_key("RS256")
        run("rotate_signing_keys", compromised=True)
        assert "Signing keys were withdrawn as compromised: 2" in caplog.messages
        made = [message for message in caplog.messages if message.startswith("A signing key was made for RS256: ")]
        assert len(made) == 2
        private = keys.signing_key("RS256").jwk.export_private(as_dict=True)
        assert private["d"] not in caplog.text

    def test_keys_that_leaked_are_withdrawn_at_once(self, client, clock):
        before = tokens.sign({"iss": "http://testserver/", "exp": 2**31}, alg="RS256")
        said = run("rotate_signing_keys", compromised=True)
        assert all(line.endswith(": signs from 2026-05-01 12:00 UTC") for line in said)
        assert kids_of(client) == {line.split()[1].rstrip(":") for line in said}
        assert key_of(tokens.sign({}, alg="RS256")) in kids_of(client)
        assert tokens.read(before) is None

    def test_keys_of_the_settings_are_rotated_there(self, settings, made_keys):
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = made_keys
        with pytest.raises(CommandError, match="OIDC_SIGNING_KEYS"):
            run("rotate_signing_keys")
        assert not SigningKey.objects.exists()


def dropped():
    return [message.id for message in core_checks.check_keys_in_use(databases=["default"])]


@pytest.fixture
def one_of_each(settings, keys_in_database):
    """What this app keeps encrypted, under the old key."""
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [OLD]
    return {
        "signing": keys.signing_key("RS256"),
        "client": make_client("app", auth_method="client_secret_jwt"),
        "salt": PairwiseSalt.objects.current(),
    }


@pytest.mark.django_db
def test_what_is_encrypted_moves_to_the_newest_key_and_the_old_one_can_go(one_of_each, settings, clock):
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]
    assert dropped() == []
    assert run("passwordless_reseal")[2:] == ["signing_keys: 2", "client_secrets: 1", "pairwise_salt: 1"]
    assert run("passwordless_reseal")[2:] == ["signing_keys: 0", "client_secrets: 0", "pairwise_salt: 0"]

    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]
    keys.forget()
    assert dropped() == []
    assert keys.signing_key("RS256").kid == one_of_each["signing"].kid
    assert keys.signing_key("RS256").signs
    assert PairwiseSalt.objects.current() == one_of_each["salt"]
    application = one_of_each["client"]
    assert clients._secret_for_hmac(application, ClientSettings.objects.get()) == SECRET


@pytest.mark.django_db
@pytest.mark.parametrize("row", ["signing", "client", "salt"])
def test_a_key_that_one_of_them_needs_must_not_be_dropped(one_of_each, settings, row, clock):
    for model, needed in ((SigningKey, "signing"), (ClientSettings, "client"), (PairwiseSalt, "salt")):
        if needed != row:
            model.objects.all().delete()
    assert dropped() == []
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]
    assert dropped() == ["passwordless_auth.E201"]


@pytest.mark.django_db
def test_a_signing_key_that_is_published_no_more_needs_no_key(settings, keys_in_database, clock):
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [OLD]
    keys.signing_key("RS256")
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]
    assert dropped() == ["passwordless_auth.E201"]
    SigningKey.objects.update(published_until=timezone.now() - timedelta(seconds=1))
    assert dropped() == []


@pytest.mark.django_db
def test_a_pairwise_subject_outlives_the_keys(one_of_each, settings):
    handle = Profile.objects.of(UserFactory()).handle
    before = derivation.pairwise_subject(handle, sector="app.example", salt=PairwiseSalt.objects.current())
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]
    run("passwordless_reseal")
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]
    assert derivation.pairwise_subject(handle, sector="app.example", salt=PairwiseSalt.objects.current()) == before


# -- checks


def found(databases=None):
    messages = [
        message
        for check in (*checks_keys._ALWAYS, checks_keys.check_algorithms_of_clients)
        for message in check(databases=databases)
    ]
    assert all(message.hint for message in messages)
    return [message.id.removeprefix("passwordless_auth_oidc.") for message in messages]


@pytest.fixture
def https(settings):
    settings.PASSWORDLESS_AUTH_BASE_URL = "https://example.com"


def test_with_our_defaults_all_is_well(settings):
    settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = []
    assert found() == []


@pytest.mark.usefixtures("https")
@pytest.mark.parametrize("issuer", ["https://example.com/", "https://example.com", "https://EXAMPLE.com/", "", None])
def test_issuers_that_are_right(settings, issuer):
    settings.PASSWORDLESS_AUTH_OIDC_ISSUER = issuer
    assert found() == []


@pytest.mark.usefixtures("https")
@pytest.mark.parametrize(
    "issuer",
    [
        "http://example.com/",
        "example.com",
        "https:///",
        "https://example.com/?tenant=1",
        "https://example.com/#top",
        "https://example.com/?",
        "https://ada@example.com/",
        "https://example.com:port/",
        "https://[example.com/",
        "https://example.com/ ",
        "urn:example",
    ],
)
def test_issuers_that_are_none(settings, issuer):
    settings.PASSWORDLESS_AUTH_OIDC_ISSUER = issuer
    assert found() == ["E001"]


def test_a_developers_site_has_no_https(settings):
    settings.PASSWORDLESS_AUTH_BASE_URL = "http://localhost:8000"
    assert found() == []
    settings.PASSWORDLESS_AUTH_OIDC_ISSUER = "http://localhost:8000/"
    assert found() == []


@pytest.mark.usefixtures("https")
@pytest.mark.parametrize("issuer", ["https://id.example.com/", "https://example.com:8443/"])
def test_an_issuer_on_another_host(settings, issuer):
    settings.PASSWORDLESS_AUTH_OIDC_ISSUER = issuer
    assert found() == ["W011"]


@pytest.mark.usefixtures("https")
def test_an_issuer_with_a_path_needs_its_document_there(settings):
    settings.PASSWORDLESS_AUTH_OIDC_ISSUER = "https://example.com/o"
    assert found() == ["E002"]
    settings.ROOT_URLCONF = "tests.oidc.test_metadata"
    assert found() == []
    settings.PASSWORDLESS_AUTH_OIDC_ISSUER = "https://example.com/p"
    assert found() == ["E002"]


def test_urls_that_are_missing(settings):
    settings.ROOT_URLCONF = "passwordless_auth.urls"
    assert found() == ["E002"]


def test_what_the_core_tells_is_not_told_again(settings):
    del settings.PASSWORDLESS_AUTH_BASE_URL
    assert found() == []


@pytest.mark.parametrize(
    ("ident", "name", "value"),
    [
        ("E003", "OIDC_SUBJECT", "transient"),
        ("E007", "OIDC_NEW_KEY_DELAY", "soon"),
        ("E007", "OIDC_NEW_KEY_DELAY", 10**9),
        ("E007", "OIDC_AUTHORIZATION_LIFETIME", 0),
        ("E007", "OIDC_AUTHORIZATION_LIFETIME", None),
        ("E007", "OIDC_REFRESH_LIFETIME", -1),
        ("E007", "OIDC_REFRESH_LIFETIME", float("inf")),
        ("E008", "OIDC_CLAIMS", "no.such.function"),
        ("E008", "OIDC_CLAIMS", "nodots"),
        ("E008", "OIDC_CLAIMS", "django.conf.settings.DEBUG"),
        ("E008", "OIDC_CLAIMS", "passwordless_auth.conf.PREFIX"),
    ],
)
def test_settings_that_are_wrong(settings, ident, name, value):
    setattr(settings, f"PASSWORDLESS_AUTH_{name}", value)
    assert found() == [ident]


@pytest.mark.parametrize("algorithms", [["ES256"], [], ["RS256", "none"], ["RS256", "HS256"], "RS256", 7, None])
def test_algorithms_that_are_wrong(settings, algorithms):
    settings.PASSWORDLESS_AUTH_OIDC_SIGNING_ALGORITHMS = algorithms
    assert found() == ["E004"]


def test_keys_that_are_wrong(settings, made_keys):
    for wrong in ([{"kty": "oct", "k": "c2VjcmV0"}], ["-----BEGIN PRIVATE KEY-----"], 7):
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = wrong
        assert found() == ["E005"]
        with pytest.raises(ImproperlyConfigured):
            keys.signing_key("RS256")
    public = {name: value for name, value in made_keys[0].items() if name in ("kty", "n", "e")}
    for without_rsa in (made_keys[1:], [public, *made_keys[1:]]):
        settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = without_rsa
        assert found() == ["E006"]
    settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = [made_keys[0], public]
    assert found() == []


def test_new_keys_that_sign_before_everybody_knows_them(settings):
    settings.PASSWORDLESS_AUTH_OIDC_NEW_KEY_DELAY = 3659
    assert found() == ["W012"]
    settings.PASSWORDLESS_AUTH_OIDC_NEW_KEY_DELAY = 3660
    assert found() == []
    settings.OAUTH2_PROVIDER = {"OIDC_JWKS_MAX_AGE_SECONDS": 7200}
    assert found() == ["W012"]


@pytest.mark.django_db
def test_clients_that_expect_what_nobody_can_sign(settings, made_keys):
    make_client("app", id_token_alg="EdDSA")
    make_client("plain", id_token_alg="")
    assert found(databases=["default"]) == []
    settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = made_keys[:1]
    assert found(databases=["default"]) == ["E201"]
    assert found() == []
    settings.PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS = []
    assert found(databases=["default"]) == []
    make_client("old", id_token_alg="HS256")
    assert found(databases=["default"]) == ["E201"]
