"""System checks of the OpenID provider: what a host has set in ``OAUTH2_PROVIDER``, which URLs answer, which clients
are weak.

``E0…`` would not work. ``W0…`` may surprise. ``W1…`` (``check --deploy``) is weaker than the project's security rules
allow; django-oauth-toolkit's own checks tell of its ``COMPLIANT_BCP_RFC9700_…`` beside these. ``W2…`` looks into the
database (``check --database default``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.urls import Resolver404, resolve

from .. import throttling
from ..checks import listed
from . import _dot, uris
from .conf import settings
from .models import ClientSettings
from .resources import ResourceValidator

Message = checks.CheckMessage

#: Where our endpoints are, whatever else a host includes.
PATHS: Final = (
    "/openid/authorize",
    "/openid/token",
    "/openid/register",
    "/openid/userinfo",
    "/openid/jwks",
    "/openid/logout",
    "/openid/revoke",
    "/openid/introspect",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
)
#: Settings of django-oauth-toolkit that say how its own views work. Ours do it in one way.
WITHOUT_EFFECT: Final = (
    "OAUTH2_SERVER_CLASS",
    "OIDC_SERVER_CLASS",
    "OAUTH2_BACKEND_CLASS",
    "EXTRA_SERVER_KWARGS",
    "ACCESS_TOKEN_GENERATOR",
    "REFRESH_TOKEN_GENERATOR",
    "OAUTH_PRE_TOKEN_VALIDATION",
    "OIDC_RSA_PRIVATE_KEY",
    "OIDC_RSA_PRIVATE_KEYS_INACTIVE",
    "OIDC_USERINFO_ENDPOINT",
    "REQUEST_APPROVAL_PROMPT",
)
LIMITS: Final = ("OIDC_LIMIT_REQUESTS_PER_IP", "OIDC_LIMIT_REGISTRATIONS_PER_IP")
#: Seconds.
HOUR: Final = 3600
MONTH: Final = 30 * 86400


def _error(number: int, text: str, hint: str) -> Message:
    return checks.Error(text, hint=hint, id=f"passwordless_auth_oidc.E{number:03}")


def _warning(number: int, text: str, hint: str) -> Message:
    return checks.Warning(text, hint=hint, id=f"passwordless_auth_oidc.W{number:03}")


def _weak(number: int, text: str, hint: str = "Leave it out of OAUTH2_PROVIDER: the default is safe.") -> Message:
    return _warning(number, text, hint)


def check_settings_without_effect(**_kwargs: Any) -> Iterator[Message]:
    """What a host may rely on, and nobody asks any more."""
    found = [name for name in WITHOUT_EFFECT if _dot.is_set(name)]
    if found:
        yield _warning(
            1,
            f"OAUTH2_PROVIDER sets {', '.join(found)}, which the endpoints of passwordless_auth.oidc do not ask.",
            "Claims come from PASSWORDLESS_AUTH_OIDC_CLAIMS, signing keys from PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS, "
            "what a client may do from its page in the admin. See the how-to on django-oauth-toolkit.",
        )


def check_limits(**_kwargs: Any) -> Iterator[Message]:
    for name in LIMITS:
        try:
            throttling.parse(getattr(settings, name))
        except ImproperlyConfigured as error:
            yield _error(9, f"PASSWORDLESS_AUTH_{name}: {error}", "Write limits as '1/60s,5/15m,10/d', or '' for off.")


def check_urls(**_kwargs: Any) -> Iterator[Message]:
    # With a slash at the end, too: there people are sent who come to a path that nobody answers.
    taken = [path for path in PATHS if "oauth2_provider" in [*_apps_at(path), *_apps_at(path + "/")]]
    if taken:
        yield _warning(
            2,
            f"The URLs of django-oauth-toolkit answer at {', '.join(taken)}, and ours are not asked.",
            'Take include("oauth2_provider.urls") out, or move it behind include("passwordless_auth.oidc.urls") and '
            "under a path of its own.",
        )


def _apps_at(path: str) -> list[str]:
    try:
        return resolve(path).app_names
    except Resolver404:
        return []


def check_weak_settings(**_kwargs: Any) -> Iterator[Message]:
    dot = _dot.oauth2_settings
    for number, name, most in (
        (101, "ACCESS_TOKEN_EXPIRE_SECONDS", HOUR),
        (102, "ID_TOKEN_EXPIRE_SECONDS", HOUR),
        (103, "AUTHORIZATION_CODE_EXPIRE_SECONDS", 600),
        (104, "REFRESH_TOKEN_EXPIRE_SECONDS", MONTH),
    ):
        if not _is_at_most(getattr(dot, name), most):
            yield _weak(number, f"OAUTH2_PROVIDER['{name}'] is above {most}, or none.")
    for number, name, safe in (
        (105, "ROTATE_REFRESH_TOKEN", True),
        (106, "OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT", True),
        (107, "OIDC_RP_INITIATED_LOGOUT_STRICT_REDIRECT_URIS", True),
    ):
        if bool(getattr(dot, name)) is not safe:
            yield _weak(number, f"OAUTH2_PROVIDER['{name}'] is not {safe}.")
    if dot.REFRESH_TOKEN_GRACE_PERIOD_SECONDS:
        yield _weak(108, "OAUTH2_PROVIDER['REFRESH_TOKEN_GRACE_PERIOD_SECONDS'] is not 0: a used token works on.")
    if any({"token"} & set(each.split()) for each in dot.OIDC_RESPONSE_TYPES_SUPPORTED):
        yield _weak(109, "OAUTH2_PROVIDER['OIDC_RESPONSE_TYPES_SUPPORTED'] has “token” (RFC 9700 §2.1.2).")
    if _dot.is_set("OIDC_ISS_ENDPOINT") and _issuer() != dot.OIDC_ISS_ENDPOINT:
        yield _weak(
            110, "OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not the issuer of this site (PASSWORDLESS_AUTH_OIDC_ISSUER)."
        )
    if not issubclass(dot.OAUTH2_VALIDATOR_CLASS, ResourceValidator):
        yield _weak(
            113,
            "OAUTH2_PROVIDER['OAUTH2_VALIDATOR_CLASS'] lets tokens of people who have signed out or are disabled open "
            "this site's own resources.",
            "Make it a subclass of passwordless_auth.oidc.resources.ResourceValidator.",
        )


def _issuer() -> str:
    try:
        return settings.OIDC_ISSUER
    except ImproperlyConfigured:  # told by the core's checks
        return ""


def _is_at_most(value: Any, most: int) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    try:
        seconds = value.total_seconds() if hasattr(value, "total_seconds") else float(value)
    except (TypeError, ValueError):
        return False
    return 0 < seconds <= most


def check_registration(**_kwargs: Any) -> Iterator[Message]:
    """Doors that are closed by default, and stand wide open."""
    dot = _dot.oauth2_settings
    for number, switch, permissions, everybody, what in (
        (111, "DCR_ENABLED", "DCR_REGISTRATION_PERMISSION_CLASSES", _dot.AllowAllDCRPermission, "register a client"),
        (112, "CIMD_ENABLED", "CIMD_REGISTRATION_PERMISSION_CLASSES", _dot.AllowAllCIMDPermission, "be fetched from"),
    ):
        if getattr(dot, switch) and all(each is everybody for each in getattr(dot, permissions)):
            yield _weak(
                number,
                f"OAUTH2_PROVIDER['{switch}'] is on, and anybody may {what}.",
                f"Name who may in OAUTH2_PROVIDER['{permissions}'].",
            )


def check_what_may_register(**_kwargs: Any) -> Iterator[Message]:
    if not _dot.oauth2_settings.DCR_ENABLED:
        return
    if set(settings.OIDC_REGISTRATION_RESPONSE_TYPES) - {"code", "none"}:
        yield _weak(
            115,
            "PASSWORDLESS_AUTH_OIDC_REGISTRATION_RESPONSE_TYPES has more than “code”: clients that register themselves "
            "switch tokens in the browser on for themselves.",
            "Leave it out, and switch response types on for the one client that needs them, in the admin.",
        )
    if not settings.OIDC_REGISTRATION_PKCE:
        yield _weak(
            116,
            "PASSWORDLESS_AUTH_OIDC_REGISTRATION_PKCE is off: clients that register themselves do without PKCE.",
            "Leave it out, and switch PKCE off for the one client that needs it, in the admin.",
        )


def check_own_urls_of_dot(**_kwargs: Any) -> Iterator[Message]:
    """Its endpoints know nothing of sign-ins that ended, of codes that came twice, of disabled people."""
    path = _dot.own_token_path()
    if path:
        yield _weak(
            114,
            f"django-oauth-toolkit's own endpoints answer, too: {path}.",
            "Tokens from there follow its rules and not ours. Move its clients over, and take "
            'include("oauth2_provider.urls") out.',
        )


# -- the clients


def check_secrets(databases: Sequence[str] | None = None, **_kwargs: Any) -> Iterator[Message]:
    model = _dot.get_application_model()
    hashed = model.objects.filter(client_type=model.CLIENT_CONFIDENTIAL, hash_client_secret=True)
    slow = _number(databases, lambda: hashed.filter(passwordless_settings=None) | hashed.filter(**_WITHOUT_DIGEST))
    if slow:
        yield _warning(
            201,
            f"The secrets of {slow} clients are kept as slow hashes alone.",
            "Nothing to do: each is written down anew with its next use. Until then a request with a wrong secret "
            "costs a tenth of a second.",
        )
    plain = _number(databases, lambda: model.objects.filter(hash_client_secret=False).exclude(client_secret=""))
    if plain:
        yield _warning(
            202,
            f"The secrets of {plain} clients are in the database as they are.",
            "Make a new secret on the client's page, which keeps a hash.",
        )
    symmetric = _number(databases, lambda: model.objects.filter(algorithm=model.HS256_ALGORITHM))
    if symmetric:
        yield _warning(
            203,
            f"{symmetric} clients expect ID tokens that are signed with their secret (HS256).",
            "They get RS256 from now on. Tell them to read the keys from /openid/jwks, and save their pages.",
        )


_WITHOUT_DIGEST: Final = {
    "passwordless_settings__secret_digest": "",
    "passwordless_settings__auth_method__in": [ClientSettings.AuthMethod.BASIC, ClientSettings.AuthMethod.POST],
}


def check_redirect_uris(databases: Sequence[str] | None = None, **_kwargs: Any) -> Iterator[Message]:
    if not databases or "default" not in databases:
        return
    model = _dot.get_application_model()
    try:
        rows = list(model.objects.select_related("passwordless_settings").order_by("pk"))
    except DatabaseError:  # no tables yet
        return
    for row in rows:
        is_native = ClientSettings.of(row).kind == ClientSettings.Kind.NATIVE
        listed = f"{row.redirect_uris} {row.post_logout_redirect_uris}".split()
        wrong = uris.faults(listed, partial(uris.check_redirect_uri, is_native=is_native))
        if wrong:
            yield _warning(
                204,
                f"Client {row.client_id} may be sent where it should not: {' '.join(wrong[0].messages)}",
                "Correct its addresses on its page in the admin: they are compared character by character.",
            )


def _number(databases: Sequence[str] | None, rows: Callable[[], Any]) -> int:
    if not databases or "default" not in databases:
        return 0
    try:
        return int(rows().count())
    except DatabaseError:  # no tables yet
        return 0


_ALWAYS: Final[Iterable[Callable[..., Iterator[Message]]]] = (check_settings_without_effect, check_limits, check_urls)
_DEPLOYED: Final[Iterable[Callable[..., Iterator[Message]]]] = (
    check_weak_settings,
    check_registration,
    check_what_may_register,
    check_own_urls_of_dot,
)
_OF_ROWS: Final[Iterable[Callable[..., Iterator[Message]]]] = (check_secrets, check_redirect_uris)


def register_all() -> None:
    for check in _ALWAYS:
        checks.register(listed(check), checks.Tags.security)
    for check in _DEPLOYED:
        checks.register(listed(check), checks.Tags.security, deploy=True)
    for check in _OF_ROWS:
        checks.register(listed(check), checks.Tags.database)
