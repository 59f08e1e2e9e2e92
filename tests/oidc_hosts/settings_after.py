"""The same site with this package: what its how-to says, and nothing else."""

from tests import settings as ours

from .settings_before import *  # noqa: F403
from .settings_before import INSTALLED_APPS

MIDDLEWARE = ours.MIDDLEWARE
TEMPLATES = ours.TEMPLATES
INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django.contrib.admin",
    "django.contrib.staticfiles",
    "django_otp",
    "passwordless_auth",
    "passwordless_auth.oidc",
]
STATIC_URL = "/static/"
AUTHENTICATION_BACKENDS = ["passwordless_auth.backends.SignInBackend"]
ROOT_URLCONF = "tests.oidc_hosts.urls_after"
PASSWORDLESS_AUTH_BASE_URL = "http://testserver"
PASSWORDLESS_AUTH_SECRET_KEYS = [("k1", "the-first-key-of-the-tests-" + "a" * 20)]
PASSWORDLESS_AUTH_SENDER = "inline"
