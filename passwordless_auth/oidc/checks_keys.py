"""System checks of the issuer, the signing keys and the settings of this app: ``E0…`` would not work, or not be safe.
``W0…`` may surprise. ``E2…`` looks into the database (``check --database default``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.urls import Resolver404, resolve
from django.utils.module_loading import import_string

from ..checks import DAY, YEAR, listed
from . import _dot, keys
from .checks import check_urls
from .conf import settings
from .discovery import paths
from .models import ClientSettings

Message = checks.CheckMessage

_SUBJECTS: Final = ("opaque", "pairwise", "auth0")
#: Name, least, most.
_NUMBERS: Final = (
    ("OIDC_NEW_KEY_DELAY", 0, 30 * DAY),
    ("OIDC_AUTHORIZATION_LIFETIME", 60, DAY),
    ("OIDC_REFRESH_LIFETIME", 60, YEAR),
)


def _error(number: int, text: str, hint: str) -> Message:
    return checks.Error(text, hint=hint, id=f"passwordless_auth_oidc.E{number:03}")


def _warning(number: int, text: str, hint: str) -> Message:
    return checks.Warning(text, hint=hint, id=f"passwordless_auth_oidc.W{number:03}")


def check_issuer(**_kwargs: Any) -> Iterator[Message]:
    """OpenID Connect Discovery §3, RFC 8414 §2: https, without query and fragment. ``http`` is for a site that has it,
    on a developer's machine."""
    try:
        base, issuer = urlsplit(settings.BASE_URL), urlsplit(settings.OIDC_ISSUER)
        port = issuer.port
    except ImproperlyConfigured:
        return  # without BASE_URL: the core tells
    except ValueError:
        yield _not_an_issuer()
        return
    schemes = {"https"} if base.scheme == "https" else {"https", "http"}
    extra = {"@", "?", "#", " "} & {*settings.OIDC_ISSUER}
    if issuer.scheme not in schemes or not issuer.hostname or extra:
        yield _not_an_issuer()
        return
    if (issuer.hostname, port) != (base.hostname, base.port):
        yield _warning(
            11,
            f"The issuer {settings.OIDC_ISSUER} is on another host than PASSWORDLESS_AUTH_BASE_URL.",
            f"Clients ask https://{issuer.netloc}{paths()[0]} for its document: this site has to answer there. If it "
            "does, silence this.",
        )
    wrong = [path for path in paths() if not _is_ours(path)]
    if wrong and not any(True for _told in check_urls()):
        yield _error(
            2,
            f"Clients that are given the issuer {settings.OIDC_ISSUER} look at {' and '.join(wrong)}, and nothing of "
            "ours answers.",
            'Add path("", include("passwordless_auth.oidc.urls")) to the root URLconf. For an issuer with a path add a '
            'second one there: path("o/", include("passwordless_auth.oidc.urls", namespace="issuer")).',
        )


def _not_an_issuer() -> Message:
    return _error(
        1,
        "PASSWORDLESS_AUTH_OIDC_ISSUER is no https address, or has a query, a fragment or a user name.",
        "Leave it out: then it is PASSWORDLESS_AUTH_BASE_URL and a slash. Or write 'https://id.example.com/'.",
    )


def _is_ours(path: str) -> bool:
    try:
        return "passwordless_auth_oidc" in resolve(path).app_names
    except Resolver404:
        return False


def check_settings(**_kwargs: Any) -> Iterator[Message]:
    if settings.OIDC_SUBJECT not in _SUBJECTS:
        yield _error(
            3, f"PASSWORDLESS_AUTH_OIDC_SUBJECT is {settings.OIDC_SUBJECT!r}.", f"Use one of {', '.join(_SUBJECTS)}."
        )
    for name, least, most in _NUMBERS:
        try:
            fits = least <= getattr(settings, name) <= most
        except (TypeError, ValueError, OverflowError):
            fits = False
        if not fits:
            yield _error(
                7, f"PASSWORDLESS_AUTH_{name} is no number from {least} to {most}.", "Write seconds, as a whole number."
            )
    try:
        if settings.OIDC_CLAIMS and not callable(import_string(settings.OIDC_CLAIMS)):
            raise ImportError
    except ImportError:
        yield _error(
            8,
            "PASSWORDLESS_AUTH_OIDC_CLAIMS is not the dotted path of a function.",
            "Write it as 'example.claims.claims_of'.",
        )


def check_keys(**_kwargs: Any) -> Iterator[Message]:
    try:
        wanted = settings.OIDC_SIGNING_ALGORITHMS
    except TypeError:
        wanted = []
    if "RS256" not in wanted or not keys.ALGORITHMS.keys() >= {*map(str, wanted)}:
        yield _error(
            4,
            "PASSWORDLESS_AUTH_OIDC_SIGNING_ALGORITHMS lacks RS256, or has something that we can't sign with.",
            f"List it, for every client knows it (OpenID Connect Core §15.1), and what you want of "
            f"{', '.join(keys.ALGORITHMS)} beside it.",
        )
    try:
        given = keys.from_settings()
    except ImproperlyConfigured as wrong:
        yield _error(
            5,
            f"The signing keys of the settings can't be used: {wrong}",
            "A private key as PEM text (PKCS #8 or older, without a password) or as JWK: RSA of 2048 bits or more, "
            "P-256, or Ed25519.",
        )
        return
    if given and not any(key.alg == "RS256" and key.signs for key in given):
        yield _error(
            6,
            "PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS has no private RSA key: nothing could be signed with RS256.",
            "Add one. With the setting empty, keys are made and kept in the database, encrypted.",
        )


def check_new_key_delay(**_kwargs: Any) -> Iterator[Message]:
    try:
        needed = _dot.key_set_max_age() + keys.READ_AGAIN
        too_short = needed > settings.OIDC_NEW_KEY_DELAY
    except (TypeError, ValueError):
        return  # told by check_settings, or by django-oauth-toolkit
    if too_short:
        yield _warning(
            12,
            f"PASSWORDLESS_AUTH_OIDC_NEW_KEY_DELAY is below {needed}: clients may keep the key set for longer, and not "
            "know a new key yet.",
            "Most of them read it again when they meet a key that they don't know; not all. A day is a good delay.",
        )


def check_algorithms_of_clients(databases: Sequence[str] | None = None, **_kwargs: Any) -> Iterator[Message]:
    if not databases or "default" not in databases:
        return
    try:
        asked = set(ClientSettings.objects.values_list("id_token_alg", flat=True).distinct()) - {""}
        given = {key.alg for key in keys.from_settings() if key.signs}
    except (DatabaseError, ImproperlyConfigured):  # no tables yet; told by check_keys
        return
    missing = sorted(asked - (given or keys.ALGORITHMS.keys()))
    if missing:
        yield _error(
            201,
            f"Clients expect ID tokens that are signed with {', '.join(missing)}, and there is no key for that.",
            "Add a key to PASSWORDLESS_AUTH_OIDC_SIGNING_KEYS, or choose another algorithm on the client's page.",
        )


_ALWAYS: Final[Iterable[Callable[..., Iterator[Message]]]] = (
    check_issuer,
    check_settings,
    check_keys,
    check_new_key_delay,
)


def register_all() -> None:
    for check in _ALWAYS:
        checks.register(listed(check), checks.Tags.security)
    checks.register(listed(check_algorithms_of_clients), checks.Tags.database)
