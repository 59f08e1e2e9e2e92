"""Tokens of ours, read by another library; and what is none of ours."""

import base64
import hashlib
import hmac
import json

import jwt
import pytest
from jwcrypto.jwk import JWK

from passwordless_auth.oidc import keys, tokens
from passwordless_auth.oidc.models import Authorization

ISSUER = "http://testserver/"
ALGS = ["RS256", "ES256", "EdDSA"]


def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def part(value):
    return b64(json.dumps(value).encode())


def public_key(kid):
    """What a client would take from the key set, as PyJWT reads it."""
    (found,) = [key for key in keys.jwks()["keys"] if key["kid"] == kid]
    return jwt.PyJWK(found)


def read_elsewhere(token, **options):
    kid = jwt.get_unverified_header(token)["kid"]
    return jwt.decode(token, public_key(kid), issuer=ISSUER, audience="app", **options)


def an_authorization(**columns):
    return Authorization(
        **{
            "auth_time": 1777636000,
            "amr": ["otp"],
            "acr": "single",
            "sid": "s" * 22,
            "nonce": "n-0S6_WzA2Mj",
            **columns,
        }
    )


def an_id_token(alg="RS256", **more):
    given = {"subject": "sub-1", "client_id": "app", "authorization": an_authorization(), "lifetime": 3600, **more}
    return tokens.id_token(alg=alg, **given)


@pytest.mark.django_db
@pytest.mark.parametrize("alg", ALGS)
def test_id_tokens_say_what_the_standard_asks_for_and_verify_elsewhere(clock, alg):
    token = an_id_token(alg, access_token="the-access-token", code="the-code")

    claims = read_elsewhere(token, algorithms=[alg])
    assert claims.pop("jti")
    # OpenID Connect Core §3.1.3.6: the left half, of the hash of the signature's algorithm.
    new = hashlib.sha512 if alg == "EdDSA" else hashlib.sha256
    at_hash, c_hash = new(b"the-access-token").digest(), new(b"the-code").digest()
    assert claims == {
        "iss": ISSUER,
        "sub": "sub-1",
        "aud": "app",
        "iat": 1777636800,
        "exp": 1777640400,
        "auth_time": 1777636000,
        "nonce": "n-0S6_WzA2Mj",
        "acr": "single",
        "amr": ["otp"],
        "sid": "s" * 22,
        "at_hash": b64(at_hash[: len(at_hash) // 2]),
        "c_hash": b64(c_hash[: len(c_hash) // 2]),
    }
    assert tokens.read(token) is not None


def test_the_hash_of_an_access_token_is_that_of_the_standards_example():
    # OpenID Connect Core, appendix A.3 and A.4.
    assert tokens.hash_of("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "RS256") == "77QmUPtjPfzWtF2AnpK9RQ"
    assert tokens.hash_of("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", "ES256") == (
        "LDktKdoQak3Pk0cnXxCltA"
    )


def test_what_is_not_known_of_a_sign_in_is_not_said():
    nothing = an_authorization(auth_time=None, amr=[], acr="", sid="", nonce="")
    claims = tokens.read(an_id_token(authorization=nothing))
    assert claims.keys() == {"iss", "sub", "aud", "iat", "exp", "jti"}


def test_other_claims_come_along_but_take_the_place_of_none_of_the_protocols():
    nothing = an_authorization(auth_time=None, amr=[], acr="", sid="", nonce="")
    wished = {"name": "Ada", "sub": "root", "acr": "phr", "nonce": "x", "exp": 9999999999, "aud": ["a", "b"]}
    claims = tokens.read(an_id_token(authorization=nothing, extra_claims=wished))

    assert claims["name"] == "Ada"
    assert claims["sub"] == "sub-1"
    assert claims["aud"] == "app"
    assert claims["exp"] < 9999999999
    assert not {"acr", "nonce"} & claims.keys()


@pytest.mark.django_db
@pytest.mark.parametrize("alg", ALGS)
def test_a_logout_token_is_as_back_channel_logout_has_it_and_no_id_token(clock, alg):
    token = tokens.logout_token(subject="sub-1", client_id="app", sid="s1", alg=alg)

    assert jwt.get_unverified_header(token) == {"typ": "logout+jwt", "alg": alg, "kid": keys.signing_key(alg).kid}
    claims = read_elsewhere(token, algorithms=[alg])
    assert claims.pop("jti")
    assert claims == {
        "iss": ISSUER,
        "sub": "sub-1",
        "aud": "app",
        "iat": 1777636800,
        "exp": 1777636920,
        "sid": "s1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    }
    assert tokens.read(token) is None
    assert tokens.read(token, typ=tokens.LOGOUT_TYP) is not None
    assert tokens.read(an_id_token(alg), typ=tokens.LOGOUT_TYP) is None


def test_a_logout_token_may_name_the_session_alone():
    token = tokens.logout_token(subject="", client_id="app", sid="s1", alg="RS256")
    claims = tokens.read(token, typ=tokens.LOGOUT_TYP)
    assert "sub" not in claims
    assert claims["sid"] == "s1"


def test_each_token_has_an_id_of_its_own():
    assert tokens.read(an_id_token())["jti"] != tokens.read(an_id_token())["jti"]


def test_a_token_runs_out_and_is_still_good_for_a_hint(clock):
    token = an_id_token(lifetime=60)
    clock.shift(59)
    assert tokens.read(token)["sub"] == "sub-1"
    clock.shift(1)
    assert tokens.read(token) is None
    assert tokens.read(token, allow_expired=True)["sub"] == "sub-1"


def test_a_token_in_another_name_is_none_of_ours(settings):
    token = an_id_token()
    assert tokens.read(token)
    settings.PASSWORDLESS_AUTH_OIDC_ISSUER = "https://elsewhere.example/"
    assert tokens.read(token) is None


@pytest.mark.django_db
def test_a_changed_token_is_none_of_ours():
    header, payload, signature = an_id_token().split(".")
    claims = tokens.read(f"{header}.{payload}.{signature}")

    other = part({**claims, "sub": "root"})
    assert tokens.read(f"{header}.{other}.{signature}") is None
    assert tokens.read(f"{header}.{payload}.{signature[:-8]}AAAAAAAA") is None
    assert tokens.read(f"{header}.{payload}.") is None
    # "It isn't signed", they say, and leave the signature out, or any in (RFC 8725 §2.1).
    for alg in ("none", "None", "NONE", ""):
        unsigned = part({**json.loads(base64.urlsafe_b64decode(header + "==")), "alg": alg})
        assert tokens.read(f"{unsigned}.{other}.") is None
        assert tokens.read(f"{unsigned}.{other}.{signature}") is None


@pytest.mark.django_db
def test_our_public_key_is_nobodys_secret():
    """HS256 with the public key for a secret (RFC 8725 §2.1)."""
    key = keys.signing_key("RS256")
    pem = key.jwk.export_to_pem()
    claims = json.dumps(tokens.read(an_id_token())).encode()
    for secret in (pem, pem.strip(), json.dumps(key.public()).encode()):
        header = part({"alg": "HS256", "kid": key.kid, "typ": "JWT"})
        mac = b64(hmac.digest(secret, f"{header}.{b64(claims)}".encode(), "sha256"))
        assert tokens.read(f"{header}.{b64(claims)}.{mac}") is None


@pytest.mark.django_db
@pytest.mark.parametrize("alg", ALGS)
def test_the_key_of_somebody_else_is_none_of_ours_whatever_it_is_called(alg):
    ours = keys.signing_key(alg)
    theirs = JWK.generate(**keys.ALGORITHMS[alg])
    pem = theirs.export_to_pem(private_key=True, password=None)
    claims = tokens.read(an_id_token(alg))

    def forged(**header):
        return jwt.encode(claims, pem, algorithm=alg, headers=header)

    assert tokens.read(forged(kid=ours.kid)) is None
    assert tokens.read(forged(kid=theirs.thumbprint())) is None
    # RFC 8725 §3.10: what a header brings along is not looked at.
    assert tokens.read(forged(kid=ours.kid, jwk=theirs.export_public(as_dict=True))) is None
    assert tokens.read(forged(kid=theirs.thumbprint(), jku="https://evil.example/jwks")) is None
    # The twin: with our key it would be good.
    own = ours.jwk.export_to_pem(private_key=True, password=None)
    assert tokens.read(jwt.encode(claims, own, algorithm=alg, headers={"kid": ours.kid}))


def test_a_key_is_for_its_own_algorithm_alone():
    ours = keys.signing_key("RS256")
    pem = ours.jwk.export_to_pem(private_key=True, password=None)
    claims = tokens.read(an_id_token())
    assert tokens.read(jwt.encode(claims, pem, algorithm="RS512", headers={"kid": ours.kid})) is None
    assert tokens.read(jwt.encode(claims, pem, algorithm="PS256", headers={"kid": ours.kid})) is None


MALFORMED = [
    "",
    ".",
    "..",
    "...",
    "a.b",
    "a.b.c",
    "a.b.c.d.e",
    "a.b.c.",
    " " * 100,
    "\0",
    "ä.ö.ü",
    "\ud800.a.b",
    "{}",
    '{"payload": "e30", "signatures": []}',
    '{"payload": "e30", "protected": "e30", "signature": "e30"}',
    f"{part({})}.{part({})}.{part({})}",
    f"{part([])}.{part({})}.AA",
    f"{part('x')}.{part({})}.AA",
    f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part({})}.AA",
    f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': None})}.{part({})}.AA",
    f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': 7})}.{part({})}.AA",
    f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': ['x']})}.{part({})}.AA",
    f"{part({'alg': ['RS256'], 'typ': 'JWT', 'kid': 'x'})}.{part({})}.AA",
    f"{part({'alg': 'RS256', 'typ': {}, 'kid': 'x'})}.{part({})}.AA",
    f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': chr(0)})}.{part({})}.AA",
    f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': 'x' * 20000})}.{part({})}.AA",
    f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': chr(0xD800)})}.{part({})}.AA",
    f"{b64(b'[' * 20000)}.{part({})}.AA",
    f"{b64(b'9' * 20000)}.{part({})}.AA",
    f"{b64(bytes(range(256)))}.{part({})}.AA",
    "A" * 10_000_000,
    f"{'A' * 40_000}.AA.AA",
]


@pytest.mark.django_db
@pytest.mark.parametrize("token", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("where", ["settings", "database"])
def test_what_is_malformed_is_none_of_ours(request, token, where):
    if where == "database":
        request.getfixturevalue("keys_in_database")
    assert tokens.read(token) is None
    assert tokens.read(token, allow_expired=True) is None


def test_a_token_of_ours_that_is_no_set_of_claims_is_none():
    for claims in ([], "x", 7, None):
        assert tokens.read(tokens.sign(claims, alg="RS256"), allow_expired=True) is None
    assert tokens.read(tokens.sign({"iss": ISSUER}, alg="RS256")) is None  # good for ever: none of ours is
    assert tokens.read(tokens.sign({"iss": ISSUER}, alg="RS256"), allow_expired=True) == {"iss": ISSUER}


def test_a_header_that_asks_for_more_than_is_understood_is_refused():
    """``crit`` (RFC 7515 §4.1.11)."""
    ours = keys.signing_key("ES256")
    pem = ours.jwk.export_to_pem(private_key=True, password=None)
    claims = tokens.read(an_id_token("ES256"))
    plain = jwt.encode(claims, pem, algorithm="ES256", headers={"kid": ours.kid})
    assert tokens.read(plain)
    asking = jwt.encode(claims, pem, algorithm="ES256", headers={"kid": ours.kid, "crit": ["b64"], "b64": True})
    assert tokens.read(asking) is None
    asking = jwt.encode(claims, pem, algorithm="ES256", headers={"kid": ours.kid, "crit": ["exp"], "exp": 1})
    assert tokens.read(asking) is None
