"""Signed tokens: how they are made, and how our own are recognised (RFC 7519; OpenID Connect Core §2)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from jwcrypto.common import JWException
from jwcrypto.jws import JWS

from .. import derivation
from . import keys
from .conf import settings
from .models import Authorization

#: Characters of a token that is looked at; ours are far shorter.
MAX_LENGTH: Final = 32 * 1024
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)

#: The claims that the protocol makes; nobody else may.
OF_PROTOCOL: Final = frozenset(
    {
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "azp",
        "sid",
        "at_hash",
        "c_hash",
        "s_hash",
        "jti",
        "events",
        "cnf",
    }
)

#: The hash of each ``alg`` (OpenID Connect Core §3.1.3.6; Ed25519 signs with SHA-512, RFC 8032 §5.1).
_HASHES: Final = {"RS256": hashlib.sha256, "ES256": hashlib.sha256, "EdDSA": hashlib.sha512}

#: OpenID Connect Back-Channel Logout 1.0 §2.4: the event, and how long a token of it is good at most.
LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TYP: Final = "logout+jwt"
LOGOUT_LIFETIME: Final = 120


def sign(claims: Mapping[str, Any], *, alg: str, typ: str = "JWT") -> str:
    """The claims as a signed token, with ``kid``. Raises what ``keys.signing_key`` raises."""
    key = keys.signing_key(alg)
    token = JWS(json.dumps(claims).encode())
    token.add_signature(key.jwk, None, json.dumps({"alg": key.alg, "kid": key.kid, "typ": typ}))
    return str(token.serialize(compact=True))


@sensitive_variables()
def read(token: str, *, typ: str = "JWT", allow_expired: bool = False) -> dict[str, Any] | None:
    """The claims of a token of ours: signed by one of our published keys, in our name, for this use (``typ``: a logout
    token is no ID token). ``None`` for everything else, whatever was sent.

    ``allow_expired``: also when it has run out; as a hint, it is still good (RP-Initiated Logout §2).
    """
    if len(token) > MAX_LENGTH or not _COMPACT.fullmatch(token):
        return None
    try:
        header = json.loads(_decoded(token.partition(".")[0]))
        if not isinstance(header, dict) or header.get("typ") != typ or not isinstance(header.get("kid"), str):
            return None
        key = keys.key_with(header["kid"])
        # SECURITY: the key says what algorithm it is for, and not the token: "none", or HS256 with our public key for
        # its secret, would let anybody sign (RFC 8725 §3.1).
        if key is None or header.get("alg") != key.alg:
            return None
        verified = JWS()
        verified.allowed_algs = [key.alg]
        verified.deserialize(token, key.jwk)
        claims = json.loads(verified.payload)
    except (JWException, ValueError, RecursionError):
        return None
    if not isinstance(claims, dict) or claims.get("iss") != settings.OIDC_ISSUER:
        return None
    if not allow_expired and not timezone.now().timestamp() < claims.get("exp", 0):
        return None
    return claims


def hash_of(value: str, alg: str) -> str:
    """``at_hash`` of an access token, ``c_hash`` of a code (OpenID Connect Core §3.3.2.11): the left half of a hash."""
    digest = _HASHES[alg](value.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).decode().rstrip("=")


def id_token(
    *,
    subject: str,
    client_id: str,
    authorization: Authorization,
    alg: str,
    lifetime: int,
    access_token: str = "",
    code: str = "",
    extra_claims: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> str:
    """An ID token (OpenID Connect Core §2, §3.3.2.11). What it says of the sign-in is what was true when the person
    authorized: ``auth_time``, ``acr``, ``amr``, ``sid``. ``extra_claims`` can't take the place of any of these."""
    issued = int((now or timezone.now()).timestamp())
    claims = {name: value for name, value in (extra_claims or {}).items() if name not in OF_PROTOCOL}
    claims |= {
        "iss": settings.OIDC_ISSUER,
        "sub": subject,
        "aud": client_id,
        "exp": issued + lifetime,
        "iat": issued,
        "jti": derivation.new_public_id(),
    }
    known = {
        "auth_time": authorization.auth_time,
        "nonce": authorization.nonce,
        "acr": authorization.acr,
        "amr": authorization.amr,
        "sid": authorization.sid,
        "at_hash": access_token and hash_of(access_token, alg),
        "c_hash": code and hash_of(code, alg),
    }
    claims |= {name: value for name, value in known.items() if value}
    return sign(claims, alg=alg)


def logout_token(*, subject: str, client_id: str, sid: str, alg: str, now: datetime | None = None) -> str:
    """A logout token (OpenID Connect Back-Channel Logout 1.0 §2.4), for two minutes. ``subject`` or ``sid`` may be "",
    not both. It has no ``nonce``, so that nobody takes it for an ID token."""
    issued = int((now or timezone.now()).timestamp())
    claims = {
        "iss": settings.OIDC_ISSUER,
        "aud": client_id,
        "iat": issued,
        "exp": issued + LOGOUT_LIFETIME,
        "jti": derivation.new_public_id(),
        "events": {LOGOUT_EVENT: {}},
    }
    claims |= {name: value for name, value in (("sub", subject), ("sid", sid)) if value}
    return sign(claims, alg=alg, typ=LOGOUT_TYP)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
