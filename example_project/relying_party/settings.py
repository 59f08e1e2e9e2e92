"""The settings of the other site. It has no database: who is signed in is in the memory of its one process.

CLIENT_URL      where people reach it              http://localhost:8001
SITE_URL        the example, who signs people in   http://localhost:8000
"""

import secrets
from pathlib import Path
from urllib.parse import urlsplit

from example_project.environment import env
from example_project.relying_party import registration

CLIENT_URL = env("CLIENT_URL", registration.CLIENT_URL).rstrip("/")
SITE_URL = env("SITE_URL", "http://localhost:8000").rstrip("/")

DEBUG = False
SECRET_KEY = secrets.token_urlsafe(48)  # nothing is to outlive the process
ALLOWED_HOSTS = [urlsplit(CLIENT_URL).hostname]

# Authlib knows the rest from the provider's discovery document.
AUTHLIB_OAUTH_CLIENTS = {
    "example": {
        "client_id": registration.CLIENT_ID,
        "client_secret": registration.CLIENT_SECRET,
        "server_metadata_url": f"{SITE_URL}/.well-known/openid-configuration",
        "client_kwargs": {"scope": " ".join(registration.SCOPES), "code_challenge_method": "S256"},
    },
}

INSTALLED_APPS = ["example_project.relying_party", "django.contrib.sessions", "django.contrib.staticfiles"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "example_project.relying_party.urls"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# Tokens stay on this side: the browser holds no more than the name of its session.
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
# Browsers give the cookies of a host to all its ports, and the example's are at another one.
SESSION_COOKIE_NAME = "other_site_session"
CSRF_COOKIE_NAME = "other_site_csrf"

USE_TZ = True
TIME_ZONE = "UTC"
LOCALE_PATHS = [Path(__file__).parents[1] / "locale"]
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

# Quiet: the address of the callback has a code in it.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"django": {"handlers": [], "level": "WARNING"}, "django.server": {"handlers": [], "level": "ERROR"}},
}
