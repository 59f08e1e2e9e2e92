"""The settings of the example. To be read from top to bottom.

First what passwordless_auth needs, then Django's own. Everything can be changed by environment variables; with none of
them the example runs on your machine, with a SQLite file and mail to the console.

    SITE_URL        where people reach the site        http://localhost:8000
    SECRET_KEY      Django's                           needed unless DEBUG is on
    DEBUG           1 or 0                             1
    DATABASE_URL    sqlite, postgres or mysql          sqlite:///…/example_project/db.sqlite3
    CACHE_URL       redis://host:port/number           memory of each process
    INBOX           1: keep messages and show them     0 (``manage.py demo``: 1)
    CLIENT_URL      a site that people sign in to with this one: another one of the demo
                                                       none (``manage.py demo``: http://localhost:8001)
    EMAIL_HOST      a mail server; and EMAIL_PORT …    the console
    TWILIO_…        who sends text messages            the console
    PASSWORDLESS_AUTH_…                                see below
"""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
import django
from django.core.exceptions import ImproperlyConfigured

from example_project.environment import env

HERE = Path(__file__).resolve().parent

DEBUG = env("DEBUG", True)
INBOX = env("INBOX", False)
SITE_URL = env("SITE_URL", "http://localhost:8000").rstrip("/")
CLIENT_URL = env("CLIENT_URL", "").rstrip("/")

SITE = urlsplit(SITE_URL)
HTTPS = SITE.scheme == "https"
if SITE.scheme not in {"http", "https"} or not SITE.hostname:
    raise ImproperlyConfigured(f"SITE_URL must be an address such as https://example.com, not {SITE_URL!r}.")

SECRET_KEY = env("SECRET_KEY", "") or ("only-for-development-" + "x" * 40 if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("DEBUG is off, so SECRET_KEY must be set: at least 50 random characters.")


# == passwordless_auth: six lines, five of them here ================================================================

# 1. The app. It keeps its authenticators the way django-otp does.
INSTALLED_APPS = ["django_otp", "passwordless_auth"]

# 2. Keeps sessions and the list of sign-ins in step. Last, after Django's own.
MIDDLEWARE = ["passwordless_auth.middleware.SignInMiddleware"]

# 3. Loads users and their permissions. Add "django.contrib.auth.backends.ModelBackend" to keep passwords beside it.
AUTHENTICATION_BACKENDS = ["passwordless_auth.backends.SignInBackend"]

# 4. Links in messages begin with this, whatever a request's headers say.
PASSWORDLESS_AUTH_BASE_URL = SITE_URL

# 5. Codes and links are derived from these keys, (key id, key), newest first. From the environment as "id:key,id:key".
PASSWORDLESS_AUTH_SECRET_KEYS = [tuple(pair.split(":", 1)) for pair in env("PASSWORDLESS_AUTH_SECRET_KEYS", [])]
if any(len(pair) != 2 or not all(pair) for pair in PASSWORDLESS_AUTH_SECRET_KEYS):
    raise ImproperlyConfigured('PASSWORDLESS_AUTH_SECRET_KEYS must be "id:key", or several with commas between them.')
if not PASSWORDLESS_AUTH_SECRET_KEYS and not DEBUG:
    raise ImproperlyConfigured(
        "DEBUG is off, so PASSWORDLESS_AUTH_SECRET_KEYS must be set: "
        '"id:key", with a name of your choice and at least 32 random characters.'
    )
if not PASSWORDLESS_AUTH_SECRET_KEYS:  # while you develop, one key for both is enough
    PASSWORDLESS_AUTH_SECRET_KEYS = [("development", hashlib.sha256(f"codes {SECRET_KEY}".encode()).hexdigest())]

# 6. In urls.py: path("", include("passwordless_auth.urls"))

# The name of the site in pages and messages. Without it they say the host of SITE_URL.
PASSWORDLESS_AUTH_SITE_NAME = "Example"

# What more there is to set has a default. The example takes each from the environment, by its own name. Your project
# just writes, say: PASSWORDLESS_AUTH_SIGN_UP = "closed"
for name, kind in {
    "SITE_NAME": str,
    "SIGN_UP": str,
    "METHODS": list,
    "POLICY": str,
    "LEVEL_FOR_STAFF": str,
    "LEVEL_LIFETIME": int,
    "PENDING_LIFETIME": int,
    "PASSKEY_RP_ID": str,
    "PASSKEY_ORIGINS": list,
    "PASSKEY_RELATED_ORIGINS": list,
    "PASSKEY_ATTESTATION": str,
    "PASSKEY_AAGUIDS_ALLOWED": list,
    "PASSKEY_AAGUIDS_DENIED": list,
    "PASSKEY_HINTS": list,
    "PASSKEY_CHALLENGE_LIFETIME": int,
    "ENROLMENT_LIFETIME": int,
    "RECOVERY_CODE_COUNT": int,
    "RECOVERED_LIFETIME": int,
    "REPORT_LIFETIME": int,
    "FREEZE_LIFETIME": int,
    "SMS_COUNTRIES": list,
    "SMS_LINKS": bool,
    "SMS_LIMIT_PER_NUMBER": str,
    "SMS_LIMIT_PER_KNOWN_BROWSER": str,
    "SMS_LIMIT_NOTICES": str,
    "SMS_LIMIT_PER_PREFIX": str,
    "SMS_LIMIT_PER_IP": str,
    "SMS_LIMIT_PER_NETWORK": str,
    "SMS_LIMIT_TOTAL": str,
    "SMS_CEILING_PER_DAY": str,
    "SMS_BREAKER_MESSAGES": int,
    "SMS_BREAKER_PAUSE": int,
    "SENDER": str,
    "NEW_KEY_DELAY": int,
    "CODE_LIFETIME": int,
    "LINK_LIFETIME": int,
    "CODE_LENGTH": int,
    "CODE_ALPHABET": str,
    "CODE_TRIES": int,
    "CODE_IN_SUBJECT": bool,
    "LIMIT_SENDS_PER_ADDRESS": str,
    "LIMIT_SENDS_PER_KNOWN_BROWSER": str,
    "LIMIT_STARTS_PER_IP": str,
    "LIMIT_FAILURES_PER_IP": str,
    "LIMIT_FAILURES_PER_ACCOUNT": str,
    "LIMIT_PASSKEY_STARTS_PER_IP": str,
    "LIMIT_RECOVERY_FAILURES_PER_ACCOUNT": str,
    "LIMIT_TOTP_FAILURES_PER_ACCOUNT": str,
    "LIMIT_STORE": str,
    "TRUSTED_PROXY_COUNT": int,
    "OUTBOUND_NETWORKS": list,
    "SESSION_IDLE": int,
    "SESSION_LIFETIME": int,
    "STEP_UP_LIFETIME": int,
    "RETENTION_CHALLENGES": int,
    "RETENTION_ADDRESS_MARKS": int,
    "RETENTION_REQUESTERS": int,
    "RETENTION_EVENTS": int,
    "RETENTION_KNOWN_BROWSERS": int,
    "OIDC_ISSUER": str,
    "OIDC_SUBJECT": str,
    "OIDC_CLAIMS": str,
    "OIDC_SIGNING_ALGORITHMS": list,
    "OIDC_NEW_KEY_DELAY": int,
    "OIDC_AUTHORIZATION_LIFETIME": int,
    "OIDC_LIMIT_REQUESTS_PER_IP": str,
    "OIDC_LIMIT_REGISTRATIONS_PER_IP": str,
    "OIDC_REGISTRATION_RESPONSE_TYPES": list,
    "OIDC_REGISTRATION_PKCE": bool,
    "OIDC_REFRESH_LIFETIME": int,
}.items():
    value = env(f"PASSWORDLESS_AUTH_{name}", kind=kind)
    if value is not None:
        globals()[f"PASSWORDLESS_AUTH_{name}"] = value


# == The OpenID provider: two apps, and a line in urls.py ===========================================================

INSTALLED_APPS += ["oauth2_provider", "passwordless_auth.oidc"]


# == Django's own ===================================================================================================

INSTALLED_APPS = [
    "example_project",  # before passwordless_auth: its passwordless_auth/base.html adds to the one of the package
    "example_project.inbox",
    *INSTALLED_APPS,
    "passwordless_auth.admin.apps.PasswordlessAdminConfig",  # django.contrib.admin, behind our sign-in
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    *MIDDLEWARE,
]

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "example_project.context.site",
            ],
        },
    },
]

# -- Hosts, cookies, HTTPS: all follow from SITE_URL

ALLOWED_HOSTS = [SITE.hostname, "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = [f"{SITE.scheme}://{SITE.netloc}"]
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"

if HTTPS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    # The prefix makes browsers refuse such a cookie from any other host, and over plain HTTP.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    SECURE_HSTS_SECONDS = env("SECURE_HSTS_SECONDS", 365 * 86400)
    # Whether HSTS includes your other hosts is a decision about your whole domain, which no example can make for you.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
    # Only where a proxy of yours sets this header on every request: otherwise anyone can send it.
    if env("SECURE_PROXY_SSL_HEADER", False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        SECURE_SSL_REDIRECT = True

# -- Database

DATABASES = {
    "default": dj_database_url.parse(
        env("DATABASE_URL", "") or f"sqlite:///{HERE / 'db.sqlite3'}",
        # Django's development server makes a thread for each request: there is nothing to keep a connection for.
        conn_max_age=env("DATABASE_CONN_MAX_AGE", 0 if DEBUG else 60),
        conn_health_checks=True,
    ),
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        # Transactions that begin with reading and go on to write would fail under load ("database is locked"); so
        # each says at its beginning that it will write, and waits for its turn.
        transaction_mode="IMMEDIATE",
        timeout=20,
        # Readers and the one writer don't wait for each other.
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    )

# -- Cache and sessions

CACHE_URL = env("CACHE_URL", "")
if CACHE_URL.startswith(("redis://", "rediss://", "unix://")):  # and: pip install redis
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": CACHE_URL}}
elif CACHE_URL:
    raise ImproperlyConfigured("CACHE_URL must begin with redis://, rediss:// or unix://.")
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

SESSION_ENGINE = env("SESSION_ENGINE", "django.contrib.sessions.backends.db")

# -- Mail

DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", f"sign-in@{SITE.hostname}")
if INBOX:
    MAIL = {"BACKEND": "example_project.inbox.email.EmailBackend"}
elif env("EMAIL_HOST", ""):
    MAIL = {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": env("EMAIL_HOST", ""),
            "port": env("EMAIL_PORT", 25),
            "username": env("EMAIL_HOST_USER", ""),
            "password": env("EMAIL_HOST_PASSWORD", ""),
            "use_tls": env("EMAIL_USE_TLS", False),
            "use_ssl": env("EMAIL_USE_SSL", False),
            "timeout": env("EMAIL_TIMEOUT", 5),
        },
    }
else:
    MAIL = {"BACKEND": "django.core.mail.backends.console.EmailBackend"}

if django.VERSION >= (6, 1):
    MAILERS = {"default": MAIL}
else:
    EMAIL_BACKEND = MAIL["BACKEND"]
    for name, option in {
        "HOST": "host",
        "PORT": "port",
        "HOST_USER": "username",
        "HOST_PASSWORD": "password",
        "USE_TLS": "use_tls",
        "USE_SSL": "use_ssl",
        "TIMEOUT": "timeout",
    }.items():
        if option in MAIL.get("OPTIONS", {}):
            globals()[f"EMAIL_{name}"] = MAIL["OPTIONS"][option]

# -- Text messages: for PASSWORDLESS_AUTH_SMS_COUNTRIES. Twilio needs: pip install passwordless-auth[twilio]

if INBOX:
    SMS = {"BACKEND": "example_project.inbox.sms.SmsChannel"}
    # Nothing leaves this machine, so nothing costs: every number may try.
    PASSWORDLESS_AUTH_SMS_COUNTRIES = env("PASSWORDLESS_AUTH_SMS_COUNTRIES", ["AT", "CH", "DE", "FR", "GB", "US"])
elif env("TWILIO_ACCOUNT_SID", ""):
    SMS = {
        "BACKEND": "passwordless_auth.channels.twilio.TwilioChannel",
        "OPTIONS": {
            "account_sid": env("TWILIO_ACCOUNT_SID", ""),
            "auth_token": env("TWILIO_AUTH_TOKEN", ""),
            "sender": env("TWILIO_SENDER", ""),
            # Twilio tells what becomes of each message, where it reaches SITE_URL.
            "status_callback": SITE_URL.startswith("https://"),
        },
    }
else:
    SMS = {"BACKEND": "passwordless_auth.channels.console.ConsoleChannel"}

PASSWORDLESS_AUTH_CHANNELS = {
    "email": {"BACKEND": "passwordless_auth.channels.email.EmailChannel"},
    "sms": SMS,
}

# -- Tasks: for PASSWORDLESS_AUTH_SENDER=tasks. Django's own backend sends within the request; name a queue instead.

if env("PASSWORDLESS_AUTH_SENDER", "") == "tasks":
    TASKS_PACKAGE = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    TASKS = {
        "default": {"BACKEND": env("TASKS_BACKEND", f"{TASKS_PACKAGE}.backends.immediate.ImmediateBackend")},
    }
    # A queue is an app too, with tables of its own perhaps; on Django 5.2 the framework itself is one.
    INSTALLED_APPS += [*(["django_tasks"] if TASKS_PACKAGE == "django_tasks" else []), *env("TASKS_APPS", [])]

# -- Languages and time

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
USE_TZ = True
TIME_ZONE = env("TIME_ZONE", "UTC")

# -- Static files: WhiteNoise serves them out of the apps, with and without DEBUG; nothing has to be collected.

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

# -- Logging: to the console. passwordless_auth itself logs no code and no link; the filter takes links out of what
#    Django and its servers write about requests. They are good for minutes, and logs are read by many.

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"hide_link_tokens": {"()": "passwordless_auth.logs.HideLinkTokens"}},
    "formatters": {"plain": {"format": "{levelname} {name}: {message}", "style": "{"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "filters": ["hide_link_tokens"], "formatter": "plain"},
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "passwordless_auth": {"level": env("LOG_LEVEL", "INFO")},
        "django": {"handlers": [], "level": "WARNING"},
        "django.server": {"handlers": [], "level": env("LOG_REQUESTS", "WARNING"), "propagate": True},
    },
}
