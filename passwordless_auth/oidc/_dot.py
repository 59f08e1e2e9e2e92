"""The only file that touches the internals of django-oauth-toolkit ("DOT"); all else uses its models and admin."""

from __future__ import annotations

from datetime import timedelta
from types import MethodType
from typing import Any, Final

from django.contrib.auth.hashers import identify_hasher, make_password
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from oauth2_provider.cimd import AllowAllCIMDPermission, refresh_if_stale, resolve_cimd_application
from oauth2_provider.dcr import AllowAllDCRPermission
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_refresh_token_model,
    refresh_token_expire_timedelta,
    set_token_value,
)
from oauth2_provider.scopes import get_scopes_backend
from oauth2_provider.settings import DEFAULTS, oauth2_settings

from ..models.compiled import insert_written_once

#: What a host gets that says nothing (RFC 9700; the rules of this project). What it says itself stays: system checks
#: tell where that is weaker.
SAFE_DEFAULTS: Final[dict[str, Any]] = {
    "OIDC_ENABLED": True,
    "APPLICATION_ADMIN_CLASS": "passwordless_auth.oidc.admin.clients.ClientAdmin",
    "OAUTH2_VALIDATOR_CLASS": "passwordless_auth.oidc.resources.ResourceValidator",
    "SCOPES": {
        "openid": "Sign you in",
        "profile": "Your name",
        "email": "Your e-mail address",
        "phone": "Your phone number",
        "address": "Your postal address",
        "avatar": "Your nickname and picture",
        "offline_access": "Access while you are away",
    },
    "DEFAULT_SCOPES": ["openid"],
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "ID_TOKEN_EXPIRE_SECONDS": 3600,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 14 * 86400,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "ROTATE_REFRESH_TOKEN": True,
    "PKCE_REQUIRED": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
    "ALLOW_URI_WILDCARDS": False,
    "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
    "OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT": True,
    "OIDC_RP_INITIATED_LOGOUT_STRICT_REDIRECT_URIS": True,
    "OIDC_RESPONSE_TYPES_SUPPORTED": ["code"],
    "OAUTH2_RESPONSE_TYPES_SUPPORTED": ["code"],
    "OAUTH2_GRANT_TYPES_SUPPORTED": ["authorization_code", "client_credentials", "refresh_token"],
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
}

__all__ = [
    "SAFE_DEFAULTS",
    "AllowAllCIMDPermission",
    "AllowAllDCRPermission",
    "all_scopes",
    "client_of_document",
    "default_scopes_of",
    "get_access_token_model",
    "get_application_model",
    "get_refresh_token_model",
    "hashed_secret",
    "is_hashed",
    "is_set",
    "key_set_max_age",
    "may_register",
    "new_access_token",
    "new_refresh_token",
    "oauth2_settings",
    "own_token_path",
    "refresh_token_lifetime",
    "registration_of",
    "registration_token_for",
    "replaced_registration_token",
    "scopes_of",
    "set_safe_defaults",
]


def set_safe_defaults(*, issuer: str) -> None:
    """Put our defaults in the place of DOT's. It looks there for every setting that ``OAUTH2_PROVIDER`` lacks.
    ``issuer``: "" where it is not known."""
    DEFAULTS.update(SAFE_DEFAULTS, OIDC_ISS_ENDPOINT=issuer)
    oauth2_settings.reload()


def is_set(name: str) -> bool:
    """Whether the host's own ``OAUTH2_PROVIDER`` has this setting."""
    return name in oauth2_settings.user_settings


def key_set_max_age() -> int:
    """Seconds that clients may keep what is published (``OIDC_JWKS_MAX_AGE_SECONDS``)."""
    return int(oauth2_settings.OIDC_JWKS_MAX_AGE_SECONDS)


def may_register(request: HttpRequest) -> bool:
    """Whether all of ``DCR_REGISTRATION_PERMISSION_CLASSES`` say so; none: nobody may."""
    return bool(_dcr()._check_permissions(request))


def registration_token_for(application: Any) -> str:
    """A new registration access token (RFC 7592 §1.2)."""
    return str(_dcr()._issue_registration_token(application, application.user))


def registration_of(request: HttpRequest, client_id: str) -> Any | None:
    """Whose registration access token came with a request: ``application`` and ``presented_token``; ``None``: it is not
    of this client, which has registered itself."""
    found = _dcr().DynamicClientRegistrationManagementView()._authenticate_registration_request(request, client_id)
    return None if isinstance(found, HttpResponse) else found


def replaced_registration_token(registered: Any) -> str:
    """Another registration access token; the one that was presented is worth nothing any more."""
    token = registration_token_for(registered.application)
    registered.registration_token.delete()
    return token


def _dcr() -> Any:
    """DOT's views want models that are ready; this file is read before."""
    from oauth2_provider.views import dynamic_client_registration

    return dynamic_client_registration


def client_of_document(client_id: str, known: Any | None, request: Any) -> Any | None:
    """The Application of a Client ID Metadata Document, fetched where it is new or old; ``known``: what we have of it.
    ``request``: oauthlib's."""
    if not oauth2_settings.CIMD_ENABLED:
        return known
    if known is not None:
        return refresh_if_stale(known, request)
    return resolve_cimd_application(client_id, request)


def own_token_path() -> str:
    """Where DOT's own token endpoint answers; "": nowhere."""
    try:
        return reverse("oauth2_provider:token")
    except NoReverseMatch:
        return ""


def hashed_secret(secret: str) -> str:
    """A client's secret as ``Application.save()`` would hash it."""
    return make_password(secret, hasher=oauth2_settings.CLIENT_SECRET_HASHER)


def is_hashed(stored: str) -> bool:
    """Whether a stored secret is a hash: it may be the secret itself (``hash_client_secret`` off)."""
    try:
        identify_hasher(stored)
    except ValueError:
        return False
    return True


def scopes_of(application: Any) -> set[str]:
    """The scopes that a Client may ask for, as the host's scopes backend has it."""
    return set(get_scopes_backend().get_available_scopes(application=application))


def all_scopes() -> dict[str, str]:
    """What the host calls its scopes."""
    found: dict[str, str] = get_scopes_backend().get_all_scopes()
    return found


def default_scopes_of(application: Any) -> list[str]:
    return list(get_scopes_backend().get_default_scopes(application=application))


def refresh_token_lifetime() -> timedelta | None:
    """How long a refresh token lives unused; None: for ever."""
    found: timedelta | None = refresh_token_expire_timedelta()
    return found


def new_access_token(value: str, **columns: Any) -> Any:
    """Write an access token: by digest alone, where the host did not ask for more."""
    return _written(get_access_token_model()(**columns), value)


def new_refresh_token(value: str, **columns: Any) -> Any:
    return _written(get_refresh_token_model()(**columns), value)


def _written(row: Any, value: str) -> Any:
    set_token_value(row, value)
    row._do_insert = MethodType(insert_written_once, row)
    row.save(force_insert=True)
    return row
