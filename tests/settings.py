"""The host project of our own tests. Servers come by environment: DATABASE_URL, CACHE_URL."""

import os
from pathlib import Path

import dj_database_url
import django

BASE_DIR = Path(__file__).parent
SECRET_KEY = "tests-only-" + "x" * 40
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_otp",
    "anymail",
    "oauth2_provider",
    "passwordless_auth",
    "passwordless_auth.oidc",
    "tests",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "passwordless_auth.middleware.SignInMiddleware",
]
ROOT_URLCONF = "tests.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
STATIC_URL = "/static/"

DATABASES = {"default": dj_database_url.config(default="sqlite://:memory:")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, since threads and processes each have a connection of their own; IMMEDIATE, as the docs advise.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(BASE_DIR / "db.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
        "TEST": {"NAME": str(BASE_DIR / f".test-{worker}.sqlite3")},
    }

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}
if os.environ.get("CACHE_URL"):
    CACHES["redis"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["CACHE_URL"],
        "KEY_PREFIX": f"tests-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}",
    }

if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
else:
    EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
DEFAULT_FROM_EMAIL = "sign-in@testserver.example"

AUTHENTICATION_BACKENDS = [
    "passwordless_auth.backends.SignInBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

PASSWORDLESS_AUTH_BASE_URL = "http://testserver"
PASSWORDLESS_AUTH_SITE_NAME = "Testserver"
PASSWORDLESS_AUTH_SECRET_KEYS = [("k1", "the-first-key-of-the-tests-" + "a" * 20)]
PASSWORDLESS_AUTH_SENDER = "inline"
# Browsers offer passkeys on https only, and so does the software authenticator of the test kit.
PASSWORDLESS_AUTH_PASSKEY_ORIGINS = ["https://testserver"]
