"""Clients: found by their id, and known by what they send with a request (RFC 6749 §2.3, OpenID Connect Core §9)."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote_plus

from django.contrib.auth.hashers import check_password
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables
from jwcrypto.common import JWException
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS
from oauthlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError

from .. import derivation
from ..models import Counter, Level
from ..models.compiled import CompiledSelect
from ..models.counter import Window
from ..policies import Rules
from . import _dot
from .conf import settings
from .models import ClientSettings

logger = logging.getLogger("passwordless_auth")

JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: The ``alg`` values of assertions that a client signs with its own key, and with its secret.
KEY_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512")
SECRET_ALGORITHMS: Final = ("HS256", "HS384", "HS512")
#: Seconds that an assertion may still be good for, and that clocks may differ.
ASSERTION_LIFETIME: Final = 3600
LEEWAY: Final = 60

_BY_SECRET: Final = frozenset(
    {ClientSettings.AuthMethod.BASIC, ClientSettings.AuthMethod.POST, ClientSettings.AuthMethod.NONE}
)
#: What the security rules allow a client to differ by.
MOST_SECONDS: Final = 600
LEAST_DIGITS: Final = 6
MOST_TRIES: Final = 5
#: The length of django-oauth-toolkit's column.
_LONGEST_ID: Final = 255
#: A signed JWT: header, claims and signature (RFC 7515 §7.1).
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Credentials:
    """What came with a request to say who calls; "" is "not sent". ``path``: of the endpoint that it came to."""

    authorization: str = ""
    client_id: str = ""
    client_secret: str = ""
    client_assertion: str = ""
    client_assertion_type: str = ""
    path: str = ""

    @classmethod
    def of(cls, params: Mapping[str, str], *, authorization: str, path: str) -> Credentials:
        """From the parameters of a request's body and its Authorization header."""
        names = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
        return cls(authorization=authorization, path=path, **{name: params.get(name, "") for name in names})

    def __repr__(self) -> str:  # SECURITY: it holds secrets
        return f"<Credentials at {self.path}>"


def _by_id(client_id: str) -> Any:
    return _dot.get_application_model().objects.select_related("passwordless_settings").filter(client_id=client_id)


_application_with_id: CompiledSelect[Any] = CompiledSelect(_by_id, client_id=str)


def load(client_id: str) -> Any | None:
    """The Application of an id, with its ClientSettings, in one SELECT. What can't be an id is not asked for."""
    if not _is_id(client_id):
        return None
    found = _application_with_id(client_id=client_id)
    # SECURITY: some databases take "ABC " and "abc" for the same.
    return found if found is not None and found.client_id == client_id else None


def find(client_id: str, request: Any) -> Any | None:
    """The same, where a request begins; ``request`` is oauthlib's. The id may be the address of a Client ID Metadata
    Document, which django-oauth-toolkit fetches if the host has switched that on. ``None`` as well where the host's own
    Application says that it can't be used."""
    if not _is_id(client_id):
        return None
    found = _dot.client_of_document(client_id, load(client_id), request)
    return found if found is not None and found.is_usable(request) else None


def _is_id(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_ID and _is_text(text)


@sensitive_variables()
def authenticate(credentials: Credentials, *, known: Any | None = None) -> Any:
    """The Application that sent these credentials, by the way that it is registered for.

    ``known``: an Application that was loaded already, and may be the one; it is not asked for a second time. To be
    called where a later refusal does not undo it: an assertion is used up by it.

    Raises oauthlib's InvalidClientError, the same for everything that can be wrong; InvalidRequestError where a
    request uses two ways at once (RFC 6749 §2.3).
    """
    pairs = list(_basic(credentials.authorization))
    if credentials.client_assertion or credentials.client_assertion_type:
        if pairs or credentials.client_secret:
            raise InvalidRequestError(description="More than one way to authenticate the client.")
        return _by_assertion(credentials, known)
    if pairs and credentials.client_secret:
        raise InvalidRequestError(description="More than one way to authenticate the client.")
    if not pairs:
        pairs = [(credentials.client_id, credentials.client_secret)]
    elif credentials.client_id:
        pairs = [pair for pair in pairs if pair[0] == credentials.client_id]
    return _by_secret(pairs, known)


@sensitive_variables()
def _by_secret(pairs: list[tuple[str, str]], known: Any | None) -> Any:
    application = _first([client_id for client_id, _secret in pairs], known)
    given = list(dict.fromkeys(secret for _client_id, secret in pairs if secret))
    if application is None:
        _work_in_vain()
        raise _refused("unknown client", "")
    client = ClientSettings.of(application)
    if client.auth_method not in _BY_SECRET:
        raise _refused("registered for assertions", application.client_id)
    if not given:
        public = application.client_type == application.CLIENT_PUBLIC
        if public and client.auth_method == ClientSettings.AuthMethod.NONE:
            return application
        raise _refused("no secret", application.client_id)
    if not any(check_secret(application, client, secret) for secret in given):
        raise _refused("wrong secret", application.client_id)
    return application


def _first(ids: list[str], known: Any | None) -> Any | None:
    for client_id in dict.fromkeys(ids):
        if known is not None and known.client_id == client_id:
            return known
        if (found := load(client_id)) is not None:
            return found
    return None


@sensitive_variables()
def _basic(authorization: str) -> Iterator[tuple[str, str]]:
    """What an Authorization header of the scheme Basic may mean: id and secret as RFC 6749 §2.3.1 has them, each
    form-encoded; then as clients send them that forgot to. Raises InvalidClientError for one that can't be read;
    nothing for other schemes."""
    scheme, _space, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except ValueError:
        raise _refused("unreadable header", "") from None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")  # RFC 7617 §2: what comes before UTF-8 was agreed on
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise _refused("unreadable header", "")
    with suppress(UnicodeDecodeError):  # not form-encoded UTF-8: so it is what it is
        yield unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    yield client_id, secret


def _is_text(value: str) -> bool:
    """Whether databases and hashes can take it: no NUL, no half of a surrogate pair."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _refused(reason: str, client_id: str) -> InvalidClientError:
    logger.info("A client could not be authenticated: %s", reason, extra={"client_id": client_id})
    return InvalidClientError()


# -- secrets


@sensitive_variables()
def set_secret(application: Any, client: ClientSettings, secret: str) -> None:
    """Give a client another secret, in its Application (as django-oauth-toolkit keeps it) and in its ClientSettings;
    both are to be saved by the caller."""
    if application.hash_client_secret:
        application.client_secret = _dot.hashed_secret(secret)
        client.secret_of = _digest(application.client_secret)
        client.secret_digest = derivation.client_secret_digest(secret, made_of=client.secret_of)
    else:
        application.client_secret = secret
        client.secret_of = client.secret_digest = ""
    client.secret_sealed = ""
    if client.auth_method == ClientSettings.AuthMethod.SECRET_JWT and application.hash_client_secret:
        # RFC 7523 by HMAC: whoever verifies it needs the secret itself.
        client.secret_sealed = derivation.seal(secret, purpose="client_secret", context=client.secret_of)


@sensitive_variables()
def check_secret(application: Any, client: ClientSettings, secret: str) -> bool:
    """Whether this is the client's secret.

    By the keyed digest of ClientSettings, which costs microseconds. Where there is none yet, or the secret was changed
    elsewhere since, or the digest's key is gone: by django-oauth-toolkit's own hash, which costs a tenth of a second,
    once; the digest is written then.
    """
    stored = application.client_secret
    if not stored or not _is_text(secret):
        _work_in_vain()
        return False
    if not _dot.is_hashed(stored):
        return constant_time_compare(secret, stored)
    made_of = _digest(stored)
    if client.secret_digest and client.secret_of == made_of:
        matches = derivation.is_client_secret(secret, client.secret_digest, made_of=made_of)
        if matches and _may_move_to_newest_key(client.secret_digest):
            _remember(application, client, secret, made_of)
        if matches is not None:
            return matches
    if not check_password(secret, stored):
        return False
    _remember(application, client, secret, made_of)
    return True


@sensitive_variables()
def _remember(application: Any, client: ClientSettings, secret: str, made_of: str) -> None:
    client.secret_of = made_of
    client.secret_digest = derivation.client_secret_digest(secret, made_of=made_of)
    if client._state.adding:
        # It was there before us. From now on what django-oauth-toolkit let it do is written down. Of several requests
        # that come first, one writes: the others had the same to write.
        ClientSettings.objects.bulk_create([client], ignore_conflicts=True)
        return
    ClientSettings.objects.filter(pk=application.pk).update(
        secret_of=client.secret_of, secret_digest=client.secret_digest
    )


def _may_move_to_newest_key(digest: str) -> bool:
    """Not while a new key is being rolled out: processes that do not know it would take the digest for lost."""
    newest = settings.SECRET_KEYS[0][0]
    return settings.issuing_key_id == newest != digest.rpartition(":")[0]


@sensitive_variables()
def _secret_for_hmac(application: Any, client: ClientSettings) -> str | None:
    """The secret itself; None where nobody can know it: it was set as a hash, or changed elsewhere since."""
    stored = application.client_secret
    if stored and not _dot.is_hashed(stored):
        return str(stored)
    if not client.secret_sealed or client.secret_of != _digest(stored):
        return None
    return derivation.unseal(client.secret_sealed, purpose="client_secret", context=client.secret_of)


def _digest(stored: str) -> str:
    return hashlib.sha256(stored.encode()).hexdigest()


def _work_in_vain() -> None:
    """SECURITY: what is unknown takes the work of a wrong secret."""
    derivation.is_client_secret("", derivation.client_secret_digest("", made_of=""), made_of="")


# -- assertions (RFC 7523 §3)


@sensitive_variables()
def _by_assertion(credentials: Credentials, known: Any | None) -> Any:
    if credentials.client_assertion_type != JWT_BEARER:
        raise _refused("unknown type of assertion", "")
    header, claims = _unverified(credentials.client_assertion)
    client_id = claims.get("sub")
    if not isinstance(client_id, str) or claims.get("iss") != client_id:
        raise _refused("iss and sub are not one client", "")
    if credentials.client_id not in ("", client_id):
        raise _refused("client_id and sub differ", "")
    application = _first([client_id], known)
    if application is None:
        raise _refused("unknown client", "")
    alg = str(header.get("alg"))
    for key in _keys_for(application, alg, header.get("kid")):
        if _is_signed(credentials.client_assertion, key, alg):
            break
    else:
        raise _refused("no key of the client fits", client_id)
    _check_claims(claims, credentials.path, client_id)
    return application


def _unverified(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, before anything is known of the signature. Raises InvalidClientError."""
    # SECURITY: the one form that both readers take alike, this and the library that looks at the signature.
    match = _COMPACT.fullmatch(assertion)
    if match is None:
        raise _refused("unreadable assertion", "")
    try:
        header, claims = (
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in match.groups()
        )
    except (ValueError, RecursionError):
        raise _refused("unreadable assertion", "") from None
    if not isinstance(header, dict) or not isinstance(claims, dict) or "crit" in header:  # nothing that we know of
        raise _refused("unreadable assertion", "")
    return header, claims


@sensitive_variables()
def _keys_for(application: Any, alg: str, kid: Any) -> list[JWK]:
    """SECURITY: the registration decides which keys there are and which algorithms they are for; the header only
    chooses among them. Nothing that it points to is fetched (``jku``, ``x5u``) or believed (``jwk``, ``x5c``)."""
    client = ClientSettings.of(application)
    if client.auth_method == ClientSettings.AuthMethod.SECRET_JWT and alg in SECRET_ALGORITHMS:
        secret = _secret_for_hmac(application, client)
        encoded = base64.urlsafe_b64encode((secret or "").encode()).decode().rstrip("=")
        return [JWK(kty="oct", k=encoded)] if secret else []
    if client.auth_method == ClientSettings.AuthMethod.PRIVATE_KEY_JWT and alg in KEY_ALGORITHMS:
        keys = _parsed(json.dumps(client.jwks or {}, sort_keys=True))
        return [key for key in keys if kid is None or key.get("kid") in (None, kid)]
    return []


@lru_cache(maxsize=256)
def _parsed(jwks: str) -> tuple[JWK, ...]:
    """The signing keys of a JWK Set (RFC 7517 §5): what can't be read is left out."""
    keys = []
    for member in json.loads(jwks).get("keys", []):
        try:
            key = JWK(**member)
        except (JWException, TypeError, ValueError):
            continue
        if key.get("use", "sig") == "sig" and key.get("kty") in ("RSA", "EC", "OKP"):
            keys.append(key)
    return tuple(keys)


@sensitive_variables()
def _is_signed(assertion: str, key: JWK, alg: str) -> bool:
    token = JWS()
    token.allowed_algs = [alg]
    try:
        token.deserialize(assertion, key, alg)
    except (JWException, TypeError, ValueError):
        return False
    return True


def _check_claims(claims: Mapping[str, Any], path: str, client_id: str) -> None:
    """RFC 7523 §3: for us, still good, and never seen before."""
    now = time.time()
    audiences = claims.get("aud") if isinstance(claims.get("aud"), list) else [claims.get("aud")]
    # SECURITY: one that is for somebody else, too, could be sent here by them.
    if not audiences or not all(audience in _own_names(path) for audience in audiences):
        raise _refused("the assertion is for somebody else", client_id)
    if not now - LEEWAY < _seconds(claims.get("exp")) <= now + ASSERTION_LIFETIME + LEEWAY:
        raise _refused("the assertion has expired, or has no near end", client_id)
    if not _seconds(claims.get("nbf", 0)) <= now + LEEWAY:
        raise _refused("the assertion is not good yet", client_id)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti:
        raise _refused("the assertion has no jti", client_id)
    _use_up(client_id, jti)


def _own_names(path: str) -> tuple[str, ...]:
    issuer = settings.OIDC_ISSUER
    token = reverse("passwordless_auth_oidc:token")  # it may be named at the other endpoints, too
    return issuer, issuer.rstrip("/"), settings.BASE_URL + token, settings.BASE_URL + path


def _seconds(value: Any) -> float:
    """A NumericDate (RFC 7519 §2); NaN, which is neither before nor after anything, for what is none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return math.nan


def _use_up(client_id: str, jti: str) -> None:
    """Once is once, however many come at the same moment: they meet on one row, until the assertion is long over."""
    key = hashlib.sha256(f"{client_id} {jti}".encode("utf-8", "surrogatepass")).hexdigest()
    window = Window("client_assertion", key, 2 * (ASSERTION_LIFETIME + LEEWAY))
    with transaction.atomic():
        used = Counter.objects.add({window: 1}, now=timezone.now())[window].number
    if used > 1:
        raise _refused("the assertion was used before", client_id)


def rules_for(client: ClientSettings) -> Rules:
    """The rules of a sign-in for this Client: the site's, with the Client's own numbers and methods, which are held to
    the limits whatever a row says. What the site no longer has is not what a Client can have: then the site's count."""
    rules = Rules()
    methods = tuple(name for name in rules.methods if name not in _WITHOUT.get(client.message, ()))
    own: dict[str, Any] = {}
    if set(methods) & _MESSAGES:
        own["methods"] = methods
    if client.code_lifetime:
        own["code_lifetime"] = own["link_lifetime"] = min(client.code_lifetime, MOST_SECONDS)
    if client.code_length:
        own["code_length"] = max(client.code_length, LEAST_DIGITS)
    if client.code_tries:
        own["code_tries"] = min(client.code_tries, MOST_TRIES)
    if client.minimum_level:
        own["minimum_level"] = Level(client.minimum_level)
    return replace(rules, **own)


_MESSAGES: Final = frozenset({"magic_link", "one_time_code"})
#: What a message has not.
_WITHOUT: Final[dict[str, tuple[str, ...]]] = {
    ClientSettings.Message.LINK: ("one_time_code",),
    ClientSettings.Message.CODE: ("magic_link",),
}
