"""Who a client is: its id, its secret, its assertions."""

import base64
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from django.db import connection
from jwcrypto.common import base64url_encode
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWSCore
from oauth2_provider.models import get_application_model
from oauthlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError

from passwordless_auth.models import Level
from passwordless_auth.oidc import clients
from passwordless_auth.oidc.clients import Credentials
from passwordless_auth.oidc.models import ClientSettings
from passwordless_auth.policies import Rules

APPLICATION = get_application_model()

pytestmark = pytest.mark.django_db

OLD = ("k1", "the-first-key-of-the-tests-" + "a" * 20)
NEW = ("k2", "the-second-key-of-the-tests-" + "b" * 20)

TOKEN = "/openid/token"
SECRET = "correct horse battery staple"
KEY = JWK.generate(kty="EC", crv="P-256", kid="first")
RSA = JWK.generate(kty="RSA", size=2048)

#: Ids and secrets with what needs percent-encoding, or looks as if it were percent-encoded.
HARD = [
    ("plain", "plain"),
    ("a client", "with spaces and + and %"),
    ("https://rp.example/id?x=1&y=2", "a:b:c"),
    ("100%", "%41%2B"),
    ("plus+plus", "++"),
    ("müller-ß", "größer als Ω 🔑"),
    ("semi;colon", "\"quotes' and \\"),
    ("per%20cent", "p%25"),
]


def client(client_id="shop", *, secret=SECRET, method="client_secret_basic", public=False, row=True, **changes):
    application = APPLICATION(
        client_id=client_id,
        client_type=APPLICATION.CLIENT_PUBLIC if public else APPLICATION.CLIENT_CONFIDENTIAL,
        authorization_grant_type=APPLICATION.GRANT_AUTHORIZATION_CODE,
        redirect_uris="https://rp.example/cb",
        hash_client_secret=changes.pop("hashed", True),
        client_secret=secret,
    )
    if not row:
        application.save()
        return clients.load(client_id)
    settings = ClientSettings(application=application, auth_method=method, **changes)
    if secret:
        clients.set_secret(application, settings, secret)
    application.save()
    settings.application = application
    settings.save()
    return clients.load(client_id)


def basic(client_id, secret, *, encode=lambda text: quote(text, safe="")):
    pair = f"{encode(client_id)}:{encode(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def raw(text):
    return text


def who(known=None, **sent):
    return clients.authenticate(Credentials(path=TOKEN, **sent), known=known).client_id


def refused(known=None, **sent):
    with pytest.raises(InvalidClientError) as refusal:
        who(known, **sent)
    return refusal.value


def keys(*found):
    return {"keys": [json.loads(key.export_public()) for key in found]}


def assertion(
    client_id="shop", *, key=KEY, alg="ES256", headers=None, leave_out=(), kind=clients.JWT_BEARER, **changes
):
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": "http://testserver" + TOKEN,
        "jti": base64url_encode(str(time.perf_counter_ns())),
        "iat": now,
        "exp": now + 60,
        **changes,
    }
    for name in leave_out:
        del claims[name]
    header = json.dumps({"alg": alg, "typ": "JWT", **(headers or {})})
    # The core of it signs whatever it is given.
    signed = JWSCore(alg, key, header, json.dumps(claims), algs=[alg]).sign()
    token = ".".join((base64url_encode(header), base64url_encode(json.dumps(claims)), signed["signature"]))
    return {"client_assertion": token, "client_assertion_type": kind}


# -- ids


@pytest.mark.parametrize("client_id", [client_id for client_id, _secret in HARD])
def test_an_application_comes_with_its_settings_in_one_select(client_id, django_assert_num_queries):
    client(client_id)

    with django_assert_num_queries(1):
        found = clients.load(client_id)
        assert ClientSettings.of(found).auth_method == "client_secret_basic"


def test_one_that_was_there_before_us_costs_no_second_select(django_assert_num_queries):
    client(row=False)

    with django_assert_num_queries(1):
        assert ClientSettings.of(clients.load("shop"))._state.adding


@pytest.mark.parametrize("client_id", ["", "\0", "shop\0", "x" * 256, "\ud800"])
def test_what_can_not_be_an_id_is_not_asked_for(client_id, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert clients.load(client_id) is None


@pytest.mark.parametrize("client_id", ["SHOP", "Shop", "shop ", "shóp"])
def test_ids_are_compared_character_by_character(client_id):
    """MariaDB and MySQL would take these for the same."""
    client("shop")

    assert clients.load(client_id) is None
    assert clients.load("shop") is not None


# -- secrets on their way


@pytest.mark.parametrize(("client_id", "secret"), HARD)
@pytest.mark.parametrize("encode", [lambda text: quote(text, safe=""), quote_plus], ids=["percent", "form"])
def test_basic_takes_ids_and_secrets_as_the_standard_encodes_them(client_id, secret, encode):
    client(client_id, secret=secret)

    assert who(authorization=basic(client_id, secret, encode=encode)) == client_id
    refused(authorization=basic(client_id, secret + "x", encode=encode))


@pytest.mark.parametrize(("client_id", "secret"), [pair for pair in HARD if ":" not in pair[0]])
def test_basic_takes_them_from_clients_that_do_not_encode(client_id, secret):
    client(client_id, secret=secret)

    assert who(authorization=basic(client_id, secret, encode=raw)) == client_id
    refused(authorization=basic(client_id, secret + "x", encode=raw))


def test_basic_takes_latin_1_from_clients_that_know_nothing_else():
    client("müller", secret="größer")
    header = "Basic " + base64.b64encode("müller:größer".encode("latin-1")).decode()

    assert who(authorization=header) == "müller"


@pytest.mark.parametrize(("client_id", "secret"), HARD)
def test_the_body_takes_them_as_they_are(client_id, secret):
    client(client_id, secret=secret, method="client_secret_post")

    assert who(client_id=client_id, client_secret=secret) == client_id
    refused(client_id=client_id, client_secret=secret[:-1])


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_who_has_a_secret_may_send_it_either_way(method):
    client(method=method)

    assert who(authorization=basic("shop", SECRET)) == "shop"
    assert who(client_id="shop", client_secret=SECRET) == "shop"


def test_the_name_of_the_scheme_has_no_case():
    client()

    assert who(authorization=basic("shop", SECRET).replace("Basic", "bASIC")) == "shop"


def test_an_id_in_the_body_beside_the_header_has_to_be_the_same():
    client()
    client("other")

    assert who(authorization=basic("shop", SECRET), client_id="shop") == "shop"
    refused(authorization=basic("shop", SECRET), client_id="other")


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic ", "Basic !!!", "Basic c2hvcA", "Basic c2hvcA==", "Basic \xff", "Bearer c2hvcDp4", "", "x" * 9000],
)
def test_a_header_that_names_nobody_is_nobody(header):
    client()

    refused(authorization=header)


@pytest.mark.parametrize("secret", ["", "\0", SECRET + "\0", "\ud800", "x" * 5000])
@pytest.mark.parametrize("row", [True, False])
def test_what_can_not_be_a_secret_is_wrong(secret, row):
    client(row=row)

    refused(client_id="shop", client_secret=secret)


def test_a_public_client_sends_its_id_alone():
    client(public=True, method="none")

    assert who(client_id="shop") == "shop"
    assert who(authorization=basic("shop", "")) == "shop"
    refused(client_id="shop", client_secret="made up")


@pytest.mark.parametrize(
    "changes",
    [
        {"public": False, "method": "client_secret_basic"},
        {"public": True, "method": "client_secret_basic"},
        {"public": False, "method": "none"},
        {"public": False, "method": "private_key_jwt"},
        {"public": False, "method": "client_secret_jwt"},
        {"row": False},
    ],
    ids=str,
)
def test_nobody_else_does(changes):
    client(**changes)

    refused(client_id="shop")
    refused(authorization=basic("shop", ""))


def test_without_a_secret_there_is_none_to_send():
    APPLICATION.objects.filter(pk=client(row=False).pk).update(client_secret="")

    for secret in ("", "x"):
        refused(client_id="shop", client_secret=secret)


def test_two_ways_at_once_are_refused():
    client()
    client("signer", method="private_key_jwt", jwks=keys(KEY))
    signed = assertion(client_id="signer")
    for sent in (
        {"authorization": basic("shop", SECRET), "client_id": "shop", "client_secret": SECRET},
        {"authorization": basic("signer", SECRET), **signed},
        {"client_secret": SECRET, **signed},
    ):
        with pytest.raises(InvalidRequestError):
            who(**sent)
    assert who(**signed) == "signer"


def test_one_that_is_loaded_already_is_not_asked_for_again(django_assert_num_queries):
    shop, other = client(), client("other", secret="other")

    with django_assert_num_queries(0):
        assert who(shop, authorization=basic("shop", SECRET)) == "shop"
    # SECURITY: whose code it is says nothing about who brings it.
    assert who(shop, authorization=basic("other", "other")) == "other"
    refused(other, authorization=basic("shop", "other"))


def test_the_answer_does_not_say_what_was_wrong(django_assert_num_queries):
    client()
    client("signer", method="private_key_jwt", jwks=keys(KEY))
    answers = []
    for client_id in ("shop", "nobody", "signer"):
        with django_assert_num_queries(1):
            refusal = refused(client_id=client_id, client_secret="wrong")
        answers.append((refusal.json, refusal.status_code, str(refusal)))

    assert set(answers) == {('{"error": "invalid_client"}', 401, "(invalid_client) ")}


# -- secrets at rest


def no_slow_hash(monkeypatch):
    def called(*_args, **_kwargs):
        raise AssertionError("the slow hash was asked")

    monkeypatch.setattr("passwordless_auth.oidc.clients.check_password", called)


def test_a_secret_is_kept_as_a_keyed_digest_that_costs_no_query_and_no_slow_hash(
    monkeypatch, django_assert_num_queries
):
    shop = client()
    no_slow_hash(monkeypatch)

    with django_assert_num_queries(0):
        assert clients.check_secret(shop, shop.passwordless_settings, SECRET)
        assert not clients.check_secret(shop, shop.passwordless_settings, SECRET + "x")
    assert shop.passwordless_settings.secret_digest.startswith("k1:")


def test_the_secret_itself_is_nowhere():
    client()
    with connection.cursor() as cursor:
        for table in (APPLICATION._meta.db_table, ClientSettings._meta.db_table):
            cursor.execute(f"SELECT * FROM {table}")
            assert SECRET not in str(cursor.fetchall())


def test_django_oauth_toolkit_can_check_it_as_well():
    """A host can go back."""
    from oauth2_provider.oauth2_validators import OAuth2Validator

    assert OAuth2Validator()._check_secret(SECRET, client().client_secret)


@pytest.mark.parametrize("row", [True, False], ids=["with settings", "without"])
def test_an_old_row_is_asked_by_its_slow_hash_once(monkeypatch, row):
    client(row=row)
    ClientSettings.objects.update(secret_digest="", secret_of="")
    assert ClientSettings.objects.count() == row

    refused(client_id="shop", client_secret="wrong")
    assert not ClientSettings.objects.exclude(secret_digest="").exists()
    assert who(client_id="shop", client_secret=SECRET) == "shop"

    no_slow_hash(monkeypatch)
    assert who(client_id="shop", client_secret=SECRET) == "shop"
    refused(client_id="shop", client_secret="wrong")


def test_an_old_application_keeps_what_it_was_allowed_when_its_secret_moves():
    client(row=False)
    APPLICATION.objects.update(authorization_grant_type=APPLICATION.GRANT_OPENID_HYBRID)
    before = ClientSettings.of(clients.load("shop"))

    who(client_id="shop", client_secret=SECRET)

    after = ClientSettings.of(clients.load("shop"))
    assert not after._state.adding
    for name in ("kind", "response_types", "requires_pkce", "auth_method", "refresh"):
        assert getattr(after, name) == getattr(before, name), name


def test_two_that_come_first_at_the_same_time_write_one_row():
    client(row=False)
    first, second = clients.load("shop"), clients.load("shop")

    assert clients.check_secret(first, ClientSettings.of(first), SECRET)
    assert clients.check_secret(second, ClientSettings.of(second), SECRET)
    assert ClientSettings.objects.count() == 1


def test_a_secret_that_was_changed_elsewhere_is_the_one_that_counts():
    client()
    application = APPLICATION.objects.get()
    application.client_secret = "set in another admin"
    application.save()

    refused(client_id="shop", client_secret=SECRET)
    assert who(client_id="shop", client_secret="set in another admin") == "shop"
    refused(client_id="shop", client_secret=SECRET)


def test_secrets_that_are_not_hashed_work():
    client(hashed=False)

    assert who(client_id="shop", client_secret=SECRET) == "shop"
    refused(client_id="shop", client_secret="wrong")


def test_the_digest_of_one_client_is_worth_nothing_for_another():
    client()
    client("other")
    mine, others = ClientSettings.objects.order_by("pk")

    assert mine.secret_digest != others.secret_digest
    ClientSettings.objects.filter(pk=others.pk).update(secret_digest=mine.secret_digest)
    refused(client_id="other", client_secret=SECRET)


def test_a_digest_moves_to_the_newest_key_with_its_next_use(settings):
    client()
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW, OLD]
    settings.PASSWORDLESS_AUTH_NEW_KEY_DELAY = 3600
    who(client_id="shop", client_secret=SECRET)
    assert ClientSettings.objects.get().secret_digest.startswith("k1:")  # other processes may not know it yet

    settings.PASSWORDLESS_AUTH_NEW_KEY_DELAY = 0
    who(client_id="shop", client_secret=SECRET)
    assert ClientSettings.objects.get().secret_digest.startswith("k2:")


def test_when_its_key_is_gone_the_slow_hash_is_left(settings):
    client()
    settings.PASSWORDLESS_AUTH_SECRET_KEYS = [NEW]

    refused(client_id="shop", client_secret="wrong")
    assert who(client_id="shop", client_secret=SECRET) == "shop"
    assert ClientSettings.objects.get().secret_digest.startswith("k2:")


# -- assertions


def by_secret(secret):
    return JWK(kty="oct", k=base64url_encode(secret))


def signer(**changes):
    return client(method="private_key_jwt", secret="", **{"jwks": keys(KEY, RSA), **changes})


@pytest.mark.parametrize(
    ("key", "alg"),
    [(KEY, "ES256"), *((RSA, alg) for alg in ("RS256", "RS512", "PS256"))],
    ids=["ES256", "RS256", "RS512", "PS256"],
)
def test_a_client_signs_with_its_own_key(key, alg):
    signer()

    assert who(**assertion(key=key, alg=alg)) == "shop"
    assert who(**assertion(key=key, alg=alg), client_id="shop") == "shop"


def test_ed25519_does_too():
    key = JWK.generate(kty="OKP", crv="Ed25519")
    signer(jwks=keys(key))

    assert who(**assertion(key=key, alg="EdDSA")) == "shop"


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("hashed", [True, False])
def test_a_client_signs_with_its_secret(alg, hashed):
    secret = "0123456789abcdef" * 4
    client(method="client_secret_jwt", secret=secret, hashed=hashed)

    assert who(**assertion(key=by_secret(secret), alg=alg)) == "shop"
    refused(**assertion(key=by_secret(secret + "x"), alg=alg))
    refused(client_id="shop", client_secret=secret)
    refused(authorization=basic("shop", secret))


def test_a_secret_that_was_changed_elsewhere_signs_no_more():
    secret = "0123456789abcdef" * 4
    client(method="client_secret_jwt", secret=secret)
    application = APPLICATION.objects.get()
    application.client_secret = "set in another admin"
    application.save()

    refused(**assertion(key=by_secret(secret), alg="HS256"))


@pytest.mark.parametrize("aud", ["http://testserver/", "http://testserver", "http://testserver" + TOKEN])
@pytest.mark.parametrize("listed", [True, False])
def test_it_is_for_the_issuer_or_for_the_endpoint(aud, listed):
    signer()

    assert who(**assertion(aud=[aud] if listed else aud)) == "shop"


def not_right():
    """What may be wrong with an assertion, by name."""
    now, hour = int(time.time()), 3600
    yield "for another", {"aud": "https://somebody.example/"}
    yield "for another, too", {"aud": ["http://testserver/", "https://somebody.example/"]}
    yield "for no one", {"aud": []}
    yield "for something", {"aud": [{}]}
    yield "for null", {"aud": None}
    yield "no aud", {"leave_out": ["aud"]}
    yield "no exp", {"leave_out": ["exp"]}
    yield "over", {"exp": now - hour}
    yield "good for a year", {"exp": now + 365 * 24 * hour}
    yield "exp in words", {"exp": "soon"}
    yield "exp true", {"exp": True}
    yield "exp never", {"exp": float("inf")}
    yield "exp beyond all numbers", {"exp": 10**400}
    yield "nbf beyond all numbers", {"nbf": 10**400}
    yield "nbf no number", {"nbf": float("nan")}
    yield "not yet", {"nbf": now + hour}
    yield "nbf in words", {"nbf": "now"}
    yield "no jti", {"leave_out": ["jti"]}
    yield "jti empty", {"jti": ""}
    yield "jti a number", {"jti": 7}
    yield "no iss", {"leave_out": ["iss"]}
    yield "iss of another", {"iss": "other"}
    yield "no sub", {"leave_out": ["sub"]}
    yield "sub of another", {"sub": "other"}
    yield "of nobody", {"iss": "nobody", "sub": "nobody"}
    yield "of NUL", {"iss": "\0", "sub": "\0"}
    yield "of half a letter", {"iss": "\ud800", "sub": "\ud800"}
    yield "of a list", {"iss": ["shop"], "sub": ["shop"]}
    yield "no type", {"kind": ""}
    yield "another type", {"kind": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}
    yield "another key of that name", {"key": JWK.generate(kty="EC", crv="P-256", kid="first")}
    yield "a key of another kind", {"key": RSA, "alg": "RS256", "headers": {"kid": "first"}}
    yield "a key it does not have", {"headers": {"kid": "another"}}
    yield "a key it brings", {"key": JWK.generate(kty="EC", crv="P-256"), "headers": {"jwk": keys(KEY)["keys"][0]}}
    yield "a payload that is not encoded", {"headers": {"crit": ["b64"], "b64": False}}
    yield "critical things unknown", {"headers": {"crit": ["exp"], "exp": 1}}


@pytest.mark.parametrize("name", [name for name, _changes in not_right()])
def test_one_that_is_not_right_is_nobodys(name):
    signer(jwks=keys(KEY))
    client("other", method="private_key_jwt", jwks=keys(KEY))

    refused(**assertion(**dict(not_right())[name]))
    assert who(**assertion()) == "shop"


def test_the_key_of_the_set_may_have_no_name():
    nameless = JWK.generate(kty="EC", crv="P-256")
    members = {key: value for key, value in json.loads(nameless.export_public()).items() if key != "kid"}
    signer(jwks={"keys": [{"kty": "unknown"}, "x", members]})

    assert who(**assertion(key=nameless, headers={"kid": "of the client's own"})) == "shop"


def test_a_key_for_encryption_signs_nothing():
    signer(jwks={"keys": [{**keys(KEY)["keys"][0], "use": "enc"}]})

    refused(**assertion())


def test_a_public_key_is_no_secret():
    """The confusion of RS256 and HS256 (RFC 8725 §2.1)."""
    signer(jwks=keys(RSA))

    refused(**assertion(key=by_secret(RSA.export_to_pem().decode()), alg="HS256"))


def test_unsigned_is_unsigned():
    signer()
    none = base64url_encode(json.dumps({"alg": "none"}))
    claims = assertion()["client_assertion"].split(".")[1]
    for text in (f"{none}.{claims}.", f"{none}.{claims}.AAAA", f"{none}.{claims}"):
        refused(client_assertion=text, client_assertion_type=clients.JWT_BEARER)


@pytest.mark.parametrize(
    "text",
    ["x", "..", "a.b.c", "e30.e30.AAAA", "W10.W10.AAAA", "{}.{}.{}", "ÿ.ÿ.ÿ", "A" * 60000, "W1tb" * 9000 + ".e30.AAAA"],
    ids=lambda text: text[:12],
)
def test_what_is_no_token_is_nobodys(text):
    signer()

    refused(client_assertion=text, client_assertion_type=clients.JWT_BEARER)


def test_one_assertion_is_good_once():
    signer()
    client("other", method="private_key_jwt", jwks=keys(KEY))
    sent = assertion(jti="one")

    assert who(**sent) == "shop"
    refused(**sent)
    refused(**assertion(jti="one"))
    assert who(**assertion(jti="two")) == "shop"
    assert who(**assertion("other", jti="one")) == "other"


def test_one_that_was_refused_uses_nothing_up():
    signer()

    refused(**assertion(jti="one", aud="https://somebody.example/"))
    refused(**assertion(jti="one", key=JWK.generate(kty="EC", crv="P-256")))
    assert who(**assertion(jti="one")) == "shop"


def test_an_id_in_the_body_has_to_be_the_same():
    signer()
    client("other")

    refused(**assertion(), client_id="other")


def test_who_registered_for_assertions_sends_no_secret_and_the_other_way_round():
    client(method="private_key_jwt", jwks=keys(KEY))
    client("other", jwks=keys(KEY))

    refused(client_id="shop", client_secret=SECRET)
    refused(**assertion("other"))
    assert who(**assertion()) == "shop"
    assert who(client_id="other", client_secret=SECRET) == "other"


def test_at_another_endpoint_it_may_name_the_token_endpoint_and_that_one_alone():
    signer()
    credentials = {"path": "/openid/introspect", **assertion(aud="http://testserver" + TOKEN)}

    assert clients.authenticate(Credentials(**credentials)).client_id == "shop"
    refused(**assertion(aud="http://testserver/openid/introspect"))


# -- rules


def test_a_client_without_wishes_has_the_rules_of_the_site(settings):
    settings.PASSWORDLESS_AUTH_CODE_TRIES = 2

    assert clients.rules_for(ClientSettings()) == Rules()


def test_a_client_has_its_own_numbers():
    rules = clients.rules_for(
        ClientSettings(code_lifetime=180, code_length=8, code_tries=2, minimum_level="multi", message="code")
    )

    assert (rules.code_lifetime, rules.link_lifetime, rules.code_length, rules.code_tries) == (180, 180, 8, 2)
    assert rules.minimum_level == Level.MULTI
    assert "magic_link" not in rules.methods
    assert {"one_time_code", "passkey"} <= set(rules.methods)
    assert "one_time_code" not in clients.rules_for(ClientSettings(message="link")).methods


def test_whatever_a_row_says_the_limits_hold():
    rules = clients.rules_for(ClientSettings(code_lifetime=86400, code_length=1, code_tries=100))

    assert (rules.code_lifetime, rules.link_lifetime, rules.code_length, rules.code_tries) == (600, 600, 6, 5)


def test_nobody_is_locked_out_by_a_wish_for_what_the_site_has_not(settings):
    settings.PASSWORDLESS_AUTH_METHODS = ["magic_link", "passkey"]

    assert "magic_link" in clients.rules_for(ClientSettings(message="code")).methods


def test_credentials_do_not_show_themselves():
    assert SECRET not in repr(Credentials(client_secret=SECRET, authorization="Basic " + SECRET))
