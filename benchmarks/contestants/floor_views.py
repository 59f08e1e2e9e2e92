"""The views of the floor; imported when Django is set up."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import rotate_token
from django.urls import path
from django.utils import timezone
from django.utils.crypto import salted_hmac
from webauthn import verify_authentication_response
from webauthn.helpers.exceptions import WebAuthnException

from ..browser import HOST, ORIGIN
from ..meter import meter

#: Seconds.
LIFETIME = 300

TABLES = (
    "CREATE UNIQUE INDEX floor_email ON auth_user (email)",
    (
        "CREATE TABLE floor_code (browser varchar(64) PRIMARY KEY, user_id integer, digest varchar(64) NOT NULL,"
        " tries integer NOT NULL, spent integer NOT NULL, expires_at bigint NOT NULL)"
    ),
    (
        "CREATE TABLE floor_ceremony (browser varchar(64) PRIMARY KEY, challenge varchar(64) NOT NULL,"
        " spent integer NOT NULL, expires_at bigint NOT NULL)"
    ),
    (
        "CREATE TABLE floor_passkey (credential_id varchar(1400) PRIMARY KEY, user_id integer NOT NULL,"
        " public_key {blob} NOT NULL, counter bigint NOT NULL)"
    ),
)


def prepare(passkeys: list[tuple[str, int, bytes]]) -> None:
    """The tables; for each person credential id, key of the user and public key."""
    blob = "bytea" if connection.vendor == "postgresql" else "blob"
    with connection.cursor() as cursor:
        for statement in TABLES:
            cursor.execute(statement.format(blob=blob))
        cursor.executemany("INSERT INTO floor_passkey VALUES (%s, %s, %s, 0)", passkeys)


# -- code


def ask(request: HttpRequest) -> HttpResponse:
    address = request.POST["identifier"].strip().lower()
    browser, code = secrets.token_urlsafe(32), f"{secrets.randbelow(10**6):06}"
    with connection.cursor() as cursor:
        # An unknown address gets a row without a user: the same statement, the same answer.
        cursor.execute(
            "INSERT INTO floor_code (browser, user_id, digest, tries, spent, expires_at)"
            " VALUES (%s, (SELECT id FROM auth_user WHERE email = %s), %s, 0, 0, %s)",
            [digest(browser), address, digest(browser + code), int(time.time()) + LIFETIME],
        )
    with meter.mail():
        EmailMessage("Sign in to example.com", f"Your code is {code}\n", to=[address]).send()
    response = HttpResponseRedirect("/wait/")
    response.set_cookie("floor", browser, secure=True, httponly=True, samesite="Lax")
    return response


def redeem(request: HttpRequest) -> HttpResponse:
    browser, code, now = request.COOKIES.get("floor", ""), request.POST["code"].strip(), int(time.time())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE floor_code SET spent = 1 WHERE browser = %s AND digest = %s"
            " AND spent = 0 AND tries < 3 AND expires_at > %s RETURNING user_id",
            [digest(browser), digest(browser + code), now],
        )
        found_row = cursor.fetchone()
        if found_row is None:
            cursor.execute("UPDATE floor_code SET tries = tries + 1 WHERE browser = %s", [digest(browser)])
            return HttpResponse("This code does not work.", status=400)
        return sign_in(request, cursor, found_row[0], HttpResponseRedirect("/account/"))


# -- passkey


def passkey_options(_request: HttpRequest) -> HttpResponse:
    browser, challenge = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO floor_ceremony (browser, challenge, spent, expires_at) VALUES (%s, %s, 0, %s)",
            [digest(browser), challenge, int(time.time()) + LIFETIME],
        )
    response = JsonResponse(
        {
            "challenge": challenge,
            "rpId": HOST,
            "allowCredentials": [],
            "userVerification": "required",
            "timeout": LIFETIME * 1000,
        }
    )
    response.set_cookie("floor", browser, secure=True, httponly=True, samesite="Lax")
    return response


def passkey_verify(request: HttpRequest) -> HttpResponse:
    credential = json.loads(request.body)
    browser, now = request.COOKIES.get("floor", ""), int(time.time())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE floor_ceremony SET spent = 1 WHERE browser = %s AND spent = 0 AND expires_at > %s"
            " RETURNING challenge",
            [digest(browser), now],
        )
        ceremony = cursor.fetchone()
        cursor.execute(
            "SELECT user_id, public_key, counter FROM floor_passkey WHERE credential_id = %s", [credential["id"]]
        )
        passkey = cursor.fetchone()
        if ceremony is None or passkey is None:
            return HttpResponse("This passkey does not work.", status=400)
        user_id, public_key, counter = passkey
        try:
            verified = verify_authentication_response(
                credential=credential,
                expected_challenge=base64.urlsafe_b64decode(ceremony[0] + "="),
                expected_rp_id=HOST,
                expected_origin=ORIGIN,
                credential_public_key=bytes(public_key),
                credential_current_sign_count=counter,
                require_user_verification=True,
            )
        except WebAuthnException:
            return HttpResponse("This passkey does not work.", status=400)
        cursor.execute(
            "UPDATE floor_passkey SET counter = %s WHERE credential_id = %s AND counter = %s",
            [verified.new_sign_count, credential["id"], counter],
        )
        return sign_in(request, cursor, user_id, JsonResponse({"next": "/account/"}))


# -- session


def sign_in(request: HttpRequest, cursor: Any, user_id: int | None, response: HttpResponse) -> HttpResponse:
    """A new session of this user, in the transaction around, as ``django.contrib.auth`` will read it."""

    now = timezone.now()
    adapt = connection.ops.adapt_datetimefield_value
    cursor.execute(
        "UPDATE auth_user SET last_login = %s WHERE id = %s AND is_active RETURNING password", [adapt(now), user_id]
    )
    user = cursor.fetchone()
    if user is None:
        return HttpResponse("You can't sign in.", status=403)
    password_hash = salted_hmac(
        "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash", user[0], algorithm="sha256"
    ).hexdigest()
    key = secrets.token_hex(16)
    data = SessionStore().encode(
        {
            SESSION_KEY: str(user_id),
            BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: password_hash,
        }
    )
    age = settings.SESSION_COOKIE_AGE
    cursor.execute(
        "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (%s, %s, %s)",
        [key, data, adapt(now + timedelta(seconds=age))],
    )
    rotate_token(request)
    response.set_cookie(
        settings.SESSION_COOKIE_NAME, key, max_age=age, secure=True, httponly=True, samesite="Lax", path="/"
    )
    return response


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


urlpatterns = [
    path("ask/", ask),
    path("redeem/", redeem),
    path("passkey/options/", passkey_options),
    path("passkey/verify/", passkey_verify),
]
