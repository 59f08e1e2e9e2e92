"""The modules of the plans Basic, Implicit and Hybrid, and of the three Form Post plans: each module is a test of its
name, run with every response type of its plans, with and without ``response_mode=form_post``."""

import http.server
import json
import re
import secrets
import threading
from base64 import urlsafe_b64encode
from hashlib import sha256

import pytest

from . import clients
from .agent import Agent, Page
from .relying_party import RelyingParty, unsigned
from .variants import only

pytestmark = pytest.mark.slow

#: Those in which the ID token comes through the browser.
nonce_is_required = only("id_token", "id_token token", "code id_token", "code id_token token")
#: Those in which an access token is given at all.
with_access_token = only("code", "id_token token", "code id_token", "code token", "code id_token token")
#: OpenID Connect Core §3.1.2.6: nobody is there to answer.
NOT_SILENTLY = ("login_required", "interaction_required", "account_selection_required", "consent_required")
#: Where a person proves who they are.
PROOFS = {"login", "wait", "step_up"}
#: OpenID Connect Core §5.4.
CLAIMS = {
    "profile": {"name", "given_name", "family_name", "nickname", "website", "birthdate", "zoneinfo", "updated_at"},
    "email": {"email", "email_verified"},
    "phone": {"phone_number", "phone_number_verified"},
    "address": {"address"},
}


def is_error_page(asked):
    """No answer went anywhere: the person is told."""
    page = asked.outcome
    assert isinstance(page, Page), page
    assert page.status == 400
    assert page.name == "error"
    return True


# -- the flow


def test_oidcc_server(rp, agent):
    session = rp.signs_in(agent)

    assert PROOFS & set(session.seen)
    assert len(session.id_tokens) == rp.gives_id_token + rp.gives_code
    assert agent.is_signed_in()


def test_oidcc_response_type_missing(rp, signed_in):
    asked = rp.begin(signed_in, response_type=None, response_mode=None)

    if isinstance(asked.outcome, Page):
        assert is_error_page(asked)
    else:
        rp.response_mode = "query"  # nothing says that it would be another one
        rp.refused(asked, "invalid_request", "unsupported_response_type")


def test_oidcc_idtoken_signature(rp, signed_in):
    session = rp.signs_in(signed_in)

    for raw in session.raw_id_tokens:
        header, _claims = rp.opened(raw)
        assert header["alg"] == "RS256"
    assert "RS256" in rp.metadata["id_token_signing_alg_values_supported"]


def test_oidcc_idtoken_unsigned(rp, signed_in):
    """Nobody can be registered for it: it is not announced, and there is a signature."""
    assert "none" not in rp.metadata["id_token_signing_alg_values_supported"]
    assert rp.signs_in(signed_in).id_token.count(".") == 2
    assert rp.signs_in(signed_in).id_token.rpartition(".")[2]


# -- userinfo


@with_access_token
def test_oidcc_userinfo_get(rp, signed_in):
    session = rp.signs_in(signed_in, scope="openid profile email phone address")

    assert rp.userinfo(session.access_tokens[-1], sub=session.claims["sub"])


@with_access_token
def test_oidcc_userinfo_post_header(rp, signed_in):
    session = rp.signs_in(signed_in)

    assert rp.userinfo(session.access_tokens[-1], sub=session.claims["sub"], method="POST")


@with_access_token
def test_oidcc_userinfo_post_body(rp, signed_in):
    session = rp.signs_in(signed_in)

    assert rp.userinfo(session.access_tokens[-1], sub=session.claims["sub"], method="POST", in_body=True)


# -- nonce


@only("code", "code token")
def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(rp, signed_in):
    assert "nonce" not in rp.signs_in(signed_in, nonce=None).claims


@nonce_is_required
def test_oidcc_ensure_request_without_nonce_fails(rp, signed_in):
    rp.refused(rp.begin(signed_in, nonce=None), "invalid_request")


# -- scopes


@pytest.mark.parametrize("also", ["", " email"])
def test_oidcc_scope_profile(rp, signed_in, also):
    about = rp.signs_in(signed_in, scope=f"openid profile{also}").about()

    assert about.keys() >= CLAIMS["profile"]
    assert about["name"] == "Ada Lovelace"
    assert ("email" in about) is bool(also)


def test_oidcc_scope_email(rp, signed_in):
    about = rp.signs_in(signed_in, scope="openid email").about()

    assert (about["email"], about["email_verified"]) == ("ada@example.com", True)
    assert "name" not in about


def test_oidcc_scope_address(rp, signed_in):
    about = rp.signs_in(signed_in, scope="openid address").about()

    assert about["address"]["country"] == "GB"


def test_oidcc_scope_phone(rp, signed_in):
    about = rp.signs_in(signed_in, scope="openid phone").about()

    assert (about["phone_number"], about["phone_number_verified"]) == ("+4915123000001", True)


def test_oidcc_scope_all(rp, signed_in):
    about = rp.signs_in(signed_in, scope="openid profile email address phone").about()

    assert about.keys() >= set().union(*CLAIMS.values())
    assert set(rp.metadata["scopes_supported"]) >= {"openid", *CLAIMS}
    # Discovery promises what can be had.
    told = set().union(*(claims.keys() for claims in rp.signs_in(signed_in).id_tokens)) | about.keys()
    of_host = {"website", "birthdate", "zoneinfo", "updated_at", "address"}
    assert told - of_host - {"jti", "at_hash", "c_hash"} <= set(rp.metadata["claims_supported"])


# -- requests of other shapes


def test_oidcc_alternate_happy_flow(rp, signed_in):
    params = rp.params(scope="email openid")
    rp.params = lambda: dict(reversed(params.items()))

    assert rp.signs_in(signed_in).claims["sub"]


def test_oidcc_display_page(rp, agent):
    assert rp.signs_in(agent, display="page").claims["sub"]


def test_oidcc_display_popup(rp, agent):
    assert rp.signs_in(agent, display="popup").claims["sub"]


def test_oidcc_ensure_request_with_unknown_parameter_succeeds(rp, signed_in):
    assert rp.signs_in(signed_in, extra="foobar").claims["sub"]


def test_oidcc_ui_locales(rp, agent):
    assert rp.begin(agent, ui_locales="se de").outcome.language == "de"

    assert rp.signs_in(agent, ui_locales="se").claims["sub"]


def test_oidcc_claims_locales(rp, signed_in):
    assert rp.signs_in(signed_in, claims_locales="se").claims["sub"]


def test_oidcc_login_hint(rp, agent):
    begun = rp.begin(agent, login_hint="ada@example.com")
    assert begun.outcome.form("/login/").fields["identifier"] == "ada@example.com"

    assert rp.signs_in(agent, login_hint="ada@example.com").claims["sub"]


def test_oidcc_ensure_request_with_acr_values_succeeds(rp, signed_in):
    assert rp.signs_in(signed_in, acr_values="1 2").claims["sub"]

    supported = rp.metadata["acr_values_supported"]
    assert rp.signs_in(signed_in, acr_values=" ".join(supported)).claims["acr"] in supported


def test_oidcc_ensure_post_request_succeeds(rp, agent, signed_in):
    assert rp.signs_in(agent, by_post=True).claims["sub"]
    assert rp.signs_in(signed_in, by_post=True).claims["sub"]


# -- the person at the browser


def test_oidcc_prompt_login(rp, agent):
    first = rp.signs_in(agent)
    rp.provider.wait(2)
    second = rp.signs_in(agent, prompt="login")

    assert PROOFS & set(second.seen)
    assert second.claims["sub"] == first.claims["sub"]
    assert second.claims["auth_time"] > first.claims["auth_time"]


def test_oidcc_prompt_none_not_logged_in(rp, agent):
    asked = rp.ask(agent, prompt="none")

    rp.refused(asked, *NOT_SILENTLY)
    assert asked.seen == []


def test_oidcc_prompt_none_logged_in(rp, signed_in):
    first = rp.signs_in(signed_in)
    rp.provider.wait(2)
    second = rp.signs_in(signed_in, prompt="none")

    assert second.seen == []
    assert second.claims["sub"] == first.claims["sub"]
    assert second.claims["auth_time"] == first.claims["auth_time"]


def test_oidcc_max_age_1(rp, agent):
    first = rp.signs_in(agent)
    rp.provider.wait(3)
    second = rp.signs_in(agent, max_age="1")

    assert PROOFS & set(second.seen)
    assert second.claims["sub"] == first.claims["sub"]
    for claims in second.id_tokens:
        assert claims["auth_time"] > first.claims["auth_time"]


def test_oidcc_max_age_10000(rp, agent):
    first = rp.signs_in(agent)
    rp.provider.wait(3)
    second = rp.signs_in(agent, max_age="10000")

    assert second.seen == []
    assert second.claims["sub"] == first.claims["sub"]
    for claims in second.id_tokens:
        assert claims["auth_time"] == first.claims["auth_time"]


def test_oidcc_id_token_hint(rp, signed_in):
    first = rp.signs_in(signed_in)
    second = rp.signs_in(signed_in, prompt="none", id_token_hint=first.id_token)

    assert second.seen == []
    assert second.claims["sub"] == first.claims["sub"]


def test_oidcc_claims_essential(rp, signed_in):
    member = "userinfo" if rp.gives_code or rp.gives_token else "id_token"
    about = rp.signs_in(signed_in, claims=json.dumps({member: {"name": {"essential": True}}})).about()

    assert rp.metadata["claims_parameter_supported"] is True
    assert about["name"] == "Ada Lovelace"


# -- redirect URIs


@pytest.mark.parametrize("change", ["/other", "?added=1", "#fragment"])
def test_oidcc_ensure_registered_redirect_uri(rp, signed_in, change):
    assert is_error_page(rp.begin(signed_in, redirect_uri=rp.client.redirect_uri + change))


# -- request objects: not offered, and said so


def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(rp, signed_in):
    params = rp.params()
    request = unsigned({**params, "iss": rp.client.client_id, "aud": rp.provider.issuer, "state": "of the object"})

    rp.refused(rp.begin(signed_in, request=request), "request_not_supported")
    assert rp.metadata["request_parameter_supported"] is False


def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(rp, signed_in, visited):
    uri, visits = visited

    rp.refused(rp.begin(signed_in, request_uri=uri), "request_uri_not_supported")
    assert rp.metadata["request_uri_parameter_supported"] is False
    assert visits == []


def test_oidcc_ensure_request_object_with_redirect_uri(rp, signed_in):
    """The one in the object would win; the other one is nobody's. Neither gets an answer."""
    request = unsigned(rp.params())

    assert is_error_page(rp.begin(signed_in, request=request, redirect_uri="https://evil.example/callback"))


@pytest.fixture
def visited():
    """An address, and who came there."""
    visits = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            visits.append(self.path)
            self.send_error(404)

        def log_message(self, *_args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://localhost:{server.server_port}/request.jwt", visits
        server.shutdown()
        thread.join()


# -- codes and refresh tokens


def test_oidcc_server_client_secret_post(provider, variant, agent):
    """And the same secret by the other way: who has it may send it either way."""
    client = clients.POST if variant.response_type == "code" else clients.HYBRID_POST
    rp = RelyingParty(provider, client, response_type=variant.response_type, response_mode=variant.response_mode)

    assert rp.signs_in(agent).claims["sub"]
    assert "client_secret_post" in rp.metadata["token_endpoint_auth_methods_supported"]


def redeem_again(rp, session):
    return rp.token(grant_type="authorization_code", code=session.front["code"], redirect_uri=rp.client.redirect_uri)


def test_oidcc_codereuse(rp, signed_in):
    session = rp.signs_in(signed_in)

    rp.is_refused(redeem_again(rp, session), "invalid_grant")


def test_oidcc_codereuse_30seconds(rp, signed_in):
    session = rp.signs_in(signed_in)
    rp.provider.wait(30)

    rp.is_refused(redeem_again(rp, session), "invalid_grant")
    response = rp.ask_userinfo(session.tokens["access_token"])
    assert response.status == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_oidcc_refresh_token(rp, signed_in):
    session = rp.signs_in(signed_in, scope="openid offline_access", prompt="consent")
    assert session.seen == ["consent"]
    first, used = session.claims, session.tokens
    rp.provider.wait(2)

    other = RelyingParty(rp.provider, clients.OTHER)
    other.is_refused(other.token(grant_type="refresh_token", refresh_token=used["refresh_token"]), "invalid_grant")
    rp.refresh(session)

    assert session.claims["iat"] > first["iat"]
    assert session.claims["auth_time"] == first["auth_time"]
    assert session.tokens["access_token"] != used["access_token"]
    assert rp.userinfo(session.tokens["access_token"], sub=first["sub"])
    # And once more with what came.
    rp.refresh(session)
    assert rp.userinfo(session.tokens["access_token"], sub=first["sub"])


def test_oidcc_ensure_request_with_valid_pkce_succeeds(rp, signed_in):
    verifier = secrets.token_urlsafe(48)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")

    session = rp.signs_in(
        signed_in,
        code_challenge=challenge,
        code_challenge_method="S256",
        exchange={"code_verifier": verifier},
    )

    assert session.claims["sub"]
    assert "S256" in rp.metadata["code_challenge_methods_supported"]


def test_a_wrong_pkce_verifier_is_refused(provider, signed_in):
    """The twin of the one before: it is looked at."""
    rp = RelyingParty(provider, clients.PKCE)
    challenge = urlsafe_b64encode(sha256(b"v" * 43).digest()).decode().rstrip("=")
    session = rp.take(rp.ask(signed_in, code_challenge=challenge, code_challenge_method="S256"))

    response = rp.token(
        grant_type="authorization_code",
        code=session.front["code"],
        redirect_uri=rp.client.redirect_uri,
        code_verifier="w" * 43,
    )

    rp.is_refused(response, "invalid_grant")


def test_a_redirect_uri_keeps_its_query(provider, signed_in):
    rp = RelyingParty(provider, clients.OTHER)

    assert rp.signs_in(signed_in).claims["sub"]
    rp.response_mode = "form_post"
    assert rp.signs_in(signed_in).claims["sub"]


def test_a_person_who_denies_sends_an_answer(provider):
    agent = Agent(provider, "grace@example.com")
    rp = RelyingParty(provider, clients.BASIC)
    page = rp.begin(agent).outcome
    while page.name != "consent":
        page = {"login": agent.signs_in, "wait": agent.types_code}[page.name](page)
    assert re.search(r"grace@example\.com|Grace Hopper", page.text)

    asked = rp.begin(agent)
    asked.outcome = agent.presses(asked.outcome, "deny")

    rp.refused(asked, "access_denied")
