"""Of the plans Dynamic and 3rd-Party-Initiated Login: the modules for which nothing has to be fetched. Each is a test of
its name, with a client that has registered itself."""

import json
import subprocess
import sys

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.browser.site import ROOT

from .agent import Page
from .relying_party import Client, RelyingParty

CALLBACK = "https://dynamic.example/callback"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def ask_to_register(provider):
    def ask_to_register(method="POST", url="", token="", **metadata):
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        body = json.dumps({"redirect_uris": [CALLBACK], **metadata}).encode() if method != "GET" else None
        return provider.request(method, url or provider.metadata()["registration_endpoint"], body, headers)

    return ask_to_register


@pytest.fixture
def register(ask_to_register):
    def register(**metadata):
        response = ask_to_register(**metadata)
        assert response.status == 201, response.text
        return response.json()

    return register


@pytest.fixture
def client_of(provider):
    """A relying party as it was registered."""

    def client_of(registered):
        client = Client(
            client_id=registered["client_id"],
            secret=registered.get("client_secret", ""),
            redirect_uri=registered["redirect_uris"][0],
            auth=registered["token_endpoint_auth_method"],
        )
        return RelyingParty(provider, client)

    return client_of


def is_refused(response, error):
    assert response.status == 400
    assert response.json()["error"] == error
    return True


def is_error_page(asked):
    assert isinstance(asked.outcome, Page), asked.outcome
    return (asked.outcome.status, asked.outcome.name) == (400, "error")


def test_oidcc_idtoken_rs256(register, client_of, signed_in):
    rp = client_of(register(id_token_signed_response_alg="RS256"))

    assert rp.opened(rp.signs_in(signed_in).id_token)[0]["alg"] == "RS256"


def test_oidcc_ensure_redirect_uri_in_authorization_request(register, client_of, signed_in):
    rp = client_of(register(redirect_uris=[CALLBACK, f"{CALLBACK}/other"]))

    assert is_error_page(rp.begin(signed_in, redirect_uri=None))


def test_oidcc_redirect_uri_query_ok(register, client_of, signed_in):
    rp = client_of(register(redirect_uris=[f"{CALLBACK}?foo=bar"]))

    assert rp.signs_in(signed_in).claims["sub"]


def test_oidcc_redirect_uri_query_mismatch(register, client_of, signed_in):
    rp = client_of(register(redirect_uris=[f"{CALLBACK}?foo=bar"]))

    assert is_error_page(rp.begin(signed_in, redirect_uri=f"{CALLBACK}?bar=foo"))


def test_oidcc_redirect_uri_query_added(register, client_of, signed_in):
    rp = client_of(register())

    assert is_error_page(rp.begin(signed_in, redirect_uri=f"{CALLBACK}?foo=bar"))


def test_oidcc_redirect_uri_regfrag(ask_to_register):
    assert is_refused(ask_to_register(redirect_uris=[f"{CALLBACK}#foobar"]), "invalid_redirect_uri")


def shown(member, register, client_of, agent):
    """Whether the sign-in page leads to what was registered."""
    rp = client_of(register(**{member: f"https://dynamic.example/{member}"}))
    return f"https://dynamic.example/{member}" in rp.begin(agent).outcome.links


def test_oidcc_registration_policy_uri(register, client_of, agent):
    assert shown("policy_uri", register, client_of, agent)


def test_oidcc_registration_tos_uri(register, client_of, agent):
    assert shown("tos_uri", register, client_of, agent)


def test_oidcc_registration_sector_bad(ask_to_register):
    """No list is fetched; so none that would be wrong is believed."""
    response = ask_to_register(sector_identifier_uri="https://dynamic.example/sector.json", subject_type="pairwise")

    assert is_refused(response, "invalid_client_metadata")


def test_oidcc_3rd_party_init_login(register, ask_to_register):
    told = register(initiate_login_uri="https://dynamic.example/start")
    again = ask_to_register("GET", told["registration_client_uri"], told["registration_access_token"])

    assert told["initiate_login_uri"] == "https://dynamic.example/start"
    assert again.json()["initiate_login_uri"] == told["initiate_login_uri"]


def test_oidcc_3rd_party_init_login_nohttps(ask_to_register):
    assert is_refused(ask_to_register(initiate_login_uri="http://dynamic.example/start"), "invalid_client_metadata")


def test_oidcc_server_rotate_keys(provider, register, client_of, signed_in):
    rp = client_of(register())
    before = {key["kid"] for key in rp.keys}
    first = rp.signs_in(signed_in)
    subprocess.run(
        [sys.executable, str(ROOT / "example_project" / "manage.py"), "rotate_signing_keys"],
        env=provider.environment,
        check=True,
        capture_output=True,
        timeout=60,
    )
    provider.wait(3600)

    rp.keys = provider.keys(rp.metadata["jwks_uri"])
    assert {key["kid"] for key in rp.keys} > before
    assert rp.opened(first.id_token)[1]["sub"] == rp.signs_in(signed_in).claims["sub"]


def test_a_client_that_goes_is_gone(register, ask_to_register, client_of, agent):
    told = register()

    gone = ask_to_register("DELETE", told["registration_client_uri"], told["registration_access_token"])

    assert gone.status == 204
    assert is_error_page(client_of(told).begin(agent))


# -- clients that sign


def asserted(rp, key, *, audience):
    """The client's own proof: a JWT that it has signed (RFC 7523)."""
    now = int(rp.provider.now())
    claims = {
        "iss": rp.client.client_id,
        "sub": rp.client.client_id,
        "aud": audience,
        "jti": f"{rp.client.client_id} {now} {key.kid}",
        "iat": now,
        "exp": now + 60,
    }
    return {
        "client_assertion": jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key),
        "client_assertion_type": ASSERTION,
    }


def key_set(*keys):
    return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": "ES256"} for key in keys]}


def redeem(rp, agent, key, *, audience, scope="openid"):
    session = rp.take(rp.ask(agent, scope=scope, **pkce()))
    rp.redeem(session, code_verifier="v" * 43, **asserted(rp, key, audience=audience))
    return session


def pkce():
    """The challenge of forty-three times "v"."""
    return {"code_challenge": "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM", "code_challenge_method": "S256"}


def test_oidcc_ensure_client_assertion_with_iss_aud_succeeds(provider, register, client_of, signed_in):
    key = ECKey.generate_key("P-256", {"kid": "one"})
    rp = client_of(register(token_endpoint_auth_method="private_key_jwt", jwks=key_set(key)))

    assert redeem(rp, signed_in, key, audience=provider.issuer).claims["sub"]


def test_oidcc_refresh_token_rp_key_rotation(provider, register, ask_to_register, client_of, signed_in):
    old, new = (ECKey.generate_key("P-256", {"kid": kid}) for kid in ("old", "new"))
    told = register(token_endpoint_auth_method="private_key_jwt", jwks=key_set(old))
    rp = client_of(told)
    session = redeem(rp, signed_in, old, audience=provider.issuer, scope="openid offline_access")

    changed = ask_to_register(
        "PUT",
        told["registration_client_uri"],
        told["registration_access_token"],
        client_id=told["client_id"],
        token_endpoint_auth_method="private_key_jwt",
        jwks=key_set(new),
    )
    assert changed.status == 200, changed.text

    rp.is_refused(
        rp.token(
            grant_type="refresh_token",
            refresh_token=session.tokens["refresh_token"],
            **asserted(rp, old, audience=provider.issuer),
        ),
        "invalid_client",
    )
    rp.refresh(session, **asserted(rp, new, audience=provider.issuer))
    assert rp.userinfo(session.tokens["access_token"], sub=session.claims["sub"])
