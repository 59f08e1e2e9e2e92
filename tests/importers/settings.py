"""A host that has all four packages, beside ours."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [
    *(app for app in INSTALLED_APPS if app != "tests"),
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_otp.plugins.otp_email",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "django_otp_webauthn",
    "passkeys",
    "two_factor",
    "two_factor.plugins.email",
    "two_factor.plugins.phonenumber",
]
MIDDLEWARE = [*MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
ROOT_URLCONF = "tests.importers.urls"
LOGIN_URL = "passwordless_auth:login"
LOGIN_REDIRECT_URL = "/account/"
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
else:
    DATABASES["default"]["TEST"] = {"NAME": f"test_importers_{os.getpid()}"}

MFA_SUPPORTED_TYPES = ["recovery_codes", "totp", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_REAUTHENTICATION_REQUIRED = False
ACCOUNT_RATE_LIMITS = False

OTP_WEBAUTHN_RP_ID = "testserver"
OTP_WEBAUTHN_RP_NAME = "Testserver"
OTP_WEBAUTHN_ALLOWED_ORIGINS = ["https://testserver"]

FIDO_SERVER_ID = "testserver"
FIDO_SERVER_NAME = "Testserver"
