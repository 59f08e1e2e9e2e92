"""The OpenID provider of the floor, for one client and one kind of code; imported when Django is set up.

A code of one use that belongs to its client, redirect URI, PKCE and session's person; an ID token by RS256; an access
token that is kept as a digest. No refresh tokens, no rules to set, no errors but "no".
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import path
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.csrf import csrf_exempt

from ..browser import ORIGIN
from . import oidc

TABLES = (
    "CREATE TABLE floor_client (client_id varchar(100) PRIMARY KEY, redirect_uri varchar(200) NOT NULL)",
    (
        "CREATE TABLE floor_consent (user_id integer NOT NULL, client_id varchar(100) NOT NULL,"
        " scope varchar(200) NOT NULL, PRIMARY KEY (user_id, client_id))"
    ),
    (
        "CREATE TABLE floor_grant (digest varchar(64) PRIMARY KEY, client_id varchar(100) NOT NULL, user_id integer"
        " NOT NULL, redirect_uri varchar(200) NOT NULL, challenge varchar(64) NOT NULL, nonce varchar(200) NOT NULL,"
        " scope varchar(200) NOT NULL, auth_time bigint NOT NULL, spent integer NOT NULL, expires_at bigint NOT NULL)"
    ),
    (
        "CREATE TABLE floor_token (digest varchar(64) PRIMARY KEY, client_id varchar(100) NOT NULL, user_id integer"
        " NOT NULL, scope varchar(200) NOT NULL, expires_at bigint NOT NULL)"
    ),
)

_key: list[RSAPrivateKey] = []


def prepare() -> None:
    with connection.cursor() as cursor:
        for statement in TABLES:
            cursor.execute(statement)
        cursor.execute("INSERT INTO floor_client VALUES (%s, %s)", [oidc.CLIENT_ID, oidc.REDIRECT_URI])
        cursor.execute("INSERT INTO floor_consent SELECT id, %s, %s FROM auth_user", [oidc.CLIENT_ID, oidc.SCOPE])
    key = serialization.load_pem_private_key(oidc.rsa_key().encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise AssertionError("unreachable: it was made as one")
    _key.append(key)


def authorize(request: HttpRequest) -> HttpResponse:
    asked, now = request.GET, int(time.time())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > %s",
            [
                request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""),
                connection.ops.adapt_datetimefield_value(timezone.now()),
            ],
        )
        found = cursor.fetchone()
        session = SessionStore().decode(found[0]) if found else {}
        cursor.execute(
            "SELECT u.id, u.password, c.redirect_uri, s.scope FROM auth_user u JOIN floor_consent s ON s.user_id = u.id"
            " JOIN floor_client c ON c.client_id = s.client_id WHERE u.id = %s AND u.is_active AND c.client_id = %s",
            [int(session.get(SESSION_KEY, 0)), asked["client_id"]],
        )
        row = cursor.fetchone()
        if (
            row is None
            or not constant_time_compare(session[HASH_SESSION_KEY], _session_hash(row[1]))
            or asked["redirect_uri"] != row[2]
            or asked["response_type"] != "code"
            or asked["code_challenge_method"] != "S256"
            or not set(asked["scope"].split()) <= set(row[3].split())
        ):
            return HttpResponse("No.", status=400)
        code = secrets.token_urlsafe(32)
        cursor.execute(
            "INSERT INTO floor_grant VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 0, %s)",
            [
                _digest(code),
                asked["client_id"],
                row[0],
                asked["redirect_uri"],
                asked["code_challenge"],
                asked["nonce"],
                asked["scope"],
                now,
                now + 60,
            ],
        )
    query = urlencode({"code": code, "state": asked["state"], "iss": f"{ORIGIN}/"})
    return HttpResponseRedirect(f"{asked['redirect_uri']}?{query}")


@csrf_exempt
def token(request: HttpRequest) -> HttpResponse:
    asked, now = request.POST, int(time.time())
    challenge = _base64(hashlib.sha256(asked["code_verifier"].encode()).digest())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE floor_grant SET spent = 1 WHERE digest = %s AND client_id = %s AND redirect_uri = %s AND"
            " challenge = %s AND spent = 0 AND expires_at > %s RETURNING user_id, nonce, scope, auth_time",
            [_digest(asked["code"]), asked["client_id"], asked["redirect_uri"], challenge, now],
        )
        row = cursor.fetchone()
        if row is None:
            return JsonResponse({"error": "invalid_grant"}, status=400)
        access = secrets.token_urlsafe(32)
        cursor.execute(
            "INSERT INTO floor_token VALUES (%s, %s, %s, %s, %s)",
            [_digest(access), asked["client_id"], row[0], row[2], now + 3600],
        )
    claims = {
        "iss": f"{ORIGIN}/",
        "sub": str(row[0]),
        "aud": asked["client_id"],
        "iat": now,
        "exp": now + 3600,
        "nonce": row[1],
        "auth_time": row[3],
        "at_hash": _base64(hashlib.sha256(access.encode()).digest()[:16]),
    }
    answer = {"access_token": access, "token_type": "Bearer", "expires_in": 3600, "id_token": _signed(claims)}
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def userinfo(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT u.id, u.email FROM floor_token t JOIN auth_user u ON u.id = t.user_id"
            " WHERE t.digest = %s AND t.expires_at > %s AND u.is_active",
            [_digest(request.headers["Authorization"].removeprefix("Bearer ")), int(time.time())],
        )
        row = cursor.fetchone()
    if row is None:
        return HttpResponse(status=401)
    return JsonResponse({"sub": str(row[0]), "email": row[1], "email_verified": True})


def _session_hash(password: str) -> str:
    return salted_hmac(
        "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash", password, algorithm="sha256"
    ).hexdigest()


def _signed(claims: dict[str, Any]) -> str:
    head = _base64(json.dumps({"alg": "RS256", "kid": "1"}).encode())
    body = f"{head}.{_base64(json.dumps(claims).encode())}"
    return f"{body}.{_base64(_key[0].sign(body.encode(), PKCS1v15(), hashes.SHA256()))}"


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


urlpatterns = [path("oidc/authorize", authorize), path("oidc/token", token), path("oidc/userinfo", userinfo)]
