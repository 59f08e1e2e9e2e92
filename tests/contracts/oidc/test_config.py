"""The plan Config: what discovery says."""

import re
from urllib.parse import urlsplit

from joserfc.jwk import KeySet

from . import clients
from .relying_party import RelyingParty

#: What the modules know (OpenID Connect Discovery §3, RFC 8414 §2, RFC 9207 §3, the logout specifications). Another
#: member would be a warning.
STRINGS = {
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "jwks_uri",
    "registration_endpoint",
    "revocation_endpoint",
    "introspection_endpoint",
    "end_session_endpoint",
    "service_documentation",
    "op_policy_uri",
    "op_tos_uri",
}
LISTS = {
    "scopes_supported",
    "response_types_supported",
    "response_modes_supported",
    "grant_types_supported",
    "acr_values_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
    "userinfo_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "revocation_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_signing_alg_values_supported",
    "introspection_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_signing_alg_values_supported",
    "code_challenge_methods_supported",
    "display_values_supported",
    "claim_types_supported",
    "claims_supported",
    "claims_locales_supported",
    "ui_locales_supported",
    "prompt_values_supported",
}
FLAGS = {
    "claims_parameter_supported",
    "request_parameter_supported",
    "request_uri_parameter_supported",
    "require_request_uri_registration",
    "authorization_response_iss_parameter_supported",
    "backchannel_logout_supported",
    "backchannel_logout_session_supported",
    "frontchannel_logout_supported",
    "frontchannel_logout_session_supported",
    "client_id_metadata_document_supported",
}
REQUIRED = {
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
}


def test_oidcc_discovery_endpoint_verification(provider):
    response = provider.request("GET", f"{provider.issuer}.well-known/openid-configuration")
    assert response.status == 200
    metadata = response.json()

    assert metadata["issuer"] == provider.issuer
    assert urlsplit(metadata["issuer"]).scheme == "https"
    assert not urlsplit(metadata["issuer"]).query + urlsplit(metadata["issuer"]).fragment
    assert metadata.keys() >= REQUIRED
    assert metadata.keys() <= STRINGS | LISTS | FLAGS
    for name, value in metadata.items():
        if name in STRINGS:
            assert re.fullmatch(r"https://\S+", value), name
        elif name in FLAGS:
            assert isinstance(value, bool), name
        else:
            assert value, name
            assert all(isinstance(item, str) for item in value), name
            assert len(set(value)) == len(value), name
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    assert set(metadata["subject_types_supported"]) <= {"public", "pairwise"}
    assert {"code", "id_token", "id_token token"} <= {
        " ".join(sorted(each.split())) for each in metadata["response_types_supported"]
    }
    assert {"query", "fragment", "form_post"} <= set(metadata["response_modes_supported"])
    assert "openid" in metadata["scopes_supported"]
    assert KeySet.import_key_set({"keys": provider.keys(metadata["jwks_uri"])}).keys
    for switch in ("request_parameter_supported", "request_uri_parameter_supported"):
        assert metadata[switch] is False  # the latter's default is true


def test_what_discovery_does_not_announce_does_not_work(provider, signed_in):
    """Alone in the front channel, a token would be for anybody who comes by it (RFC 9700 §2.1.2)."""
    assert "token" not in provider.metadata()["response_types_supported"]
    rp = RelyingParty(provider, clients.IMPLICIT, response_type="token")

    rp.refused(rp.begin(signed_in), "unauthorized_client", "unsupported_response_type")
