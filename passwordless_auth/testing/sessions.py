"""Signed in, without a message: a session like those that our own doors make."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from .. import sessions
from ..flows import accounts, completion
from ..methods import METHODS, passkey
from ..middleware import SignInMiddleware
from ..models import Identity, KnownBrowser, Level, Passkey, Proof, SignIn, Totp
from ..requester import Requester, browser_cookie_name, new_browser_key
from .enrolment import add_passkey, add_totp

#: What people use to reach a level.
METHODS_OF: Final[dict[Level, tuple[str, ...]]] = {
    Level.RECOVERED: ("recovery_code",),
    Level.SINGLE: ("one_time_code",),
    Level.MULTI: ("one_time_code", "totp"),
    Level.PHR: ("passkey",),
}


def signed_in_client(
    user: Any, level: Level | str = Level.SINGLE, methods: Sequence[str] | None = None, **defaults: Any
) -> Client:
    """Django's test client in a browser in which ``user`` has just signed in.

    The session has a SignIn, and the browser a key, as after a sign-in through the pages. ``level``: ``"single"``
    (default), ``"multi"``, ``"phr"`` or ``"recovered"``; it is given, whatever the Policy would ask of this user.
    ``methods``: what they used for it, by name; by default a code, a code and an app, a passkey, or a recovery code. A
    passkey and an app are enrolled when the user has none, so ``request.user.is_verified()`` is true for them.
    ``defaults`` are the client's, such as ``HTTP_USER_AGENT``.
    """
    level = Level(level)
    client = Client(**defaults)
    browser_key = new_browser_key()
    request = RequestFactory(**defaults).get("/")
    request.COOKIES[browser_cookie_name()] = browser_key

    def sign_in_here(request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            _begin(request, user, level, METHODS_OF[level] if methods is None else methods)
        return HttpResponse()

    response = SessionMiddleware(AuthenticationMiddleware(SignInMiddleware(sign_in_here)))(request)
    assert isinstance(response, HttpResponse)
    client.cookies.update(response.cookies)
    client.cookies[browser_cookie_name()] = browser_key
    return client


def _begin(request: HttpRequest, user: Any, level: Level, methods: Sequence[str]) -> SignIn:
    now = timezone.now()
    requester = Requester.from_request(request)
    sign_in = completion.begin(user, requester=requester, now=now)
    sign_in.auth_time = now
    sign_in.level = level
    sign_in.set_proofs([proof_by(method, sign_in, now=now) for method in methods])
    KnownBrowser.objects.remember(user_id=user.pk, browser_digest=requester.browser_digest, now=now)
    sessions.establish(request, sign_in)
    return sign_in


def proof_by(method: str, sign_in: SignIn, *, now: datetime) -> Proof:
    """What a method proves; with what is there once it has been used: an authenticator, a proven address."""
    user = sign_in.user
    if method == "passkey":
        row = Passkey.objects.usable().filter(user=user).first() or add_passkey(user)
        sign_in.otp_device_id = row.persistent_id
        return passkey.proof_by(row, now=now)
    at = int(now.timestamp())
    if method == "totp":
        device = Totp.objects.usable(user).first() or add_totp(user)
        sign_in.otp_device_id = device.persistent_id
        return Proof(method=method, amr=("otp", "mfa"), at=at, authenticator=device.public_id)
    if method == "recovery_code":
        return Proof(method=method, amr=("otp",), at=at)
    primary = accounts.primary_of(user)
    if primary is not None:
        Identity.objects.prove(primary, now=now)
    return METHODS[method].proof(now=now)
