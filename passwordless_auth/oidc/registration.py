"""A client describes itself (RFC 7591 §2, OpenID Connect Dynamic Client Registration §2): from its metadata to what our
form asks, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django.utils.translation import override

from .conf import settings
from .forms import ClientForm
from .models import ClientSettings
from .uris import web_host

Kind = ClientSettings.Kind
AuthMethod = ClientSettings.AuthMethod


class Refused(Exception):
    """Nothing was registered. ``error``: the code of RFC 7591 §3.2.2."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


def _bad(description: str) -> Refused:
    return Refused("invalid_client_metadata", description)


#: SECURITY: what our server would have to fetch from an address that anybody may choose (security rule 42).
FETCHED: Final = ("jwks_uri", "sector_identifier_uri")
#: Member: the field of the form that it fills, as it is.
_TEXTS: Final = {
    "client_name": "name",
    "token_endpoint_auth_method": "auth_method",
    "id_token_signed_response_alg": "id_token_alg",
    "subject_type": "subject_type",
    "backchannel_logout_uri": "backchannel_logout_uri",
    "initiate_login_uri": "initiate_login_uri",
    "client_uri": "client_uri",
    "logo_uri": "logo_uri",
    "policy_uri": "policy_uri",
    "tos_uri": "tos_uri",
}
_LISTS: Final = ("redirect_uris", "post_logout_redirect_uris", "response_types", "grant_types")
_GRANTS: Final = frozenset({"authorization_code", "refresh_token", "client_credentials", "implicit"})
#: Field: what the client calls it.
_MEMBERS: Final = {field: member for member, field in _TEXTS.items()} | {"grants": "grant_types"}


@dataclass(frozen=True)
class Registration:
    """Metadata that was read: what the form is told, and what no form asks."""

    fields: Mapping[str, Any]
    sector: str
    session_required: bool

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Registration:
        """What we don't know is left out (RFC 7591 §2), and is missing in the answer. Raises Refused."""
        for member in FETCHED:
            if metadata.get(member) is not None:
                raise _bad(f"{member} is not supported: nothing is fetched. Send jwks, and redirect_uris of one host.")
        told = {field: _text(metadata, member) for member, field in _TEXTS.items()}
        lists = {member: _list(metadata, member) for member in _LISTS}
        jwks, required = metadata.get("jwks"), metadata.get("backchannel_logout_session_required", False)
        if not isinstance(jwks, Mapping | None) or not isinstance(required, bool):
            raise _bad("jwks is an object, and backchannel_logout_session_required true or false.")
        kind = _kind(metadata, told["auth_method"], lists["grant_types"])
        uris = lists["redirect_uris"] or []
        fields = {
            **told,
            "kind": kind,
            "name": told["name"] or _host(uris[0]) if uris else told["name"] or "client",
            "jwks": jwks,
            "redirect_uris": uris,
            "post_logout_redirect_uris": lists["post_logout_redirect_uris"] or [],
            "allowed_origins": _origins(uris) if kind == Kind.SPA else [],
            "grants": _grants(kind, lists["grant_types"]),
            "response_types": _response_types(kind, lists["response_types"]),
            "no_pkce": kind == Kind.WEB and not settings.OIDC_REGISTRATION_PKCE,
        }
        return cls(fields, _sector(told["subject_type"], uris), required)

    def form(self, application: Any | None = None) -> ClientForm:
        """The form, filled and found right: ``application`` is what it changes. Raises Refused."""
        client_id = application.client_id if application is not None else ""
        form = ClientForm({**self.fields, "client_id": client_id}, instance=application)
        with override("en"):  # for developers, as all errors of the protocol are
            if not form.is_valid():
                field, messages = next(iter(form.errors.items()))
                error = "invalid_redirect_uri" if field == "redirect_uris" else "invalid_client_metadata"
                raise Refused(error, f"{_MEMBERS.get(field, field)}: {messages[0]}")
        form.save(commit=False)
        form.settings.sector_identifier = self.sector
        form.settings.backchannel_logout_session_required = self.session_required
        return form


def metadata_of(application: Any) -> dict[str, Any]:
    """What a client is registered as (RFC 7591 §3.2.1)."""
    client = ClientSettings.of(application)
    members = {
        "client_id": application.client_id,
        "client_id_issued_at": int(application.created.timestamp()),
        "client_name": application.name,
        "application_type": "native" if client.kind == Kind.NATIVE else "web",
        "redirect_uris": application.redirect_uris.split(),
        "post_logout_redirect_uris": application.post_logout_redirect_uris.split(),
        "grant_types": sorted(client.grant_types) + _implicit(client),
        "response_types": client.response_types,
        "token_endpoint_auth_method": client.auth_method,
        "id_token_signed_response_alg": client.id_token_alg,
        "subject_type": client.subject_type or ("pairwise" if settings.OIDC_SUBJECT == "pairwise" else "public"),
        "jwks": client.jwks,
        **{member: getattr(client, member) for member in _KEPT},
    }
    if client.backchannel_logout_uri:
        members["backchannel_logout_session_required"] = client.backchannel_logout_session_required
    always = {"redirect_uris", "response_types", "grant_types"}
    return {member: value for member, value in members.items() if value not in ("", None, []) or member in always}


_KEPT: Final = ("backchannel_logout_uri", "initiate_login_uri", "client_uri", "logo_uri", "policy_uri", "tos_uri")


def _implicit(client: ClientSettings) -> list[str]:
    words = {word for each in client.response_types for word in each.split()}
    return ["implicit"] if words & {"id_token", "token"} else []


def _text(metadata: Mapping[str, Any], member: str) -> str:
    value = metadata.get(member)
    if not isinstance(value, str | None):
        raise _bad(f"{member} is a text.")
    return value or ""


def _list(metadata: Mapping[str, Any], member: str) -> list[str] | None:
    value = metadata.get(member)
    if value is not None and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise _bad(f"{member} is a list of texts.")
    return value


def _kind(metadata: Mapping[str, Any], auth_method: str, grants: list[str] | None) -> str:
    if _text(metadata, "application_type") == "native":
        return Kind.NATIVE
    if auth_method == AuthMethod.NONE:
        return Kind.SPA
    return Kind.M2M if grants == ["client_credentials"] else Kind.WEB


def _grants(kind: str, given: list[str] | None) -> list[str]:
    unknown = set(given or ()) - _GRANTS
    if unknown:
        raise _bad(f"grant_types: {sorted(unknown)[0]} is not supported.")
    if kind == Kind.M2M:
        return []
    # With a code goes what refreshes its tokens: whether there is one, offline_access decides.
    return sorted({"authorization_code", "refresh_token", *(given or ())} - {"implicit"})


def _response_types(kind: str, given: list[str] | None) -> list[str]:
    types = [" ".join(sorted(each.split())) for each in given or ()] or ["code"]
    closed = [each for each in types if each not in settings.OIDC_REGISTRATION_RESPONSE_TYPES]
    if closed and kind != Kind.M2M:
        raise _bad(f"response_types: {closed[0]} is not open to clients that register themselves.")
    return types


def _sector(subject_type: str, uris: list[str]) -> str:
    """OpenID Connect Core §8.1: one host, or somebody has to say that the several are one."""
    hosts = {_host(uri) for uri in uris}
    pairwise = (subject_type or settings.OIDC_SUBJECT) == "pairwise"
    if pairwise and len(hosts) > 1:
        raise _bad("subject_type: for pairwise, redirect_uris have one host.")
    return web_host(uris[0]) if pairwise and uris else ""


def _host(uri: str) -> str:
    return _parsed(uri, lambda url: url.hostname or url.scheme)


def _origins(uris: list[str]) -> list[str]:
    found = (_parsed(uri, lambda url: f"{url.scheme}://{url.netloc.lower()}") for uri in uris)
    return list(dict.fromkeys(origin for origin in found if origin.startswith("http")))


def _parsed(uri: str, part: Callable[[Any], str]) -> str:
    try:
        return part(urlsplit(uri))
    except ValueError:  # the form says so
        return ""
