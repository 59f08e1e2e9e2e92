"""django-allauth: sign-in by code, and passkey sign-in of its MFA app; the pages' endpoints, its limits on."""

from __future__ import annotations

import json
from typing import Any

from ..browser import HOST, ORIGIN, Browser
from ..mailbox import found
from ..meter import meter
from .base import Contestant, Flow, encoded


class Allauth(Contestant):
    name = "django-allauth"
    distribution = "django-allauth"
    needs = ("allauth.account", "fido2")
    flows = (Flow("message", "code", "code"), Flow("passkey", "passkey", "passkey"))
    apps = ("allauth", "allauth.account", "allauth.mfa")
    middleware = ("allauth.account.middleware.AccountMiddleware",)
    settings = {
        "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
        "ACCOUNT_LOGIN_METHODS": {"email"},
        "ACCOUNT_LOGIN_BY_CODE_ENABLED": True,
        "ACCOUNT_SIGNUP_FIELDS": ["email*"],
        "LOGIN_REDIRECT_URL": "/account/",
        "MFA_SUPPORTED_TYPES": ["webauthn"],
        "MFA_PASSKEY_LOGIN_ENABLED": True,
    }

    def urls(self) -> list[Any]:
        from django.urls import include, path

        return [path("", include("allauth.urls"))]

    def prepare(self, people: int) -> None:
        from allauth.account.adapter import DefaultAccountAdapter
        from allauth.account.models import EmailAddress
        from allauth.account.utils import user_pk_to_url_str
        from allauth.mfa.models import Authenticator
        from django.contrib.auth.models import User

        super().prepare(people)
        users = list(User.objects.order_by("pk"))
        EmailAddress.objects.bulk_create(
            [EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users]
        )
        Authenticator.objects.bulk_create(
            [
                Authenticator(
                    user=user,
                    type="webauthn",
                    data={"name": "Phone", "credential": self.registration(person, user_pk_to_url_str(user))},
                )
                # Who has a passkey is asked for it after a code, too: those who sign in by code have none.
                for person, user in enumerate(users)
                if person >= people // 2
            ]
        )
        DefaultAccountAdapter.send_mail = meter.is_mail(DefaultAccountAdapter.send_mail)

    def registration(self, person: int, user_handle: str) -> dict[str, Any]:
        """It keeps the whole answer of the browser."""
        from passwordless_auth.testing.authenticator import Authenticator

        authenticator = Authenticator(synced=True, counter="zero")
        self.authenticators[person] = authenticator
        options = {
            "rp": {"id": HOST, "name": HOST},
            "user": {"id": encoded(user_handle.encode()), "name": "p", "displayName": "p"},
            "challenge": encoded(b"c" * 32),
            "pubKeyCredParams": [{"type": "public-key", "alg": -7}],
            "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
        }
        return authenticator.create(options, origin=ORIGIN)

    def code(self, browser: Browser, person: int) -> None:
        address = self.address(person)
        browser.submit("/login/code/", {"email": address}, expect=302)
        code = found(r"\n\s*([A-Z0-9-]{6,9})\s*\n", to=address)
        browser.submit("/login/code/confirm/", {"code": code}, expect=302)

    def passkey(self, browser: Browser, person: int) -> None:
        asked = browser.get("/2fa/webauthn/login/", expect=200, Accept="application/json").json()
        answer = self.assertion(person, asked["request_options"]["publicKey"])
        browser.submit("/2fa/webauthn/login/", {"credential": json.dumps(answer)}, expect=302)
