"""What is said about a person: the claims of OpenID Connect Core §5, and ``sub`` (§8)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from django.db import router, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.module_loading import import_string

from .. import derivation
from ..models import Identity, Profile
from . import uris
from .conf import settings
from .models import ClientSettings, PairwiseSalt

#: Which claims a scope asks for (§5.4; ``avatar`` is Passwordless.ID's).
OF_SCOPE: Final[dict[str, tuple[str, ...]]] = {
    "openid": ("sub",),
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "phone": ("phone_number", "phone_number_verified"),
    "address": ("address",),
    "avatar": ("nickname", "picture", "preferred_username"),
}

#: The claims that there is something to say for without the host's help.
SUPPORTED: Final = (
    "sub",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "locale",
    "email",
    "email_verified",
    "phone_number",
    "phone_number_verified",
)
#: The claims that tell of the sign-in, and are always in ID tokens.
OF_SIGN_IN: Final = ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid")


def with_addresses(rows: QuerySet[Any], user: str) -> QuerySet[Any]:
    """Annotate rows with the proven addresses of the user in the column ``user``: what ``of_person`` reads."""
    proven = Identity.objects.filter(user=OuterRef(user)).exclude(proven_at=None).order_by("-is_primary", "pk")
    annotated: QuerySet[Any] = rows.annotate(
        proven_email=Subquery(proven.filter(kind="email").values("canonical")[:1]),
        proven_phone=Subquery(proven.filter(kind="phone").values("canonical")[:1]),
    )
    return annotated


def of_person(
    user: Any,
    client: ClientSettings,
    *,
    scopes: Iterable[str],
    requested: Mapping[str, Any] | None = None,
    proven_email: str | None,
    proven_phone: str | None,
) -> dict[str, Any]:
    """The claims about a person, without ``sub``: those of the scopes, and those of ``requested`` (one member of the
    ``claims`` parameter, §5.5). What is not known is left out.

    SECURITY: the caller has made sure that the person allowed both: see ``scopes_of``. Who asks for a name is not given
    an address in its place, unless the address is given as well; or the Client expects of us what Auth0 does.
    """
    scopes = list(scopes)
    asked = {name for scope in scopes for name in OF_SCOPE.get(scope, ())} | set(requested or ())
    as_names = _ADDRESSES if _kind_of(client) == ClientSettings.Subject.AUTH0 else _ADDRESSES & asked
    known = _known(user, proven_email, proven_phone, as_names)
    if settings.OIDC_CLAIMS:
        own = import_string(settings.OIDC_CLAIMS)(user, scopes)
        known |= own
        asked |= own.keys() - _STANDARD  # its function has seen the scopes
    given = {name: value for name, value in known.items() if name in asked and value not in (None, "")}
    for name, wish in (requested or {}).items():
        value = (wish or {}).get("value") if isinstance(wish, Mapping) else None
        if value is not None and name in given and given[name] != value:
            del given[name]  # asked for that value or nothing (§5.5.1)
    return given


_STANDARD: Final = frozenset(name for names in OF_SCOPE.values() for name in names)


_ADDRESSES: Final = frozenset({"email", "phone_number"})


def open_to(names: Mapping[str, Any], scopes: Collection[str]) -> dict[str, Any]:
    """Of the names in a ``claims`` parameter those that these scopes would open, or that are of no scope. SECURITY:
    where a host gives a Client few scopes, the parameter is no other way to the same claims."""
    opened = {name for scope in scopes for name in OF_SCOPE.get(scope, ())}
    return {name: wish for name, wish in names.items() if name in opened or name not in _STANDARD - {"sub"}}


def scopes_of(requested: Mapping[str, Any]) -> set[str]:
    """The scopes that a person would allow for what a ``claims`` parameter names: they are asked about these."""
    names = {name for member in ("id_token", "userinfo") for name in requested.get(member) or ()}
    return {scope for scope in ("profile", "email", "phone", "address") if names & set(OF_SCOPE[scope])}


def _known(user: Any, proven_email: str | None, proven_phone: str | None, as_names: Collection[str]) -> dict[str, Any]:
    name = str(getattr(user, "get_full_name", lambda: "")())
    email = proven_email or getattr(user, user.get_email_field_name(), "") or ""
    named = email if "email" in as_names else ""
    profile = Profile.objects.of(user)
    known: dict[str, Any] = {
        "name": name or named or (proven_phone if "phone_number" in as_names else ""),
        "given_name": getattr(user, "first_name", ""),
        "family_name": getattr(user, "last_name", ""),
        "nickname": getattr(user, "first_name", "") or named.partition("@")[0],
        "locale": profile.language,
        "phone_number": proven_phone,
    }
    if email:
        known |= {"email": email, "email_verified": bool(proven_email)}
    if proven_phone:
        known["phone_number_verified"] = True
    return known


def subject(user: Any, client: ClientSettings) -> str:
    """The ``sub`` of a person for a Client: opaque, never given to anybody else, and the same for ever."""
    profile = Profile.objects.of(user)
    kind = _kind_of(client)
    if kind == ClientSettings.Subject.PAIRWISE:
        return derivation.pairwise_subject(profile.handle, sector=sector_of(client), salt=_salt())
    if kind == ClientSettings.Subject.AUTH0:
        return f"{'sms' if _first_kind(profile) == 'phone' else 'email'}|{profile.handle}"
    return profile.handle


def session_id(sign_in_id: str, client: ClientSettings) -> str:
    """The ``sid`` of a session, whose public id this is, for a Client. SECURITY: another for each sector where ``sub``
    is, or Clients would find each other's people by it."""
    if _kind_of(client) != ClientSettings.Subject.PAIRWISE:
        return sign_in_id
    return derivation.pairwise_subject(sign_in_id, sector=sector_of(client), salt=_salt())[:22]


def _kind_of(client: ClientSettings) -> str:
    return client.subject_type or settings.OIDC_SUBJECT


def sector_of(client: ClientSettings) -> str:
    """The sector identifier (§8.1): what was registered, else the host of the first redirect URI that is on the
    web. What comes back to the person's own device shares no sector with others that do."""
    if client.sector_identifier:
        return client.sector_identifier
    hosts = [uris.web_host(uri) for uri in client.application.redirect_uris.split()]
    return next((host for host in hosts if host), client.application.client_id)


def _first_kind(profile: Profile) -> str:
    """The kind of the address that made the account; remembered, since that address may be removed one day."""
    if not profile.subject_kind:
        first = Identity.objects.filter(user=profile.user_id).order_by("pk").values_list("kind", flat=True).first()
        Profile.objects.filter(pk=profile.pk, subject_kind="").update(subject_kind=first or "email")
        profile.refresh_from_db(fields=["subject_kind"])
    return profile.subject_kind


_known_salt: Final[list[bytes]] = []


def _salt() -> bytes:
    if _known_salt:
        return _known_salt[0]
    salt = PairwiseSalt.objects.current()
    # SECURITY: what a transaction has made may be rolled back yet. This process would go on with a salt that no other
    # one has.
    transaction.on_commit(lambda: _known_salt.append(salt), using=router.db_for_write(PairwiseSalt))
    return salt


def forget() -> None:
    """Read the salt again at the next use: for tests that have emptied the database."""
    _known_salt.clear()
