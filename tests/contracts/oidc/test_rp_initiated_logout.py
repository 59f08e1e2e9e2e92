"""The plan RP-Initiated Logout: each module is a test of its name."""

import secrets

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from . import clients
from .agent import Landing, Page
from .relying_party import RelyingParty, unsigned


@pytest.fixture
def rp(provider):
    return RelyingParty(provider, clients.BASIC)


@pytest.fixture
def session(rp, agent):
    """Somebody is signed in at the client."""
    return rp.signs_in(agent)


@pytest.fixture
def leave(rp, agent, session):
    """What the end of the session leads to; by way of a page that asks, where there is one."""
    return lambda **how: rp.leave(agent, **how).outcome


def is_signed_out(rp, agent):
    """prompt=none fails."""
    rp.refused(rp.begin(agent, prompt="none"), "login_required")
    return not agent.is_signed_in()


def is_signed_out_page(outcome):
    assert isinstance(outcome, Page), outcome
    assert outcome.status == 200
    assert outcome.name == "signed_out"
    return True


def stays(outcome):
    """Whatever the page says, nobody is sent anywhere."""
    assert isinstance(outcome, Page), outcome
    return True


def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(provider):
    assert provider.metadata()["end_session_endpoint"].startswith(provider.url)


@pytest.mark.parametrize("by_post", [False, True])
def test_oidcc_rp_initiated_logout(rp, agent, session, leave, by_post):
    state = secrets.token_urlsafe(12)

    outcome = leave(
        by_post=by_post,
        id_token_hint=session.id_token,
        post_logout_redirect_uri=rp.client.post_logout_redirect_uri,
        state=state,
    )

    assert outcome == Landing(rp.client.post_logout_redirect_uri, "query", {"state": state})
    assert is_signed_out(rp, agent)


def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(rp, session, leave):
    outcome = leave(
        id_token_hint=session.id_token,
        post_logout_redirect_uri=f"{rp.client.post_logout_redirect_uri}/other",
        state="s",
    )

    assert stays(outcome)


def test_oidcc_rp_initiated_logout_modified_id_token_hint(rp, session, leave):
    outcome = leave(
        id_token_hint=unsigned(session.claims), post_logout_redirect_uri=rp.client.post_logout_redirect_uri, state="s"
    )

    assert stays(outcome)


def test_oidcc_rp_initiated_logout_bad_id_token_hint(rp, session, leave):
    header, claims = rp.opened(session.id_token)
    forged = jwt.encode({"alg": "RS256", "kid": header["kid"]}, claims, RSAKey.generate_key(2048))

    outcome = leave(id_token_hint=forged, post_logout_redirect_uri=rp.client.post_logout_redirect_uri, state="s")

    assert stays(outcome)


def test_oidcc_rp_initiated_logout_no_id_token_hint(rp, agent, leave):
    outcome = leave(confirms=False, post_logout_redirect_uri=rp.client.post_logout_redirect_uri, state="s")

    assert stays(outcome)
    assert agent.is_signed_in()


def test_oidcc_rp_initiated_logout_no_params(rp, agent, leave):
    assert is_signed_out_page(leave())
    assert agent.seen == ["logout_confirm", "signed_out"]
    assert is_signed_out(rp, agent)


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(rp, agent, session, leave):
    assert is_signed_out_page(leave(id_token_hint=session.id_token))
    assert is_signed_out(rp, agent)


def test_oidcc_rp_initiated_logout_no_state(rp, agent, session, leave):
    outcome = leave(id_token_hint=session.id_token, post_logout_redirect_uri=rp.client.post_logout_redirect_uri)

    assert outcome == Landing(rp.client.post_logout_redirect_uri, "query", {})
    assert is_signed_out(rp, agent)


def test_oidcc_rp_initiated_logout_only_state(rp, agent, leave):
    assert is_signed_out_page(leave(state=secrets.token_urlsafe(12)))
    assert is_signed_out(rp, agent)


def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(rp, session, leave):
    outcome = leave(
        id_token_hint=session.id_token,
        post_logout_redirect_uri=f"{rp.client.post_logout_redirect_uri}?foo=bar",
        state="s",
    )

    assert stays(outcome)


def test_who_has_gone_already_is_sent_back_all_the_same(rp, agent, session, leave):
    """A client does not know that the person has signed out here, or that the session ran out."""
    leave(id_token_hint=session.id_token)
    assert is_signed_out(rp, agent)

    outcome = leave(
        id_token_hint=session.id_token, post_logout_redirect_uri=rp.client.post_logout_redirect_uri, state="s"
    )

    assert outcome == Landing(rp.client.post_logout_redirect_uri, "query", {"state": "s"})
