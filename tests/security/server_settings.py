"""The settings of a process of its own, as a host would write them: mail into files, requests into a log."""

import os
from pathlib import Path

import django

from tests.settings import *  # noqa: F403

FOLDER = Path(os.environ["PASSWORDLESS_AUTH_TEST_FOLDER"])
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(FOLDER / "db.sqlite3")}}
if django.VERSION >= (6, 1):
    MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.filebased.EmailBackend",
            "OPTIONS": {"file_path": str(FOLDER / "mail")},
        }
    }
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(FOLDER / "mail")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"hide_link_tokens": {"()": "passwordless_auth.logs.HideLinkTokens"}},
    "handlers": {
        "masked": {"class": "logging.FileHandler", "filename": FOLDER / "masked.log", "filters": ["hide_link_tokens"]},
        # What a host without the filter would have; first, since the filter changes the record.
        "plain": {"class": "logging.FileHandler", "filename": FOLDER / "plain.log"},
    },
    "loggers": {
        name: {"handlers": ["plain", "masked"], "level": "INFO", "propagate": False}
        for name in ("django", "django.server", "django.request", "passwordless_auth")
    },
}
