"""django-otp-webauthn: passkeys without a password, as it recommends them."""

from __future__ import annotations

from typing import Any

from ..browser import HOST, ORIGIN, Browser
from .base import Contestant, Flow


class OtpWebauthn(Contestant):
    name = "django-otp-webauthn"
    distribution = "django-otp-webauthn"
    needs = ("django_otp_webauthn",)
    flows = (Flow("passkey", "passkey", "passkey"),)
    apps = ("django_otp", "django_otp_webauthn")
    middleware = ("django_otp.middleware.OTPMiddleware",)
    settings = {
        "AUTHENTICATION_BACKENDS": [
            "django_otp_webauthn.backends.WebAuthnBackend",
            "django.contrib.auth.backends.ModelBackend",
        ],
        "LOGIN_REDIRECT_URL": "/account/",
        "OTP_WEBAUTHN_RP_ID": HOST,
        "OTP_WEBAUTHN_RP_NAME": HOST,
        "OTP_WEBAUTHN_ALLOWED_ORIGINS": [ORIGIN],
    }

    def urls(self) -> list[Any]:
        from django.urls import include, path

        return [path("webauthn/", include("django_otp_webauthn.urls"))]

    def prepare(self, people: int) -> None:
        from django.contrib.auth.models import User
        from django_otp_webauthn.models import WebAuthnCredential

        super().prepare(people)
        rows = []
        for person, user in enumerate(User.objects.order_by("pk")):
            credential = self.passkey_of(person, user_handle=f"{user.pk:064x}".encode())
            rows.append(
                WebAuthnCredential(
                    user=user,
                    name="Phone",
                    confirmed=True,
                    credential_id=credential.id,
                    credential_id_sha256=WebAuthnCredential.get_credential_id_sha256(credential.id),
                    public_key=credential.cose_key,
                    transports=["internal"],
                    discoverable=True,
                    backup_eligible=True,
                    backup_state=True,
                )
            )
        WebAuthnCredential.objects.bulk_create(rows)

    def passkey(self, browser: Browser, person: int) -> None:
        options = browser.send("/webauthn/authentication/begin/", {}).json()
        browser.send("/webauthn/authentication/complete/", self.assertion(person, options))
