"""A site with django-oauth-toolkit alone, as its own tutorial has it. ``HOST_DATABASE``: the file that both share;
``HOST_CLIENTS``: the model of its clients, where it has one of its own."""

import os

from tests.settings import AUTHENTICATION_BACKENDS, MIDDLEWARE

SECRET_KEY = "tests-only-" + "x" * 40
USE_TZ = True
ALLOWED_HOSTS = ["testserver"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["HOST_DATABASE"]}}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "oauth2_provider",
]
if os.environ["HOST_CLIENTS"]:
    INSTALLED_APPS.insert(-1, "tests.oidc_hosts.own_clients")
    OAUTH2_PROVIDER_APPLICATION_MODEL = os.environ["HOST_CLIENTS"]
MIDDLEWARE = [each for each in MIDDLEWARE if each.startswith("django.")]
AUTHENTICATION_BACKENDS = [each for each in AUTHENTICATION_BACKENDS if each.startswith("django.")]
ROOT_URLCONF = "tests.oidc_hosts.urls_before"
OAUTH2_PROVIDER = {"SCOPES": {"openid": "Sign you in", "read": "Read"}}
