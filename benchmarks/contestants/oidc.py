"""The round of an OpenID provider that all walk: authorize, token, userinfo.

Somebody is signed in and has allowed the client before; so the first request answers with a code, and no page is drawn.
The client is public and uses PKCE; where it has a secret, too, that says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from ..browser import Browser
from ..meter import meter

CLIENT_ID = "benchmark"
CLIENT_SECRET = "a-secret-of-the-benchmark-" + "s" * 20
REDIRECT_URI = "https://client.example/callback"
VERIFIER = "v" * 64
SCOPE = "openid email"


@dataclass(frozen=True)
class Endpoints:
    authorize: str
    token: str
    userinfo: str


def walk(browser: Browser, at: Endpoints, *, client_id: str = CLIENT_ID, secret: str = "") -> dict[str, Any]:
    """The round, in a browser where somebody is signed in. Returns what userinfo says."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT_URI,
        "scope": SCOPE,
        "state": "state",
        "nonce": "nonce",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    answer = browser.get(f"{at.authorize}?{urlencode(query)}", expect=(302, 303)).headers["Location"]
    code = parse_qs(urlsplit(answer).query)["code"][0]
    client = Browser(browser.application, ip="192.0.2.1")
    client.cookies.clear()
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT_URI,
        "client_id": client_id,
        "code_verifier": VERIFIER,
        **({"client_secret": secret} if secret else {}),
    }
    tokens = client.send_form(at.token, fields).json()
    claims = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))
    info: dict[str, Any] = client.get(at.userinfo, expect=200, Authorization=f"Bearer {tokens['access_token']}").json()
    if claims["nonce"] != "nonce" or claims["sub"] != info["sub"] or not info["email"]:
        raise WrongTokenError(f"{claims} {info}")
    return info


def begin_session(browser: Browser, address: str) -> None:
    """Sign somebody in, in a session of Django's own; it costs nothing here."""
    with meter.aside():
        from django.conf import settings
        from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
        from django.contrib.auth.models import User
        from django.contrib.sessions.backends.db import SessionStore

        user = User.objects.get(email=address)
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        browser.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)


def rsa_key() -> str:
    """A key of 2048 bits, as PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class WrongTokenError(Exception):
    """A contestant gave tokens that say something else than they should."""
