"""What the provider says of itself (OpenID Connect Discovery 1.0 §3, RFC 8414): exactly what works."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.urls import NoReverseMatch, reverse

from ..checks import highest_level
from ..models import Level
from . import _dot, claims, clients, keys
from .conf import settings
from .models import ClientSettings
from .requests import PROMPTS, RESPONSE_MODES

#: Relative to the issuer, without its last slash (OpenID Connect Discovery §4).
OPENID_PATH: Final = "/.well-known/openid-configuration"
#: Between the issuer's host and its path (RFC 8414 §3.1).
OAUTH_PATH: Final = "/.well-known/oauth-authorization-server"

#: Member of the document: name of the URL.
_ENDPOINTS: Final = {
    "authorization_endpoint": "authorize",
    "token_endpoint": "token",
    "userinfo_endpoint": "userinfo",
    "jwks_uri": "jwks",
    "revocation_endpoint": "revoke",
    "introspection_endpoint": "introspect",
    "end_session_endpoint": "logout",
}


def paths() -> tuple[str, str]:
    """Where clients look for the two documents, by the issuer alone."""
    prefix = urlsplit(settings.OIDC_ISSUER).path.rstrip("/")
    return prefix + OPENID_PATH, OAUTH_PATH + prefix


def document() -> dict[str, Any]:
    """The metadata; one statement. Nothing in it comes from the request: whatever Host says, the issuer and the
    addresses of the endpoints are those of the settings."""
    endpoints = {member: _address(name) for member, name in _ENDPOINTS.items()}
    if _dot.oauth2_settings.DCR_ENABLED:
        endpoints["registration_endpoint"] = _address("register")
    types = _response_types()
    ways = [method.value for method in ClientSettings.AuthMethod]
    proofs = [way for way in ways if way != ClientSettings.AuthMethod.NONE]
    algorithms = [*clients.KEY_ALGORITHMS, *clients.SECRET_ALGORITHMS]
    return {
        "issuer": settings.OIDC_ISSUER,
        **{member: address for member, address in endpoints.items() if address},
        "response_types_supported": types,
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"]
        + (["implicit"] if {"id_token", "token"} & {word for text in types for word in text.split()} else []),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "token_endpoint_auth_methods_supported": ways,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": ways,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": proofs,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "scopes_supported": list(_dot.all_scopes()),
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": keys.algorithms(),
        "claim_types_supported": ["normal"],
        "claims_supported": [*claims.SUPPORTED, *(name for name in claims.OF_SIGN_IN if name not in claims.SUPPORTED)],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "acr_values_supported": [level.value for level in Level if Level.SINGLE.rank <= level.rank <= highest_level()],
        "prompt_values_supported": [prompt for prompt in PROMPTS if prompt != "create" or settings.SIGN_UP == "open"],
        "display_values_supported": ["page"],
        "ui_locales_supported": [_language_tag(code) for code, _name in django_settings.LANGUAGES],
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        **({"client_id_metadata_document_supported": True} if _dot.oauth2_settings.CIMD_ENABLED else {}),
    }


def _address(name: str) -> str:
    """On the configured address of the site. "": a URLconf of the host's own has left it out."""
    try:
        return settings.BASE_URL + reverse(f"passwordless_auth_oidc:{name}")
    except NoReverseMatch:
        return ""


def _response_types() -> list[str]:
    """``code``, and what is switched on for some client."""
    model = _dot.get_application_model()
    found = {"code"}
    rows = model.objects.values_list("authorization_grant_type", "passwordless_settings__response_types").distinct()
    if _dot.oauth2_settings.DCR_ENABLED:
        found.update(settings.OIDC_REGISTRATION_RESPONSE_TYPES)
    for grant_type, types in rows:
        if types is not None:
            found.update(types)
        elif grant_type == model.GRANT_OPENID_HYBRID:  # it was there before us: see ClientSettings.of
            found.add("code id_token")
    return sorted(found, key=lambda text: (len(text.split()), text))


def _language_tag(code: str) -> str:
    """Django's ``zh-hans`` and ``pt-br`` as BCP 47 recommends to write them."""
    first, *rest = code.split("-")
    return "-".join([first, *(part.title() if len(part) == 4 else part.upper() for part in rest)])
